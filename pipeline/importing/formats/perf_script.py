"""Page faults, system calls, file pages and scheduler events as printed by `perf script`."""

from __future__ import annotations

import re

from pipeline.importing.importer import Importer
from pipeline.importing.text.kernel_tools import PERF, VMALLOC_EVENT
from pipeline.importing.text.read_text import TextFormat

_FORMAT = TextFormat(
    reader=lambda: PERF,
    what="text of perf script",
    recorder="perf record, perf script",
    clock="perf's clock, as printed: nanoseconds with --ns, else truncated to microseconds",
    calls_only=False,
    says_lost=False,
    to_record="record exceptions:page_fault_user, page_fault_kernel and filemap:mm_filemap_get_pages, "
    "and the system calls read and write, as described in docs/importing.md",
    has_not=re.compile(VMALLOC_EVENT + rb"|^# record\.bt ", re.MULTILINE),
)
IMPORTER = Importer(
    name="perf-script",
    summary="page faults, reads and writes printed by `perf script`, plain or gz/xz/zst",
    sniff=_FORMAT.fits,
    read=_FORMAT.read,
    explain=_FORMAT.explain,
    counts_bytes=True,
)
