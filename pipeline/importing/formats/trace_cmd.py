"""Page faults, system calls, file pages and the scheduler as `trace-cmd report` prints them."""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.importing.importer import ImportedRows, ReadOptions
from pipeline.importing.text.blocks import head_of
from pipeline.importing.text.formats import scan_ftrace
from pipeline.importing.text.read_text import TextFormat, import_text

NAME = "trace-cmd"
SUMMARY = "page faults, reads and writes as `trace-cmd report` prints them, plain or gz/xz/zst"

_HEAD = re.compile(rb"(?:^|\n)cpus=\d+\r?\n")

_FORMAT = TextFormat(
    scan=scan_ftrace,
    what="text of trace-cmd report",
    recorder="trace-cmd record, trace-cmd report",
    clock="the tracer's clock, as printed: nanoseconds with -t, else cut to microseconds",
    calls_only=False,
    says_lost=True,
    to_record="record -e exceptions -e filemap:mm_filemap_get_pages and the system calls read and write, as "
    "docs/importing.md shows",
)


def sniff(path: Path) -> bool:
    """Whether the file at `path` looks like this format."""
    return _HEAD.search(head_of(path, 4096)) is not None


def read(path: Path, options: ReadOptions) -> ImportedRows:
    """Read the recording at `path` in pieces; raises as `import_text` says."""
    return import_text(path, options, _FORMAT)
