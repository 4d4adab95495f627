"""Output of the shipped bpftrace script, traces/record.bt."""

from __future__ import annotations

import re

from pipeline.importing.importer import Importer
from pipeline.importing.text.kernel_tools import BPFTRACE
from pipeline.importing.text.read_text import TextFormat

_FORMAT = TextFormat(
    reader=lambda: BPFTRACE,
    what="output of record.bt",
    recorder="bpftrace, record.bt",
    clock="nanoseconds since boot, from bpftrace",
    calls_only=False,
    says_lost=True,
    to_record="run record.bt as its first lines describe",
    has=re.compile(rb"^# record\.bt 1", re.MULTILINE),
)
IMPORTER = Importer(
    name="bpftrace",
    summary="output of the shipped bpftrace script record.bt, plain or gz/xz/zst",
    sniff=_FORMAT.fits,
    read=_FORMAT.read,
    explain=_FORMAT.explain,
    counts_bytes=True,
)
