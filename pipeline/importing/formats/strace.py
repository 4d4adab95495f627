"""Reads and writes as printed by `strace -f -ttt -T`, with `-y` or without."""

from __future__ import annotations

from pipeline.importing.importer import Importer
from pipeline.importing.text.read_text import TextFormat
from pipeline.importing.text.strace_text import StraceText

_FORMAT = TextFormat(
    reader=StraceText,
    what="output of strace -f -ttt -T",
    recorder="strace",
    clock="time of day from strace, truncated to microseconds; all intervals include strace's delays",
    calls_only=True,
    says_lost=True,
    to_record="run strace -f -ttt -T -y -o FILE COMMAND",
)
IMPORTER = Importer(
    name="strace",
    summary="reads and writes printed by `strace -f -ttt -T -y`, plain or gz/xz/zst",
    sniff=_FORMAT.fits,
    read=_FORMAT.read,
    explain=_FORMAT.explain,
    counts_bytes=True,
)
