"""Read events of the kernel's kmap pool from tracefs text, as printed by `cat trace`."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.errors import InputError
from pipeline.importing.callers import classify_callers
from pipeline.importing.kmap_pool import events as ev
from pipeline.importing.text.blocks import BlockReader
from pipeline.io.progress import progress

# comm-pid (tgid) [cpu] flags timestamp: event: rest. A command name may contain spaces and dashes. Options of
# the tracer add the tgid and remove the flags; the number of flags depends on the kernel. Numbers longer than
# a kernel prints are damage.
_FROM_PID = r"-(\d{1,10})[ \t]+(?:\([ \t\d-]+\)[ \t]+)?\[(\d{1,5})\][ \t]+(?:[^\s:]+[ \t]+)?"
_HEAD_LOSS = re.compile(rb"entries-in-buffer/entries-written: (\d{1,18})/(\d{1,18})")
_NO_EVENT = re.compile(rb"^(?:#|.*EVENTS\])", re.MULTILINE)
_FIELD = re.compile(rb"\b(page|vaddr|nr|cnt)=(0x[0-9a-fA-F]{1,16}|-?\d{1,18})\b")
_CALLER = re.compile(rb"\bcaller=(\S+)")
_SWITCH = re.compile(rb"prev_pid=(\d{1,10}) .*==>.* next_pid=(\d{1,10})\b")
_FOLLOWED = (ev.ENTER, ev.MAPPED, ev.UNMAPPED)


def read_tracefs(path: Path, with_scheduler: bool = False) -> ev.PoolEvents:
    """Read the pool's events from the text at `path`.

    Times in seconds with a fraction become ns; whole numbers are ticks. `with_scheduler`: also read callers,
    and CPU times if the text has sched_switch events, and accept a last line without an end, which may be
    truncated. Raises InputError if the text cannot be read or, with the scheduler, if a switch lacks its
    tasks.
    """
    text = _Text(path, with_scheduler)
    with progress("reading", None, "events") as advance:
        blocks = BlockReader(path)
        for block in blocks.blocks():
            # A last line without an end may be truncated.
            if with_scheduler or not blocks.cut_short:
                advance(text.read(block.tobytes()))
    if blocks.damage:
        raise InputError(
            f"{path}: expected tracefs text, but the file cannot be read ({blocks.damage}); copy it again"
        )
    if blocks.overlong:
        raise InputError(
            f"{path}: line {blocks.overlong_first:,} is longer than any recorder writes; copy the file again"
        )
    return text.events()


def _event_pattern(names: Iterable[str]) -> re.Pattern[bytes]:
    """Build a pattern that finds the lines of the named events, and the places where events were lost.

    Groups: pid, cpu, time, name and rest of an event; cpu and number of events lost (optional); "buffer
    started", before which events of a CPU were overwritten.
    """
    event = rf"{_FROM_PID}(\d{{1,18}}|\d{{1,9}}\.\d{{1,9}}): ({'|'.join(names)}): ?([^\n]*)"
    return re.compile(
        rf"{event}|^CPU:(\d{{1,5}}) \[LOST (?:(\d{{1,18}}) )?EVENTS\]|CPU \d+ (buffer started)".encode(), re.M
    )


class _Text:
    """The events found so far in a text, with its losses and the CPU time of its tasks."""

    def __init__(self, path: Path, with_scheduler: bool) -> None:
        self.path, self.with_scheduler = path, with_scheduler
        self.pattern = _event_pattern((*ev.EVENTS, "sched_switch") if with_scheduler else ev.EVENTS)
        self.rows: list[tuple[int, ...]] = []
        self.callers: list[str | None] = []
        self.lost: int | None = None
        self.gaps: list[tuple[int, int]] = []
        self.last_of_cpu: dict[int, int] = {}
        self.in_ticks = False
        self.switches: list[tuple[int, int, int]] = []
        self.line, self.rows_in = 1, 0
        # Whether all lines so far were comments.
        self.in_head = True
        # CPU time of each task up to its latest switch away, and when it got its current CPU.
        self.used: dict[int, int] = defaultdict(int)
        self.since: dict[int, int] = {}

    def read(self, block: bytes) -> int:
        """Read the events of a block of complete lines; return their number."""
        if self.in_head:
            head = re.match(rb"(?:#.*\n)*", block)
            assert head is not None
            self.in_head = head.end() == len(block)
            if self.lost is None and (found := _HEAD_LOSS.search(head[0])):
                self.lost = int(found[2]) - int(found[1])
        at, before = 0, len(self.rows)
        for match in self.pattern.finditer(block):
            self.line += block.count(b"\n", at, match.start())
            at = match.start()
            name, losing, number, overwritten = match.group(4, 6, 7, 8)
            if name == b"sched_switch":
                self._switch(block, match)
            elif name is not None:
                self._add(block, match)
            elif overwritten:
                self.gaps = [(0, len(self.rows))]
            else:
                # The text is in time order, so the lost events are anywhere since the CPU's last event.
                self.gaps.append((self.last_of_cpu.get(int(losing), -1) + 1, len(self.rows)))
                if number or not self.with_scheduler:
                    self.lost = (self.lost or 0) + int(number or 1)
        self.line += block.count(b"\n", at)
        self.rows_in += _count_lines(block)
        return len(self.rows) - before

    def _add(self, block: bytes, match: re.Match[bytes]) -> None:
        pid, cpu, time, name, rest = match.group(1, 2, 3, 4, 5)
        self.in_ticks |= b"." not in time
        code, task, ticks = ev.EVENTS.index(name.decode()), int(pid), _ticks(time)
        self.last_of_cpu[int(cpu)] = len(self.rows)
        found = {key: _number(value) for key, value in _FIELD.findall(rest)}
        page, *others = (found.get(key, ev.NONE) for key in (b"page", b"vaddr", b"nr", b"cnt"))
        cpu_time = since = ev.NONE
        if self.with_scheduler:
            caller = _CALLER.search(rest)
            self.callers.append(caller[1].decode("utf-8", "replace") if caller else None)
            if code in _FOLLOWED:
                # The first event of a task that ran before the recording began.
                since = self.since.setdefault(task, ticks)
                cpu_time = self.used[task] + ticks - since
        self.rows.append((self.line, ticks, code, task, int(cpu), page, *others, cpu_time, since))

    def _switch(self, block: bytes, match: re.Match[bytes]) -> None:
        if (switch := _SWITCH.search(match[5])) is None:
            raise self._lacks(block, match, "pids")
        leaving, coming, ticks = int(switch[1]), int(switch[2]), _ticks(match[3])
        self.switches.append((ticks, leaving, coming))
        self.used[leaving] += ticks - self.since.pop(leaving, ticks)
        self.since[coming] = ticks

    def _lacks(self, block: bytes, match: re.Match[bytes], what: str) -> InputError:
        event = self.rows_in + _count_lines(block[: match.end()])
        return InputError(
            f"{self.path}: event {event:,}: {match[4].decode()} lacks its {what}; correct the text"
        )

    def events(self) -> ev.PoolEvents:
        """Return the events read."""
        columns = np.array(self.rows, np.int64).reshape(-1, 11).T
        switches = ev.Switches(*np.array(self.switches, np.int64).T) if self.switches else None
        seq, time, code, pid, cpu, page, vaddr, slot, count, cpu_time, since = columns
        return ev.PoolEvents(
            path=self.path, seq=seq, time=time, code=code, pid=pid, cpu=cpu, page=page, vaddr=vaddr,
            slot=slot, count=count,
            kind=classify_callers(pa.array(self.callers, pa.string())) if self.with_scheduler else None,
            cpu_time=cpu_time if self.switches else None,
            rows_in=self.rows_in, lost=self.lost, gaps=tuple(self.gaps), in_ticks=self.in_ticks,
            switches=switches, on_cpu_since=since if self.switches else None,
        )  # fmt: skip


def _count_lines(block: bytes) -> int:
    """Return the number of lines with an event, without comments and reports of losses."""
    lines = block.count(b"\n") + (not block.endswith(b"\n"))
    return lines - sum(1 for _ in _NO_EVENT.finditer(block))


def _number(text: bytes) -> int:
    """Convert text to a signed 64-bit number, for columns; without a prefix it is decimal."""
    value = int(text, 16) if text.startswith(b"0x") else int(text)
    return value - (1 << 64) if value >> 63 == 1 else value


def _ticks(time: bytes) -> int:
    """Return the time of an event: ticks, or ns if the text has seconds with a fraction."""
    seconds, point, fraction = time.partition(b".")
    return int(seconds + fraction.ljust(9, b"0")) if point else int(seconds)
