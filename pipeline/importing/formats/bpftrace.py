"""What the shipped bpftrace script, traces/record.bt, prints."""

from __future__ import annotations

from pathlib import Path

from pipeline.importing.importer import ImportedRows, ReadOptions
from pipeline.importing.text.blocks import head_of
from pipeline.importing.text.formats import scan_ftrace
from pipeline.importing.text.read_text import TextFormat, import_text

NAME = "bpftrace"
SUMMARY = "output of the shipped bpftrace script record.bt, plain or gz/xz/zst"

MARK = b"# record.bt 1"

_FORMAT = TextFormat(
    scan=scan_ftrace,
    what="output of record.bt",
    recorder="bpftrace, record.bt",
    clock="nanoseconds since boot, as bpftrace has them",
    calls_only=False,
    says_lost=True,
    to_record="run record.bt as its head says",
)


def sniff(path: Path) -> bool:
    """Whether the file at `path` looks like this format."""
    return MARK in head_of(path, 4096)


def read(path: Path, options: ReadOptions) -> ImportedRows:
    """Read the recording at `path` in pieces; raises as `import_text` says."""
    return import_text(path, options, _FORMAT)
