"""Page faults, system calls, file pages and scheduler events as printed by tracefs (`cat trace`)."""

from __future__ import annotations

import re

from pipeline.importing.importer import Importer
from pipeline.importing.text.kernel_tools import TRACEFS, VMALLOC_EVENT
from pipeline.importing.text.read_text import TextFormat

_FORMAT = TextFormat(
    reader=lambda: TRACEFS,
    what="tracefs text",
    recorder="tracefs",
    clock="the tracer's clock, as printed, truncated to microseconds",
    calls_only=False,
    says_lost=False,
    to_record="enable events/exceptions, events/filemap/mm_filemap_get_pages and the system calls read "
    "and write, as described in docs/importing.md",
    has_not=re.compile(
        VMALLOC_EVENT
        + rb"|: k[emu]: \(k(?:un)?map_high|^ *cpus=[0-9]+\r?$|^version = [0-9]"
        + rb"| -?[0-9]+/-?[0-9]+ +\[[0-9]+\] ",
        re.MULTILINE,
    ),
)
IMPORTER = Importer(
    name="tracefs",
    summary="page faults, reads and writes printed by tracefs (/sys/kernel/tracing/trace), plain or "
    "gz/xz/zst",
    sniff=_FORMAT.fits,
    read=_FORMAT.read,
    explain=_FORMAT.explain,
    counts_bytes=True,
)
