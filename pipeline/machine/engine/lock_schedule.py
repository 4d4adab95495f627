"""Replaying an allocator's lock turns in a given order instead of a simulated one.

A turn is the work of one task from its lock request until its map or unmap is done or it sleeps. Tables of
`t`, laid out by `pipeline.studies.conformance.scheduled_requests`:

    turns      the work of each turn: `request` and `task` (numbers from 0), `begins` (the request is new),
               `page`, `cpu`, `unmapping`, `slot` (of a mapping older than the first turn), `sleeps` and
               `woken` (whether the real turn ended with a sleep, and began with a wake-up)
    answers    the allocator's results: its last `action`, `scans`, `flushes`, `evicted` (in all turns so
               far), `slot` and its use `count` afterwards; `wake`, see below
    evicted    evicted pages, in order
    tasks      each task's place in the list of its wait queue
    queues     those lists

The recording decides whether a task sleeps. The allocator decides whether it was woken before it continued.
"""

from __future__ import annotations

from typing import Any

from pipeline.allocators.api.actions import DONE, FLUSH_ALL, FLUSH_MASK, SLEEP, STEP, WAKE_ALL, WAKE_ONE
from pipeline.allocators.api.protocols import State
from pipeline.jit.marks import entry, inline, noinline
from pipeline.machine.engine.allocator_call import call_allocator
from pipeline.machine.engine.tables import MachineState
from pipeline.schema import codes

# `tasks.state`, and `answers.wake` of a turn that began with a wake-up.
AWAKE = 0  # not known to have slept
ASLEEP = 1  # not woken yet
WOKEN = 2

MOST_STEPS = 1 << 20


@entry
def take_turns(w: MachineState, a: State, t: Any, first: int, last: int) -> int:
    """Take the turns from `first` to before `last`; return `last`, or the turn that does not end."""
    evicted = t.answers[first - 1].evicted if first > 0 else 0
    for k in range(first, last):
        turn = t.turns[k]
        answer = t.answers[k]
        i = turn.request
        r = w.requests[i]
        if turn.begins == 1:
            r.page = turn.page
            r.task = i
            r.process = i
            r.depth = 0
            r.slot = -1
            r.step = 0
            r.unmapping = codes.MAP
        if turn.unmapping == 1:
            r.unmapping = codes.UNMAP
            r.step = 0
            if r.slot < 0:
                r.slot = turn.slot
        if turn.woken == 1:
            answer.wake = t.tasks[turn.task].state
            _go_on(a, t, turn.task)
        answer.scans = 0
        answer.flushes = 0
        action = STEP
        steps = 0
        while action not in (DONE, SLEEP):
            if steps == MOST_STEPS:
                return k
            steps += 1
            action = call_allocator(w, a, i, turn.cpu)
            d = w.step_cost[0]
            if d.scans > 0:
                answer.scans += d.scans
                for e in range(d.evicted):
                    if evicted < t.evicted_room[0]:
                        t.evicted[evicted].page = a.evicted[e].page
                    evicted += 1
            if action in (FLUSH_ALL, FLUSH_MASK):
                answer.flushes += 1
            elif action == WAKE_ALL:
                while t.queues[d.queue].head >= 0:
                    _wake_first(a, t, d.queue)
            elif action == WAKE_ONE and t.queues[d.queue].head >= 0:
                _wake_first(a, t, d.queue)
        answer.action = action
        answer.evicted = evicted
        answer.slot = r.slot
        answer.count = a.slots[r.slot].count if r.slot >= 0 else -1
        if turn.sleeps == 1:
            _go_to_sleep(a, t, turn.task, w.step_cost[0].queue if action == SLEEP else 0)
    return last


@noinline
def _go_to_sleep(a: State, t: Any, task: int, q: int) -> None:
    """Append the task to a queue; it leaves any queue that it is still in."""
    _go_on(a, t, task)
    sleeper = t.tasks[task]
    queue = t.queues[q]
    sleeper.state = ASLEEP
    sleeper.queue = q
    sleeper.before = queue.tail
    sleeper.after = -1
    if queue.tail >= 0:
        t.tasks[queue.tail].after = task
    else:
        queue.head = task
    queue.tail = task
    a.queues[q].sleepers += 1


@inline
def _wake_first(a: State, t: Any, q: int) -> None:
    """Wake the first task of a non-empty queue."""
    task = t.queues[q].head
    _leave(a, t, task)
    t.tasks[task].state = WOKEN


@inline
def _go_on(a: State, t: Any, task: int) -> None:
    """Let the task continue; it has its lock again, whatever woke it."""
    if t.tasks[task].state == ASLEEP:
        _leave(a, t, task)
    t.tasks[task].state = AWAKE


@inline
def _leave(a: State, t: Any, task: int) -> None:
    """Remove the task from the list of its queue."""
    sleeper = t.tasks[task]
    queue = t.queues[sleeper.queue]
    if sleeper.before >= 0:
        t.tasks[sleeper.before].after = sleeper.after
    else:
        queue.head = sleeper.after
    if sleeper.after >= 0:
        t.tasks[sleeper.after].before = sleeper.before
    else:
        queue.tail = sleeper.before
    a.queues[sleeper.queue].sleepers -= 1
