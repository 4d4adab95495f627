"""Tracefs text, as `cat trace` prints it: its lines, and the parts of an event's line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa

from pipeline.errors import InputError

# comm-pid (tgid) [cpu] flags timestamp: event: rest; a command name may hold spaces and dashes. Options of
# the tracer bring the tgid and take the flags away; how many flags there are depends on the kernel.
_FROM_PID = r"-(\d+)\s+(?:\([\s\d-]+\)\s+)?\[(\d+)\]\s+(?:[^\s:]+\s+)?"
EVENT_LINE = re.compile(rf"^\s*(.+){_FROM_PID}(\d+): (\w+): ?(.*)$")
_ENTRIES = re.compile(r"entries-in-buffer/entries-written: (\d+)/(\d+)")
_LOST = re.compile(r"\[LOST (\d+) EVENTS\]")


def opened(path: Path) -> pa.NativeFile:
    """Open text, compressed or not, as its name says."""
    return pa.input_stream(str(path), compression="detect")


def lines(path: Path) -> Iterator[str]:
    """Lines of the text at `path`. Raises InputError when it cannot be read."""
    for block in blocks(path):
        yield from block.decode("utf-8", "replace").removesuffix("\n").split("\n")


def events_in_blocks(names: Iterable[str]) -> re.Pattern[bytes]:
    """Build a pattern that finds the lines of some events in `blocks`, and where events were lost.

    Groups: pid, cpu, time, name and rest of an event; cpu and number of events lost (which may be missing);
    "buffer started", before which a CPU's events were overwritten.
    """
    event = rf"{_FROM_PID}([\d.]+): ({'|'.join(names)}): ?([^\n]*)"
    return re.compile(
        rf"{event}|^CPU:(\d+) \[LOST (?:(\d+) )?EVENTS\]|CPU \d+ (buffer started)".encode(), re.M
    )


def blocks(path: Path) -> Iterator[bytes]:
    """Whole lines of the text at `path`, about a megabyte at a time. Raises InputError as `lines` does."""
    try:
        with opened(path) as stream:
            rest = b""
            while block := stream.read(1 << 20):
                whole, newline, rest = (rest + block).rpartition(b"\n")
                if newline:
                    yield whole + newline
            if rest:
                yield rest
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


def lost_in_head(path: Path) -> int | None:
    """Events that the head of the text at `path` says were overwritten; None if it does not say."""
    for line in lines(path):
        if not line.startswith("#"):
            return None
        if (lost := lost_events(line)) is not None:
            return lost
    return None
