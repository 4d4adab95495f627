"""Telling files of measured locks from others, by their lines."""

from __future__ import annotations

from pathlib import Path

from pipeline.importing.text.blocks import read_head
from pipeline.trace.lock_text import find_format

# Events of locks may come late in a recording of others.
_SNIFFED_BYTES = 1 << 22


def find_lock_format(path: Path) -> str | None:
    """Name of the format of measured locks that the file at `path` is in (`lock_text.FORMATS`), else None."""
    head = read_head(path, _SNIFFED_BYTES)
    return None if head.startswith(b"PAR1") else find_format(head)
