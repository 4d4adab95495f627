"""Operations of `perf script` text once more, in plain Python and by the rules of docs/importing.md alone.

Slow and short, with a parser of its own. It draws nothing: how long a mapping lasted whose end no event shows
is given by `drawn`, and held against the latest CPU time that it can have ended at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

_LINE = re.compile(r"^\s*(.+?)\s+(\d+)/(\d+)\s+\[(\d+)\]\s+(\d+)\.(\d{9}):\s+\w+:(\w+): (.*)$")
_SWITCH = re.compile(r"prev_pid=(\d+) .*prev_state=(\S+) ==> .*next_pid=(\d+) ")
_CALL = re.compile(r"sys_(enter|exit)_(\w+)")
_MOVES = ("read", "pread64", "write", "pwrite64")
_MIB = 1 << 20

Moment = tuple[int, int]  # clock, CPU time used by the task


@dataclass
class Operation:
    """One row: who, what, and from when to when. `gap` is think and wait before it."""

    tid: int
    pid: int
    cpu: int
    kind: str
    page: Any
    begin: Moment
    size: int | None = None
    end: Moment | None = None
    depth: int = 0
    gap: Moment = (0, 0)


@dataclass
class _Copy:
    kind: str
    file: Any
    start: int
    last: int
    mark: Moment
    pages: list[Operation] = field(default_factory=list)
    at: int = 0
    nested_end: Moment = (0, 0)
    slept: bool = False


@dataclass
class _Task:
    comm: str
    used: int = 0
    since: int | None = None
    latest: int = 0
    cpu: int = 0
    call: tuple[str, dict[str, int]] | None = None
    copy: _Copy | None = None
    open_ended: Operation | None = None
    last_end: Moment | None = None

    def cpu_time(self, t: int) -> int:
        return self.used + (t - self.since if self.since is not None else 0)


class Plain:
    """Takes lines in; `operations` holds what they make, each at the place of its begin.

    `drawn` gives the hold of an operation that nothing shows the end of, by clock and CPU of its begin.
    """

    def __init__(self, drawn: Mapping[Moment, int]) -> None:
        """Begin."""
        self.drawn = drawn
        self.operations: list[Operation] = []
        self.tasks: dict[int, _Task] = {}
        self.images: dict[int, int] = {}
        self.positions: dict[tuple[int, int], int] = {}

    def take(self, lines: Iterable[str]) -> Plain:
        """Read all lines."""
        for line in lines:
            found = _LINE.match(line)
            assert found, line
            comm, pid, tid, cpu, whole, fraction, event, rest = found.groups()
            t = int(whole) * 10**9 + int(fraction)
            if event == "sched_switch":
                self._switch(t, int(cpu), rest)
            elif int(tid) and (moment := self._meaning(event, rest)) is not None:
                self._event(t, comm, int(pid), int(tid), int(cpu), moment, rest)
        for task in self.tasks.values():
            self._end_open(task, None)
        # What a call did not return from is left out, but for pages that faults were nested in.
        self.operations.sort(key=lambda found: found.begin[0])
        return self

    @staticmethod
    def _meaning(event: str, rest: str) -> tuple[str, Any] | None:
        if event.startswith("page_fault_"):
            return event, int(re.search(r"address=0x([0-9a-f]+)", rest)[1], 16)  # type: ignore[index]
        if event == "mm_filemap_get_pages":
            device, inode, first, last = re.search(r"dev=(\S+) ino=(\w+) ofs=(\d+)-(\d+)", rest).groups()  # type: ignore[union-attr]
            return event, ((device, int(inode, 16)), int(first), int(last))
        if event in ("ext4_da_write_begin", "ext4_da_write_end"):
            major, minor, inode, at = re.search(r"dev (\d+),(\d+) ino (\d+) pos (\d+)", rest).groups()  # type: ignore[union-attr]
            size = re.search(r"copied (\d+)", rest) or re.search(r"len (\d+)", rest)
            return event, ((f"{major}:{minor}", int(inode)), int(at), int(size[1]))  # type: ignore[index]
        call = _CALL.fullmatch(event)
        if call and call[2] in (*_MOVES, "openat", "close", "lseek", "dup2", "getdents64"):
            return event, call.groups()
        return None

    def _switch(self, t: int, cpu: int, rest: str) -> None:
        leaves, state, comes = _SWITCH.search(rest + " ").groups()  # type: ignore[union-attr]
        task = self.tasks.get(int(leaves))
        if task and task.since is not None:
            t_task = task.latest = max(t, task.latest)
            task.used = task.cpu_time(t_task)
            self._end_open(task, task.used)
            task.since = None
            if task.copy:
                task.copy.slept = not state.startswith("R")
        task = self.tasks.get(int(comes))
        if task and task.since is None:
            task.latest, task.cpu = max(t, task.latest), cpu
            self._comes_on(task, task.latest)

    @staticmethod
    def _comes_on(task: _Task, t: int) -> None:
        task.since = t
        copy = task.copy
        if copy and copy.slept and not copy.pages:
            copy.mark = (t, task.used)
        if copy:
            copy.slept = False

    def _end_open(self, task: _Task, latest: int | None) -> None:
        found, task.open_ended = task.open_ended, None
        if found is None:
            return
        hold = self.drawn[found.begin[0], found.cpu]
        assert hold >= 0
        assert latest is None or found.begin[1] + hold <= latest
        found.end = (found.begin[0] + hold, found.begin[1] + hold)
        if not found.depth:
            task.last_end = found.end
        elif task.copy:
            task.copy.nested_end = found.end
            task.copy.mark = (max(task.copy.mark[0], found.end[0]), max(task.copy.mark[1], found.end[1]))

    def _event(
        self, t: int, comm: str, pid: int, tid: int, cpu: int, said: tuple[str, Any], rest: str
    ) -> None:
        task = self.tasks.setdefault(tid, _Task(comm, since=t))
        task.latest = t = max(t, task.latest)
        task.cpu = cpu
        if task.since is None:
            self._comes_on(task, t)
        if comm != task.comm:
            self.images[pid] = self.images.get(pid, 0) + 1
            task.comm = comm
        now = (t, task.cpu_time(t))
        self._end_open(task, now[1])
        event, fields = said
        if event.startswith("page_fault_"):
            self._fault(task, pid, tid, now, fields, event.endswith("user"))
        elif event == "mm_filemap_get_pages":
            self._looked_up(task, pid, tid, now, *fields)
        elif event == "ext4_da_write_begin":
            file, at, size = fields
            task.copy = _Copy("copy_from_user", file, at, at + size - 1, now)
        elif event == "ext4_da_write_end":
            self._done(task, pid, tid, now, fields[2])
        elif fields[0] == "enter":
            task.call, task.copy = (fields[1], _arguments(rest)), None
        else:
            self._returned(task, pid, tid, now, fields[1], rest)

    def _new(self, task: _Task, **what: Any) -> Operation:
        operation = Operation(cpu=task.cpu, **what)
        since = task.copy.nested_end if operation.depth and task.copy else task.last_end
        if since:
            clock, think = (now - then for now, then in zip(operation.begin, since, strict=True))
            operation.gap = (think, clock - think)
        self.operations.append(operation)
        return operation

    def _fault(self, task: _Task, pid: int, tid: int, now: Moment, address: int, user: bool) -> None:
        if user:
            task.copy = None
        copy = task.copy
        if copy:
            into = address - task.call[1].get("buf", 0) if task.call else -1
            if task.call and 0 <= into < task.call[1].get("count", 0):
                copy.at = min(max(copy.at or copy.start, copy.start + into), copy.last)
            self._pages(task, pid, tid, now, (copy.at or copy.start) >> 12, open_last=True)
        page = ("page table", pid, self.images.get(pid, 0), address >> 21)
        task.open_ended = self._new(
            task, tid=tid, pid=pid, kind="page_fault", page=page, begin=now, depth=1 if copy else 0
        )

    def _looked_up(
        self, task: _Task, pid: int, tid: int, now: Moment, file: Any, first: int, last: int
    ) -> None:
        name, given = task.call or ("", {})
        if task.copy:
            task.copy.last = max(task.copy.last, last)
        elif name in ("read", "pread64"):
            at = given["pos"] if name == "pread64" else self.positions.get((pid, given["fd"]), -1)
            if at >> 12 != first >> 12:
                at = first
            task.copy = _Copy("copy_to_user", file, at, last, now)
        else:
            last = min(last, first + _MIB)
            assert first >> 12 == last >> 12, "the samples have no longer ones"
            what = {"kind": "other", "page": (file, first >> 12), "size": last + 1 - first}
            task.open_ended = self._new(task, tid=tid, pid=pid, begin=now, **what)

    def _pages(self, task: _Task, pid: int, tid: int, now: Moment, last: int, open_last: bool) -> None:
        """Give each page up to `last` its share of the time since the mark; the last one may stay open."""
        copy = task.copy
        assert copy
        first = copy.pages[-1].page[1] if copy.pages else copy.start >> 12
        shares = last - first + 1
        (t0, c0), (t1, c1) = copy.mark, (max(now[0], copy.mark[0]), max(now[1], copy.mark[1]))
        for share in range(shares):
            begin = (t0 + (t1 - t0) * share // shares, c0 + (c1 - c0) * share // shares)
            end = (t0 + (t1 - t0) * (share + 1) // shares, c0 + (c1 - c0) * (share + 1) // shares)
            if share or not copy.pages:
                page = (copy.file, first + share)
                copy.pages.append(self._new(task, tid=tid, pid=pid, kind=copy.kind, page=page, begin=begin))
                copy.nested_end = begin
            if not (open_last and share == shares - 1):
                copy.pages[-1].end = task.last_end = end
        copy.mark = (t1, c1)

    def _done(self, task: _Task, pid: int, tid: int, now: Moment, moved: int) -> None:
        copy, task.copy = task.copy, None
        if not copy:
            return
        end = min(copy.start + moved, copy.last + 1)
        if end > copy.start or copy.pages:
            task.copy = copy
            self._pages(task, pid, tid, now, max((end - 1) >> 12, copy.at >> 12), open_last=False)
            task.copy = None
        for page in copy.pages:
            number = page.page[1]
            page.size = max(min(end, (number + 1) << 12) - max(copy.start, number << 12), 0)

    def _returned(self, task: _Task, pid: int, tid: int, now: Moment, name: str, rest: str) -> None:
        given = task.call[1] if task.call and task.call[0] == name else None
        task.call = None
        result = int(rest.split(maxsplit=1)[0], 16)
        result -= (1 << 64) if result >> 63 else 0
        if given is None:
            task.copy = None
            return
        key = (pid, given.get("fd", -1))
        if name == "openat" and result >= 0:
            self.positions[pid, result] = 0
        elif name == "close":
            self.positions.pop(key, None)
        elif name == "lseek" and result >= 0:
            self.positions[key] = result
        elif name == "dup2" and result >= 0:
            self.positions[pid, result] = self.positions.get((pid, given["fildes"]), -1)
        elif name in _MOVES and task.copy:
            if result > 0:
                if name == "read":
                    self.positions[key] = task.copy.start + result
                self._done(task, pid, tid, now, result)
            task.copy = None


def _arguments(rest: str) -> dict[str, int]:
    return {name: int(value, 16) for name, value in re.findall(r"(\w+): (0x[0-9a-f]+)", rest)}
