"""What the shipped bpftrace script, traces/record.bt, prints."""

from __future__ import annotations

from pipeline.importing.importer import Importer
from pipeline.importing.text.blocks import read_head
from pipeline.importing.text.ftrace import SCANNER
from pipeline.importing.text.read_text import TextFormat

MARK = b"# record.bt 1"


IMPORTER = Importer(
    name="bpftrace",
    summary="output of the shipped bpftrace script record.bt, plain or gz/xz/zst",
    sniff=lambda path: MARK in read_head(path, 4096),
    read=TextFormat(
        scanner=SCANNER,
        what="output of record.bt",
        recorder="bpftrace, record.bt",
        clock="nanoseconds since boot, as bpftrace has them",
        calls_only=False,
        says_lost=True,
        to_record="run record.bt as its head says",
    ).read,
)
