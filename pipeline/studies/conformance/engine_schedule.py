"""Turns as the compiled loop takes them (`engine.lock_schedule`), each as part of a request."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from pipeline.importing.kmap_pool.lock_schedule import FLUSHES, MAPS, SLEEPS, UNMAPS, LockSchedule
from pipeline.jit.tables import Tables
from pipeline.jit.tables import records as records_of
from pipeline.machine.engine import records

_TURN = np.dtype(
    [
        ("page", "i8"), ("request", "i4"), ("task", "i4"), ("cpu", "i4"), ("slot", "i4"), ("begins", "i1"),
        ("unmapping", "i1"), ("sleeps", "i1"), ("woken", "i1"),
    ],
    align=True,
)  # fmt: skip
_ANSWER = np.dtype(
    [
        ("evicted", "i8"), ("action", "i4"), ("scans", "i4"), ("flushes", "i4"), ("slot", "i4"),
        ("count", "i4"), ("wake", "i4"),
    ],
    align=True,
)  # fmt: skip
_SLEEPER = np.dtype([("state", "i4"), ("queue", "i4"), ("before", "i4"), ("after", "i4")], align=True)
_QUEUE = np.dtype([("head", "i4"), ("tail", "i4")], align=True)


class Script:
    """One request for each map and its unmap; `requests` and `tasks` are how many.

    A request lasts from a map's first turn to the unmap of its page. An unmap undoes the task's own latest
    mapping of the page, else the latest by any task.
    """

    def __init__(self, turns: LockSchedule) -> None:
        number = len(turns.kind)
        _, task = np.unique(turns.pid, return_inverse=True)
        self.tasks = int(task.max(initial=0)) + 1
        self.slept = np.zeros(number, np.bool_)
        self.late = np.zeros(number, np.bool_)
        request = np.zeros(number, np.int64)
        begins = np.zeros(number, np.bool_)
        free: list[int] = []
        self.requests = 0
        pending: dict[int, int] = {}  # request of a task asleep
        asleep: dict[int, int] = {}  # the turn in which a task went to sleep
        open_of: dict[int, list[tuple[int, int]]] = defaultdict(list)  # (task, request) that map a page
        done = zip(turns.kind.tolist(), task.tolist(), turns.page.tolist(), turns.woken.tolist(), strict=True)
        late = turns.late.tolist()
        for k, (kind, who, page, woken) in enumerate(done):
            if kind == FLUSHES:
                continue
            if woken and (since := asleep.pop(who, None)) is not None:
                self.slept[k] = True
                self.late[k] = late[since]
            if kind == UNMAPS:
                there = open_of[page]
                own = next((at for at in range(len(there) - 1, -1, -1) if there[at][0] == who), -1)
                i = there.pop(own)[1] if there else None
            else:
                i = pending.pop(who, None)
            if i is None:
                begins[k] = True
                if free:
                    i = free.pop()
                else:
                    i = self.requests
                    self.requests += 1
            request[k] = i
            if kind == MAPS:
                open_of[page].append((who, i))
            elif kind == SLEEPS:
                pending[who] = i
                asleep[who] = k
            else:
                free.append(i)
        self.requests = max(self.requests, 1)
        self.turns = records_of(max(number, 1), _TURN)
        columns = {
            "page": turns.page, "request": request, "task": task, "cpu": turns.cpu, "slot": turns.slot,
            "begins": begins, "unmapping": turns.kind == UNMAPS, "sleeps": turns.kind == SLEEPS,
            "woken": turns.woken,
        }  # fmt: skip
        for name, column in columns.items():
            self.turns[name][:number] = column

    def tables(self, room: int, queues: int) -> Tables:
        """Lay the turns out, with space for the answers and for `room` evicted pages."""
        lists = records_of(queues, _QUEUE)
        lists["head"] = lists["tail"] = -1
        return Tables(
            checked=False,
            turns=self.turns,
            answers=records_of(len(self.turns), _ANSWER),
            evicted=records_of(room, records.EVICTED),
            evicted_room=np.array([room], np.int64),
            tasks=records_of(self.tasks, _SLEEPER),
            queues=lists,
        )
