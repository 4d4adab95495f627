"""Reads and writes as `strace -f -ttt -T -y` prints them."""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.importing.importer import ImportedRows, ReadOptions
from pipeline.importing.text.blocks import head_of
from pipeline.importing.text.formats import scan_strace
from pipeline.importing.text.read_text import TextFormat, import_text

NAME = "strace"
SUMMARY = "reads and writes as `strace -f -ttt -T -y` prints them, plain or gz/xz/zst"

_LINE = re.compile(
    rb"^(?:\[pid +)?(?:\d+\]? +)?\d{9,}\.\d{3,} +"
    rb"(?:\w+\(.*<\d+\.\d+>|<\.\.\. \w+ resumed|\w+\(.*<unfinished)",
    re.MULTILINE,
)

_FORMAT = TextFormat(
    scan=scan_strace,
    what="output of strace -f -ttt -T",
    recorder="strace",
    clock="strace's time of day, cut to microseconds; the tracer's own delays are in every interval",
    calls_only=True,
    says_lost=True,
    to_record="run strace -f -ttt -T -y -o FILE COMMAND",
)


def sniff(path: Path) -> bool:
    """Whether the file at `path` looks like this format."""
    return _LINE.search(head_of(path)) is not None


def read(path: Path, options: ReadOptions) -> ImportedRows:
    """Read the recording at `path` in pieces; raises as `import_text` says."""
    return import_text(path, options, _FORMAT)
