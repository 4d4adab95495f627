"""Page faults, system calls, file pages and the scheduler as tracefs prints them (`cat trace`)."""

from __future__ import annotations

from pathlib import Path

from pipeline.importing.importer import Importer
from pipeline.importing.text.blocks import read_head
from pipeline.importing.text.ftrace import SCANNER
from pipeline.importing.text.read_text import TextFormat


def _sniff(path: Path) -> bool:
    """Whether the file at `path` looks like this format; one of the kernel's pool is another."""
    head = read_head(path, 1 << 20)
    return head.startswith(b"# tracer:") and b": ke: (kmap_high" not in head


IMPORTER = Importer(
    name="tracefs",
    summary="page faults, reads and writes as tracefs prints them (/sys/kernel/tracing/trace), plain or "
    "gz/xz/zst",
    sniff=_sniff,
    read=TextFormat(
        scanner=SCANNER,
        what="tracefs text",
        recorder="tracefs",
        clock="the tracer's clock, as printed, cut to microseconds",
        calls_only=False,
        says_lost=False,
        to_record="enable events/exceptions, events/filemap/mm_filemap_get_pages and the system calls read "
        "and write, as docs/importing.md shows",
    ).read,
)
