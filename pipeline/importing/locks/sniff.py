"""Detect files of lock measurements by their lines."""

from __future__ import annotations

from pathlib import Path

from pipeline.importing.text.blocks import read_head
from pipeline.trace.lock_text import find_format

# Lock events may occur late in a recording of other events.
_SNIFFED_BYTES = 1 << 22


def find_lock_format(path: Path) -> str | None:
    """Return the name of the file's format of lock measurements (`lock_text.FORMATS`), or None."""
    head = read_head(path, _SNIFFED_BYTES)
    return None if head.startswith(b"PAR1") else find_format(head)
