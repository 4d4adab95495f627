"""A CSV or Parquet table of another tool, whose columns a mapping file explains."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from pipeline.errors import InputError, UsageError
from pipeline.importing.importer import ImportedRows, Importer, ReadOptions, integers
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
from pipeline.importing.table_mapping import UNITS_NS, Columns, Kind, Number, Time, read_mapping
from pipeline.importing.text.blocks import open_text
from pipeline.io.files import readable_file
from pipeline.schema.trace import KINDS, MAX_TIME_NS, Provenance

_SEED = 1
# Differences of two such times fit into 64 bits.
_FARTHEST_NS = 1 << 62


def _read_table(path: Path, options: ReadOptions) -> ImportedRows:
    """Read the table at `path` whole, as the file `options.mapping` says.

    Raises UsageError without a mapping and InputError for a mapping or table with a mistake in it.
    """
    if options.mapping is None:
        raise UsageError(
            f"{path}: what its columns are is not known; say it in a file and give --mapping FILE.toml"
        )
    mapping = read_mapping(options.mapping)
    columns = mapping.columns
    table = _read(path, mapping.delimiter, _names(columns))
    rows_in = table.num_rows
    for name in columns.page:
        table = table.filter(pc.is_valid(table.column(name)))
    if table.num_rows == 0:
        raise InputError(f"{path}: wanted a table with rows that have a page, found {rows_in:,} without one")
    dropped = {"no page is said of them": rows_in - table.num_rows} if rows_in > table.num_rows else {}
    begin = _times(table, columns.time)
    begin = begin - begin.min()
    if begin.max() >= MAX_TIME_NS:
        raise InputError(
            f"{path}: column '{columns.time.column}' spans {begin.max() / 3.6e12:,.1f} hours in "
            f"{columns.time.unit}, and a trace {MAX_TIME_NS / 3.6e12:.1f}; check its unit, or cut it up"
        )
    kind = _kinds(path, table, columns.kind)
    task = _numbers(table, columns.task)
    end, exact, notes = _ends(table, columns, begin, kind, task)
    mappings = Mappings(
        task_id=task,
        begin_ns=begin,
        mapped_ns=begin,
        end_ns=end,
        cpu=_numbers_or_none(table, columns.cpu) if columns.cpu else np.full(len(begin), -1),
        kind=kind,
        page_id=_page_ids(table, columns.page),
    )
    arranged = arrange(mappings, THINK_SPLIT, HOLD_SPLIT, options.threads)
    rows, source = arranged.rows, arranged.source_row
    if columns.process and not options.threads:
        rows["process"] = number_by_appearance(_numbers(table, columns.process)[source]).astype(np.int32)
    if columns.bytes:
        rows["bytes"] = _numbers_or_none(table, columns.bytes)[source].astype(np.int32)
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


def _read(path: Path, delimiter: str, names: Sequence[str]) -> pa.Table:
    readable_file(path, "a CSV or Parquet table")
    with path.open("rb") as raw:
        parquet = raw.read(4) == b"PAR1"
    try:
        if parquet:
            table = pq.read_table(path)
        else:
            with open_text(path) as stream:
                # In this thread: those of Arrow's abort now and then when the command ends right afterwards.
                table = pyarrow.csv.read_csv(
                    pa.BufferReader(stream.read()),
                    pyarrow.csv.ReadOptions(use_threads=False),
                    parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter),
                    convert_options=pyarrow.csv.ConvertOptions(strings_can_be_null=True),
                )
    except (OSError, EOFError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{path}: wanted a CSV or Parquet table, but it cannot be read ({reason})"
        ) from error
    missing = [name for name in names if name not in table.column_names]
    if missing:
        raise InputError(
            f"{path}: the mapping names columns that it lacks: {', '.join(missing)}; found: "
            f"{', '.join(table.column_names)}"
        )
    return table


def _times(table: pa.Table, time: Time) -> np.ndarray:
    """Nanoseconds as int64: exact for whole numbers; fractions are as good as a double is."""
    column = table.column(time.column)
    if pa.types.is_integer(column.type):
        whole = integers(table, time.column)
        if float(np.abs(whole).max()) * UNITS_NS[time.unit] >= _FARTHEST_NS:
            raise _too_far(time)
        return whole * UNITS_NS[time.unit]
    if column.null_count or not (pa.types.is_floating(column.type) or pa.types.is_decimal(column.type)):
        raise InputError(
            f"column '{time.column}' is {column.type}{' with nulls' if column.null_count else ''}, where "
            "numbers were wanted; mend the table"
        )
    values = np.rint(column.cast(pa.float64()).to_numpy() * UNITS_NS[time.unit])
    # Not-a-number is not below it either.
    if not np.abs(values).max() < _FARTHEST_NS:
        raise _too_far(time)
    return values.astype(np.int64)


def _too_far(time: Time) -> InputError:
    return InputError(
        f"column '{time.column}' holds times that are no number of {time.unit} that 64 bits of nanoseconds "
        "hold; check its unit, or mend the table"
    )


def _numbers(table: pa.Table, number: Number) -> np.ndarray:
    if number.column is None:
        return np.full(table.num_rows, number.constant, np.int64)
    column = table.column(number.column)
    if pa.types.is_string(column.type) and not column.null_count:
        return _ids(column)
    return integers(table, number.column)


def _numbers_or_none(table: pa.Table, number: Number) -> np.ndarray:
    """Numbers, -1 where there is none."""
    if number.column is None:
        return _numbers(table, number)
    return integers(table, number.column, null=-1)


def _ids(column: pa.ChunkedArray) -> np.ndarray:
    """Numbers that stand for values of any type."""
    encoded = column.combine_chunks().dictionary_encode()
    return np.asarray(pc.fill_null(encoded.indices, -1)).astype(np.int64)


def _page_ids(table: pa.Table, names: Sequence[str]) -> np.ndarray:
    ids = [_ids(table.column(name)) for name in names]
    _, together = np.unique(np.stack(ids), axis=1, return_inverse=True)
    return together.ravel()


def _kinds(path: Path, table: pa.Table, kind: Kind) -> np.ndarray:
    if kind.column is None:
        return np.full(table.num_rows, KINDS.index(kind.default or "other"), np.int64)
    found = table.column(kind.column).cast(pa.string()).combine_chunks().dictionary_encode()
    codes = []
    for value in found.dictionary.to_pylist():
        name = kind.values.get(value) or (value if value in KINDS else None) or kind.default
        if name is None:
            raise InputError(
                f"{path}: column '{kind.column}' holds {value!r}, which the mapping does not translate; add "
                f"it to columns.kind.values, or a default; kinds are {', '.join(KINDS)}"
            )
        codes.append(KINDS.index(name))
    # Null stands at the end, for -1.
    codes.append(KINDS.index(kind.default or "other"))
    return np.array(codes, np.int64)[np.asarray(pc.fill_null(found.indices, -1))]


def _ends(
    table: pa.Table, columns: Columns, begin: np.ndarray, kind: np.ndarray, task: np.ndarray
) -> tuple[np.ndarray, dict[str, np.ndarray], list[str]]:
    """When each mapping ended, the columns that are given exactly, and notes."""
    exact = {
        f"{name}_ns": _times(table, time)
        for name in ("think", "wait", "hold", "block")
        if (time := getattr(columns, name))
    }
    if columns.hold:
        block = exact.setdefault("block_ns", np.zeros(len(begin), np.int64))
        return begin + exact["hold_ns"] + block, exact, []
    divided = HOLD_SPLIT.note("a mapping, less what is nested in it", "hold_ns", "block_ns")
    if columns.held:
        return begin + _times(table, columns.held), exact, [divided]
    if columns.end:
        first = _times(table, columns.time).min()
        return _times(table, columns.end) - first, exact, [divided]
    # Each draw ends where the task's next mapping begins, or it would nest what did not nest.
    quantiles = load_holds()[np.where(kind == KINDS.index("page_fault"), 0, 1)]
    drawn = quantiles[
        np.arange(len(begin)), np.random.default_rng(_SEED).integers(0, quantiles.shape[1], len(begin))
    ]
    order = np.lexsort((begin, task))
    until = np.full(len(begin), np.iinfo(np.int64).max)
    same = task[order][1:] == task[order][:-1]
    until[order[:-1][same]] = begin[order[1:][same]]
    note = f"hold_ns is drawn from a measured distribution ({SOURCE}); the table does not say it"
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
    "a CSV or Parquet table of another tool, with --mapping FILE.toml",
    lambda _path: False,
    _read_table,
)
