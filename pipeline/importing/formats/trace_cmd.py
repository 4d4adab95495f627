"""Page faults, system calls, file pages and scheduler events as printed by `trace-cmd report`."""

from __future__ import annotations

import re

from pipeline.importing.importer import Importer
from pipeline.importing.text.kernel_tools import TRACE_CMD, VMALLOC_EVENT
from pipeline.importing.text.read_text import TextFormat

_FORMAT = TextFormat(
    reader=lambda: TRACE_CMD,
    what="text of trace-cmd report",
    recorder="trace-cmd record, trace-cmd report",
    clock="the tracer's clock, as printed: nanoseconds with -t, else truncated to microseconds",
    calls_only=False,
    says_lost=True,
    to_record="record -e exceptions -e filemap:mm_filemap_get_pages and the system calls read and write, "
    "as described in docs/importing.md",
    has=re.compile(rb"^ *cpus=[0-9]+\r?$|^version = [0-9]", re.MULTILINE),
    has_not=re.compile(VMALLOC_EVENT),
)
IMPORTER = Importer(
    name="trace-cmd",
    summary="page faults, reads and writes printed by `trace-cmd report`, plain or gz/xz/zst",
    sniff=_FORMAT.fits,
    read=_FORMAT.read,
    explain=_FORMAT.explain,
    counts_bytes=True,
)
