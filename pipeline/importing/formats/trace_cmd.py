"""Page faults, system calls, file pages and the scheduler as `trace-cmd report` prints them."""

from __future__ import annotations

import re

from pipeline.importing.importer import Importer
from pipeline.importing.text.blocks import read_head
from pipeline.importing.text.ftrace import SCANNER
from pipeline.importing.text.read_text import TextFormat

_HEAD = re.compile(rb"(?:^|\n)cpus=\d+\r?\n")


IMPORTER = Importer(
    name="trace-cmd",
    summary="page faults, reads and writes as `trace-cmd report` prints them, plain or gz/xz/zst",
    sniff=lambda path: _HEAD.search(read_head(path, 4096)) is not None,
    read=TextFormat(
        scanner=SCANNER,
        what="text of trace-cmd report",
        recorder="trace-cmd record, trace-cmd report",
        clock="the tracer's clock, as printed: nanoseconds with -t, else cut to microseconds",
        calls_only=False,
        says_lost=True,
        to_record="record -e exceptions -e filemap:mm_filemap_get_pages and the system calls read and write, "
        "as docs/importing.md shows",
    ).read,
)
