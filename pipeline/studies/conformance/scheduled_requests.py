"""The lock schedule of a recording in the form of the engine, in which each hold belongs to a request."""

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


class ScheduledRequests:
    """One request for each map with its unmap.

    A request lasts from the first turn of a map to the unmap of its page. An unmap ends the task's own latest
    mapping of the page or, if there is none, the latest mapping by any task. `number` is the most requests at
    the same time, and `tasks` is the number of tasks.
    """

    def __init__(self, schedule: LockSchedule) -> None:
        holds = len(schedule.kind)
        _, task = np.unique(schedule.pid, return_inverse=True)
        self.tasks = int(task.max(initial=0)) + 1
        self.slept = np.zeros(holds, np.bool_)
        self.late = np.zeros(holds, np.bool_)
        request = np.zeros(holds, np.int64)
        begins = np.zeros(holds, np.bool_)
        free: list[int] = []
        self.number = 0
        pending: dict[int, int] = {}  # request of a task asleep
        asleep: dict[int, int] = {}  # the hold in which a task went to sleep
        mapping: dict[int, list[tuple[int, int]]] = defaultdict(list)  # (task, request) that map a page
        columns = (schedule.kind, task, schedule.page, schedule.woken)
        for k, (kind, t, page, woken) in enumerate(zip(*(c.tolist() for c in columns), strict=True)):
            if kind == FLUSHES:
                continue
            if woken and (since := asleep.pop(t, None)) is not None:
                self.slept[k] = True
                self.late[k] = schedule.late[since]
            i: int | None = None
            if kind != UNMAPS:
                i = pending.pop(t, None)
            elif there := mapping[page]:
                own = next((at for at in reversed(range(len(there))) if there[at][0] == t), -1)
                i = there.pop(own)[1]
            if i is None:
                begins[k] = True
                if not free:
                    free.append(self.number)
                    self.number += 1
                i = free.pop()
            request[k] = i
            if kind == MAPS:
                mapping[page].append((t, i))
            elif kind == SLEEPS:
                pending[t] = i
                asleep[t] = k
            else:
                free.append(i)
        self.number = max(self.number, 1)
        self.turns = records_of(max(holds, 1), _TURN)
        given = {"request": request, "task": task, "begins": begins}
        given |= {"unmapping": schedule.kind == UNMAPS, "sleeps": schedule.kind == SLEEPS}
        for name in _TURN.names or ():
            self.turns[name][:holds] = given[name] if name in given else getattr(schedule, name)

    def tables(self, room: int, queues: int) -> Tables:
        """Make the tables of turns, with space for the answers and for `room` evicted pages."""
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
