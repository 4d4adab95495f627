"""A CSV or Parquet table of another tool, with a mapping file for its columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from pipeline.errors import InputError, UsageError, one_line
from pipeline.importing.importer import ImportedRows, Importer, ReadOptions
from pipeline.importing.mappings import (
    FIRST_NOTE,
    HOLD_SPLIT,
    THINK_SPLIT,
    Mappings,
    arrange,
    number_by_appearance,
    process_note,
)
from pipeline.importing.reconstruct.hold_lengths import SOURCE, load_holds
from pipeline.importing.table_columns import TableColumns
from pipeline.importing.table_mapping import Columns, Kind, Number, Time, read_mapping
from pipeline.importing.text.blocks import LONGEST_LINE, BlockReader
from pipeline.io.files import readable_file
from pipeline.io.parquet import read_table
from pipeline.schema.names import KINDS
from pipeline.schema.trace import COLUMNS, MAX_TIME_NS
from pipeline.schema.trace_metadata import Provenance

_SEED = 1
# A text table is read into memory as a whole.
_MOST_TEXT_BYTES = 1 << 31


def _read_table(path: Path, options: ReadOptions) -> ImportedRows:
    """Read the table at `path` with the column mapping of the file `options.mapping`.

    Raises UsageError if there is no mapping, and InputError for an invalid mapping or table.
    """
    if options.mapping is None:
        raise UsageError(
            f"{path}: a table requires a column mapping; describe its columns in a file and add "
            "--mapping FILE.toml"
        )
    mapping = read_mapping(options.mapping)
    columns = mapping.columns
    whole = TableColumns.of(path, _read(path, mapping.delimiter), _names(columns))
    table = whole.with_values(columns.page)
    rows_in, without_page = len(whole.row), len(whole.row) - len(table.row)
    if len(table.row) == 0:
        raise InputError(f"{path}: no row has a page; found {rows_in:,} rows without one")
    dropped = {"their row has no page": without_page} if without_page else {}
    begin = table.times(columns.time)
    begin = begin - begin.min()
    if begin.max() >= MAX_TIME_NS:
        raise InputError(
            f"{path}: column '{columns.time.column}' spans {begin.max() / 3.6e12:,.1f} hours in "
            f"{columns.time.unit}, but a trace can span at most {MAX_TIME_NS / 3.6e12:.1f}; check the unit, "
            "or split the table"
        )
    kind = table.kinds(columns.kind)
    task = table.identities(columns.task)
    size = table.numbers(columns.bytes, -1, _most("bytes"), null=-1) if columns.bytes else None
    end, exact, notes = _ends(table, columns, begin, kind, task)
    mappings = Mappings(
        task_id=task,
        begin_ns=begin,
        mapped_ns=begin,
        end_ns=end,
        cpu=table.numbers(columns.cpu, -1, _most("cpu"), null=-1) if columns.cpu else np.full(len(begin), -1),
        kind=kind,
        page_id=table.pages(columns.page),
    )
    arranged = arrange(mappings, THINK_SPLIT, HOLD_SPLIT, options.threads)
    rows, source = arranged.rows, arranged.source_row
    if columns.process and not options.threads:
        rows["process"] = number_by_appearance(table.identities(columns.process)[source]).astype(np.int32)
    if size is not None:
        rows["bytes"] = size[source].astype(np.int32)
    for name, values in exact.items():
        rows[name] = values[source]
    notes.append(FIRST_NOTE)
    if not columns.process:
        notes.append(process_note(options.threads))
    if not columns.think:
        notes.append(THINK_SPLIT.note("the interval between a task's mappings", "think_ns", "wait_ns"))
    return ImportedRows(
        rows=rows,
        columns=_provenance(columns, options.threads),
        clock=mapping.clock,
        recorder=mapping.recorder,
        rows_in=rows_in,
        cpus=int(mappings.cpu.max()) + 1 if columns.cpu else None,
        dropped=dropped | arranged.dropped,
        notes=notes,
    )


def _names(columns: Columns) -> list[str]:
    given = [getattr(columns, name) for name in Columns.model_fields if name != "page"]
    return list(dict.fromkeys([*(part.column for part in given if part and part.column), *columns.page]))


def _read(path: Path, delimiter: str) -> pa.Table:
    readable_file(path, "a CSV or Parquet table")
    with path.open("rb") as raw:
        parquet = raw.read(4) == b"PAR1"
    try:
        if parquet:
            return read_table(path, "a CSV or Parquet table")
        # Without threads: Arrow's threads sometimes abort if the command ends immediately afterwards.
        return pyarrow.csv.read_csv(
            pa.BufferReader(_read_text(path)),
            pyarrow.csv.ReadOptions(use_threads=False),
            parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter),
            convert_options=pyarrow.csv.ConvertOptions(strings_can_be_null=True),
        )
    except (OSError, pa.ArrowException, UnicodeError) as error:
        raise InputError(
            f"{path}: expected a CSV or Parquet table, but the file cannot be read ({one_line(error)})"
        ) from error


def _read_text(path: Path) -> bytes:
    """Return the decompressed text of a table; bytes that are not UTF-8 become \\xNN."""
    reader, parts, size = BlockReader(path), [], 0
    for block in reader.blocks():
        parts.append(block.tobytes())
        size += len(block)
        if size > _MOST_TEXT_BYTES:
            raise InputError(
                f"{path}: a text table can have at most {_MOST_TEXT_BYTES >> 20:,} MiB; split it, or convert "
                "it to Parquet"
            )
    if reader.damage:
        raise InputError(
            f"{path}: expected a CSV table, but the file cannot be read ({reader.damage}); copy it again"
        )
    if reader.overlong:
        raise InputError(
            f"{path}: line {reader.overlong_first:,} is longer than {LONGEST_LINE >> 20} MiB; the file is "
            "damaged or not a table"
        )
    text = b"".join(parts)
    try:
        text.decode()
    except UnicodeDecodeError:
        return text.decode(errors="backslashreplace").encode()
    return text


def _most(name: str) -> int:
    """Return the largest number that a column of a trace can contain."""
    type = next(column.type for column in COLUMNS if column.name == name)
    return int(np.iinfo(type.to_pandas_dtype()).max)


def _ends(
    table: TableColumns, columns: Columns, begin: np.ndarray, kind: np.ndarray, task: np.ndarray
) -> tuple[np.ndarray, dict[str, np.ndarray], list[str]]:
    """Return the end of each mapping, the columns that the table contains directly, and notes."""
    exact = {
        f"{name}_ns": table.durations(time)
        for name in ("think", "wait", "hold", "block")
        if (time := getattr(columns, name))
    }
    if columns.hold:
        block = exact.setdefault("block_ns", np.zeros(len(begin), np.int64))
        return begin + exact["hold_ns"] + block, exact, []
    divided = HOLD_SPLIT.note("a mapping, less the mappings nested in it", "hold_ns", "block_ns")
    if columns.held:
        return begin + table.durations(columns.held), exact, [divided]
    if columns.end:
        first = table.times(columns.time).min()
        return table.times(columns.end) - first, exact, [divided]
    # Each drawn time ends at the latest when the task's next mapping begins, so that mappings do not nest.
    quantiles = load_holds()[np.where(kind == KINDS.index("page_fault"), 0, 1)]
    drawn = quantiles[
        np.arange(len(begin)), np.random.default_rng(_SEED).integers(0, quantiles.shape[1], len(begin))
    ]
    order = np.lexsort((begin, task))
    until = np.full(len(begin), np.iinfo(np.int64).max)
    same = task[order][1:] == task[order][:-1]
    until[order[:-1][same]] = begin[order[1:][same]]
    note = f"hold_ns is drawn from a measured distribution ({SOURCE}), because the table does not contain it"
    return np.minimum(begin + drawn, until), exact, [note]


def _provenance(columns: Columns, threads: bool) -> dict[str, Provenance]:
    def of(part: Number | Time | Kind | None, otherwise: Provenance) -> Provenance:
        if part is None:
            return otherwise
        return "measured" if part.column else "assumed"

    held: Provenance = "derived" if columns.end or columns.held else "assumed"
    gap: Provenance = "derived"
    return {
        "time_ns": "measured", "task": of(columns.task, "assumed"),
        "process": "assumed" if threads else of(columns.process, "assumed"), "cpu": of(columns.cpu, "absent"),
        "kind": "derived" if columns.kind.column else "assumed", "page": "measured",
        "bytes": of(columns.bytes, "absent"), "think_ns": of(columns.think, gap),
        "wait_ns": of(columns.wait, gap), "hold_ns": of(columns.hold, held),
        "block_ns": of(columns.block, held), "depth": "derived",
    }  # fmt: skip


IMPORTER = Importer(
    "table",
    "CSV or Parquet table of another tool; requires --mapping FILE.toml",
    lambda _path: False,
    _read_table,
)
