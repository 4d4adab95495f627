"""Tracefs text, as `cat trace` prints it: its lines, and the parts of an event's line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from pipeline.errors import InputError

# comm-pid [cpu] flags timestamp: event: rest; a command name may hold spaces and dashes.
EVENT_LINE = re.compile(r"^\s*(.+)-(\d+)\s+\[(\d+)\]\s+\S+\s+(\d+): (\w+): ?(.*)$")
_ENTRIES = re.compile(r"entries-in-buffer/entries-written: (\d+)/(\d+)")
_LOST = re.compile(r"\[LOST (\d+) EVENTS\]")


def opened(path: Path) -> pa.NativeFile:
    """Open text, compressed or not, as its name says."""
    return pa.input_stream(str(path), compression="detect")


def lines(path: Path) -> Iterator[str]:
    """Lines of the text at `path`. Raises InputError when it cannot be read."""
    try:
        with opened(path) as stream:
            rest = b""
            while block := stream.read(1 << 20):
                *whole, rest = (rest + block).split(b"\n")
                for line in whole:
                    yield line.decode("utf-8", "replace")
            if rest:
                yield rest.decode("utf-8", "replace")
    except (OSError, pa.ArrowException) as error:
        raise InputError(
            f"{path}: wanted tracefs text, but it cannot be read ({error}); copy it again"
        ) from error


def lost_events(line: str) -> int | None:
    """Events that a comment line says were lost; None if it says nothing of that."""
    if found := _ENTRIES.search(line):
        return int(found[2]) - int(found[1])
    if found := _LOST.search(line):
        return int(found[1])
    return None
