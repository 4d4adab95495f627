"""The kernel's kmap pool as tracefs text with the scheduler's switches: CPU time and sleep told apart."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.errors import InputError, UsageError
from pipeline.importing.callers import kind_codes
from pipeline.importing.importer import ImportedRows, Importer, ReadOptions
from pipeline.importing.kmap_pool.operations import imported_pool, pair_events
from pipeline.importing.kmap_pool.tracefs_text import EVENT_LINE, lines, lost_events, opened
from pipeline.importing.mappings import Mappings
from pipeline.io.files import readable_file

_SNIFFED_BYTES = 1 << 20

_SWITCH = re.compile(r"prev_pid=(\d+) .*==>.* next_pid=(\d+)")
_PAGE = re.compile(r"\bpage=0x([0-9a-f]+)")
_CALLER = re.compile(r"\bcaller=(\S+)")


def _sniff(path: Path) -> bool:
    """Whether the file at `path` looks like this format."""
    try:
        with opened(path) as stream:
            head = stream.read(_SNIFFED_BYTES)
    except (OSError, pa.ArrowException):
        return False
    return head.startswith(b"# tracer:") and b": ke: (kmap_high" in head and b": sched_switch: " in head


def _read_recording(path: Path, options: ReadOptions) -> ImportedRows:
    """Read the recording at `path`, made with the trace clock x86-tsc, whose rate `options.tsc_ghz` is.

    Pairs events as the Parquet form does. A task is on a CPU from the switch to it until the switch away;
    interrupts count as its own time, and waiting for a CPU as time off. Raises UsageError without the rate
    and InputError when the file is not of this format.
    """
    if options.tsc_ghz is None:
        raise UsageError(
            f"{path}: its times count the time-stamp counter's ticks; give its rate with --tsc-ghz"
        )
    events = _parse(readable_file(path, "tracefs text"))
    pairs = pair_events(events.name, events.task, events.page)
    instants = np.array([pairs.ke, pairs.km, pairs.ku], np.int64).T
    instants = instants[np.argsort(instants[:, 1])] if len(pairs.ke) else instants.reshape(0, 3)
    # Counted from the first event, so that doubles keep the nanosecond.
    counter = np.array(events.tsc, np.int64)
    first = counter[0] if len(counter) else 0
    times = np.rint((counter - first) / options.tsc_ghz).astype(np.int64)[instants]
    cpu_ns = np.rint(np.array(events.cpu_tsc, np.int64) / options.tsc_ghz).astype(np.int64)[instants]
    mapped = instants[:, 1]
    mappings = Mappings(
        task_id=np.array(events.task, np.int64)[mapped],
        begin_ns=times[:, 0],
        mapped_ns=times[:, 1],
        end_ns=times[:, 2],
        cpu=np.array(events.cpu, np.int64)[mapped],
        kind=kind_codes([events.caller[row] for row in instants[:, 0]]),
        page_id=np.array(events.page, np.int64)[mapped],
        cpu_ns=cpu_ns,
    )
    imported = imported_pool(mappings, events.lines, pairs.dropped, options.threads)
    imported.lost_events = events.lost
    imported.clock = f"x86 time-stamp counter at {options.tsc_ghz} GHz"
    imported.recorder = "kprobes in kmap_high and kunmap_high and sched_switch, tracefs"
    return imported


@dataclass
class _Events:
    """The pool's ke, km and ku, one entry per event; `cpu_tsc` is its task's CPU time so far, in ticks."""

    tsc: list[int] = field(default_factory=list)
    cpu_tsc: list[int] = field(default_factory=list)
    task: list[int] = field(default_factory=list)
    cpu: list[int] = field(default_factory=list)
    name: list[str] = field(default_factory=list)
    page: list[int] = field(default_factory=list)
    caller: list[str | None] = field(default_factory=list)
    lines: int = 0
    lost: int | None = None


def _parse(path: Path) -> _Events:
    events = _Events()
    used: dict[int, int] = defaultdict(int)  # CPU time of a task up to its latest switch away
    since: dict[int, int] = {}  # when the task got the CPU it is on
    for line in lines(path):
        if line.startswith("#") or "EVENTS]" in line:
            if (lost := lost_events(line)) is not None:
                events.lost = (events.lost or 0) + lost
            continue
        events.lines += 1
        # System calls have no colon after their name and are of no interest here.
        if (match := EVENT_LINE.match(line)) is None:
            continue
        task, tsc, name, rest = int(match[2]), int(match[4]), match[5], match[6]
        if name == "sched_switch":
            if (switch := _SWITCH.search(rest)) is None:
                raise InputError(
                    f"{path}: event {events.lines:,}: sched_switch without its pids; mend the text"
                )
            leaving, coming = int(switch[1]), int(switch[2])
            used[leaving] += tsc - since.pop(leaving, tsc)
            since[coming] = tsc
        elif name in {"ke", "km", "ku"}:
            page = _PAGE.search(rest)
            if page is None:
                raise InputError(f"{path}: event {events.lines:,}: {name} without its page; mend the text")
            caller = _CALLER.search(rest)
            events.tsc.append(tsc)
            # A task that ran before the recording began is first seen at work.
            events.cpu_tsc.append(used[task] + tsc - since.setdefault(task, tsc))
            events.task.append(task)
            events.cpu.append(int(match[3]))
            events.name.append(name)
            events.page.append(int(page[1], 16))
            events.caller.append(caller[1] if caller else None)
    return events


IMPORTER = Importer(
    "kernel-pool-tracefs",
    "the kernel's kmap pool with sched_switch, tracefs text (*.txt, *.txt.zst), needs --tsc-ghz",
    _sniff,
    _read_recording,
)
