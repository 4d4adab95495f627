"""Page faults, system calls, file pages and the scheduler as `perf script` prints them."""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.importing.formats.bpftrace import MARK as BPFTRACE_MARK
from pipeline.importing.importer import Importer
from pipeline.importing.text.blocks import read_head
from pipeline.importing.text.ftrace import SCANNER
from pipeline.importing.text.read_text import TextFormat

_LINE = re.compile(
    rb"^\s*\S.*?\s+(?:-?\d+/)?\d+\s+\[\d+\]\s+\d+\.\d+:\s+(?:\d+\s+)?[a-zA-Z_]\w*:[a-zA-Z_]\w*:", re.MULTILINE
)


def _sniff(path: Path) -> bool:
    """Whether the file at `path` looks like this format."""
    head = read_head(path)
    return _LINE.search(head) is not None and BPFTRACE_MARK not in head[:4096]


IMPORTER = Importer(
    name="perf-script",
    summary="page faults, reads and writes as `perf script` prints them, plain or gz/xz/zst",
    sniff=_sniff,
    read=TextFormat(
        scanner=SCANNER,
        what="text of perf script",
        recorder="perf record, perf script",
        clock="perf's clock, as printed: nanoseconds with --ns, else cut to microseconds",
        calls_only=False,
        says_lost=False,
        to_record="record exceptions:page_fault_user, page_fault_kernel and filemap:mm_filemap_get_pages "
        "with the system calls read and write, as docs/importing.md shows",
    ).read,
)
