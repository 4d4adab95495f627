"""Convert a recording into a trace: select the importer, read the recording, write the trace."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import InputError, UsageError, unknown_name
from pipeline.importing import formats as format_modules
from pipeline.importing.importer import ImportedRows, Importer, ReadOptions, name_file
from pipeline.importing.wrong_kinds import describe_wrong_kind
from pipeline.io.files import regular_file, sha256_of
from pipeline.io.progress import progress
from pipeline.schema.trace import COLUMN_NAMES, ROW_GROUP_ROWS
from pipeline.schema.trace_metadata import Source, TraceMetadata
from pipeline.trace.losses import LOST_UNKNOWN, note_losses, refuse_losses
from pipeline.trace.reader import open_trace
from pipeline.trace.writer import TraceWriter
from pipeline.trace.written_columns import optional_columns

_PAGE_KIB = (4, 16, 64)
# Size of a page-table entry on 64-bit machines and with PAE.
_ENTRY_BYTES = 8
_LARGEST_SPAN = 1 << 30
# Default format if a column mapping is given.
_WITH_MAPPING = "table"


@dataclass(frozen=True)
class ImportResult:
    """Result of an import: rows or events read, operations written, and operations dropped by reason."""

    output: Path
    format: str
    rows_in: int
    rows_out: int
    dropped: dict[str, int]
    metadata: TraceMetadata


def list_formats() -> dict[str, str]:
    """Return the supported formats by name, each with a one-line summary, sorted by name."""
    return {name: importer.summary for name, importer in sorted(_importers().items())}


def import_trace(
    source: Path,
    output: Path,
    format: str | None = None,
    *,
    name: str | None = None,
    kernel: str | None = None,
    description: str = "",
    lost_events: int | None = None,
    threads: bool = False,
    tsc_ghz: float | None = None,
    mapping: Path | None = None,
    page_kib: int = 4,
    page_table_span_mib: int | None = None,
    strict: bool = False,
    silence_means_no_loss: bool = False,
) -> ImportResult:
    """Convert the recording at `source` into a new trace at `output`.

    format: a name from `list_formats()`; None detects the format from the file's content.
    name: name of the trace; the default is the file's name up to its first dot.
    kernel, description: text for the metadata.
    lost_events: number of events that the recorder lost; the default is the number in the recording.
    threads: all recorded tasks share one address space.
    tsc_ghz: frequency of the time-stamp counter, for recordings with times in its ticks.
    mapping: TOML file that maps the columns of a table to the columns of a trace.
    page_kib: page size of the recorded machine, 4, 16 or 64.
    page_table_span_mib: memory that one page of page-table entries maps. The default is computed for 8-byte
        entries, which is 2 for 4 KiB pages; 32-bit x86 without PAE needs 4.
    strict: reject a recording with lost or incomplete data.
    silence_means_no_loss: the recorder reports losses, so a recording without a report lost no events.

    The output file is either complete or absent.

    Raises UsageError for an unknown format or an invalid option, InputError for a recording that does not
    have the format, has no known format or is rejected by `strict`, and OutputError if the trace cannot be
    written.
    """
    source, output = Path(source), Path(output)
    regular_file(source, "a recording")
    if output.exists() and output.samefile(source):
        raise UsageError(f"{output}: this file is the recording; choose another name for the trace")
    if mapping is not None and format is None:
        format = _WITH_MAPPING
    if wrong := describe_wrong_kind(source):
        raise InputError(f"{source}: expected a recording; this file {wrong}")
    importer = _importer_for(source, format)
    if not importer.counts_bytes and (page_kib, page_table_span_mib) != (4, None):
        raise UsageError(
            f"{source}: the format {importer.name} contains page numbers; omit --page-kib and "
            "--page-table-span-mib"
        )
    options = ReadOptions(threads, tsc_ghz, mapping, *_read_sizes(page_kib, page_table_span_mib))
    with name_file(source, mapping):
        imported = importer.read(source, options)
    rows_out = 0
    with (
        name_file(source, mapping),
        TraceWriter(
            output,
            source=Source(
                type="recorded",
                name=name or source.name.split(".")[0],
                description=description,
                recorder=imported.recorder,
                kernel=kernel,
                file=source.name,
                file_sha256=sha256_of(source),
            ),
            columns=dict.fromkeys((*COLUMN_NAMES, *optional_columns(imported.columns)), "assumed"),
            clock="",
        ) as writer,
        progress("importing", None, "rows") as advance,
    ):
        for rows in imported.in_batches(ROW_GROUP_ROWS):
            writer.write(rows)
            count = len(rows["task"])
            rows_out += count
            advance(count)
        if lost_events is None and silence_means_no_loss and "gaps" not in imported.losses:
            lost_events = imported.losses.get("lost_events", 0)
        if lost_events is not None:
            imported.lost_events = lost_events
            imported.notes = [note for note in imported.notes if note != LOST_UNKNOWN]
        losses = _count_losses(imported)
        if strict:
            refuse_losses(losses, source)
        metadata = writer.metadata
        metadata.columns, metadata.clock, metadata.cpus = imported.columns, imported.clock, imported.cpus
        metadata.lost_events, metadata.losses = imported.lost_events, losses
        dropped = [f"{count:,} mappings were dropped: {why}" for why, count in imported.dropped.items()]
        metadata.notes = note_losses([*imported.notes, *dropped], losses)
    return ImportResult(
        output=output,
        format=importer.name,
        rows_in=imported.rows_in,
        rows_out=rows_out,
        dropped=imported.dropped,
        metadata=open_trace(output).metadata,
    )


def _read_sizes(page_kib: int, span_mib: int | None) -> tuple[int, int]:
    """Return the bytes of a page, and the bytes that a page of page-table entries maps."""
    if page_kib not in _PAGE_KIB:
        sizes = ", ".join(map(str, _PAGE_KIB))
        raise UsageError(f"the page size must be one of {sizes} KiB, found {page_kib}")
    page_bytes = page_kib << 10
    span_bytes = page_bytes // _ENTRY_BYTES * page_bytes if span_mib is None else span_mib << 20
    if span_bytes.bit_count() != 1 or not page_bytes < span_bytes <= _LARGEST_SPAN:
        raise UsageError(
            "the memory that a page of page-table entries maps must be a power of two MiB, larger than a "
            f"page and at most {_LARGEST_SPAN >> 20}; found {span_mib}"
        )
    return page_bytes, span_bytes


def _count_losses(imported: ImportedRows) -> dict[str, int]:
    losses = dict(imported.losses)
    if dropped := sum(imported.dropped.values()):
        losses["operations_dropped"] = dropped
    losses["lost_events"] = imported.lost_events or losses.get("lost_events", 0)
    return {name: count for name, count in losses.items() if count}


def _importers() -> dict[str, Importer]:
    """Return the importers by name; each module of the package `formats` defines one."""
    modules = (
        importlib.import_module(f"{format_modules.__name__}.{module.name}")
        for module in pkgutil.iter_modules(format_modules.__path__)
    )
    return {module.IMPORTER.name: module.IMPORTER for module in modules}


def _importer_for(source: Path, format: str | None) -> Importer:
    known = _importers()
    if format is not None:
        if format not in known:
            raise unknown_name("format", format, known, "or omit --format to detect it")
        return known[format]
    fitting = [importer for importer in known.values() if importer.sniff(source)]
    if not fitting:
        for importer in known.values():
            if hint := importer.explain(source):
                raise InputError(f"{source}: {hint}")
        raise InputError(
            f"{source}: expected a recording in a known format, but no format matches; known: "
            + "; ".join(f"{name} - {summary}" for name, summary in list_formats().items())
        )
    if len(fitting) > 1:
        names = ", ".join(importer.name for importer in fitting)
        raise UsageError(f"{source}: the file matches several formats ({names}); choose one with --format")
    return fitting[0]
