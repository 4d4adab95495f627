"""Areas of vmalloc: the tracepoints vmalloc:* as text of tracefs, perf script or trace-cmd report."""

from __future__ import annotations

from pathlib import Path

from pipeline.importing.importer import ImportedRows, Importer, ReadOptions
from pipeline.importing.vmalloc.recording import is_recording, read_recording
from pipeline.importing.vmalloc.rows import to_rows


def _read(path: Path, options: ReadOptions) -> ImportedRows:
    return to_rows(read_recording(path, options.page_bytes, options.tsc_ghz), options.threads)


IMPORTER = Importer(
    name="vmalloc",
    summary="areas of vmalloc (events vmalloc:*) printed by tracefs, `perf script` or `trace-cmd report`, "
    "plain or gz/xz/zst",
    sniff=is_recording,
    read=_read,
    counts_bytes=True,
)
