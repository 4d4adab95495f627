"""A pool for each process in its own page tables: cached, flushed only where that process runs.

    pool[p].cursor     slot of process `p` looked at last; starts at 0 and is advanced before it is looked at
    pool[p].released   when a slot of it was last released, counted in switches of address spaces
    pool[p].owner      1 + the task that has the semaphore; 0: nobody
    pool[p].held       how many mappings the owner has
    pool[p].users      how many mappings of the process are in force
    pool[p].maps       maps since the process began; counted only if processes end

    slot.count         0: clean, and to be taken; 1: cached, and unused; n: n - 1 users. This and slot.page,
                       slot.next, slot.bucket, a hash by page for each process, are as in
                       components/private_pool.py
    slot.released      when it was last released; 0: never

All processes have their slots at the same addresses. The PTEs are not global: on most machines a CPU that
switches to another address space loses their translations; where a switch leaves them (PCID, ASIDs), a CPU
that comes back after they were ended empties its TLB first. So only CPUs that are in the process's address
space, and have not emptied their TLB since a slot was released, must be told. At a wrap that is mostly the
own CPU, which flushes its TLB; others that run threads of the process are interrupted to do so too, and where
there are none, nobody has to. The threads share a lock; a task that finds all slots in use sleeps in the
queue of the process. No task is bound to a CPU, and it may sleep while it has something mapped.

Processes live as long as the trace, unless `lifetime` ends each after so many maps, once it has nothing
mapped: its successor, which the trace does not know, has an empty pool, a page table to clear and hook in,
and a fresh address space to enter.

`cache=false` makes a slot clean at its unmap; its next map invalidates the one address where it may still
be. With `semaphore` a thread waits until no other of its process has anything mapped. Both, and two slots,
are the "userfixmap".

Source: R. van Riel's process-local pool; M. J. Bligh's user-kernel virtual address area (UKVA), 2002-2003;
A. Arcangeli's userfixmap. Ours: the number of slots; that pages are found by a hash, whose entries and
whose pass at a wrap are priced as memory that the CPU has to itself; no flush after a pass that freed
nothing.
"""

from __future__ import annotations

from collections import Counter

from pipeline.allocators.api.actions import DONE, LOCK, SLEEP, STEP, UNLOCK
from pipeline.allocators.api.contract import Check, Option, Shape
from pipeline.allocators.api.effects import forget_outside, may_hold_since, touch_local, write_pte
from pipeline.allocators.api.protocols import Request, State, StepCost
from pipeline.allocators.components.cached_pool import lost_wakeups_in_pools
from pipeline.allocators.components.checks import check_sleepers
from pipeline.allocators.components.directed_flush import flush_there, invalidate_there
from pipeline.allocators.components.private_pool import (
    EXHAUSTED,
    PRIVATE_SLOT,
    WRAPPED,
    check_private_pools,
    drop_use,
    make_clean,
    make_clean_at_once,
    take_clean,
    use_cached,
)
from pipeline.allocators.components.wake import ASK, DROP, END, WAKE, WAKE_OPTION, unmap_around_drop, wake
from pipeline.jit.marks import inline

SUMMARY = "a cached pool per process, non-global: flushes only the CPUs that run it"
SOURCE = "R. van Riel; M. J. Bligh (UKVA); A. Arcangeli (userfixmap); linux-kernel, 2002-2003"
OPTIONS = (
    Option("slots", 64, minimum=2, maximum=1 << 14, help="slots of each process"),
    Option("cache", True, help="keep what a slot maps after the unmap"),
    Option("semaphore", False, help="one thread of a process at a time has anything mapped"),
    Option(
        "lifetime", 0, minimum=0, maximum=1 << 30, help="maps of a process until a new one follows; 0: never"
    ),
    WAKE_OPTION,
)
POOL = [
    ("cursor", "i4"), ("owner", "i4"), ("held", "i4"), ("users", "i4"), ("maps", "i4"), ("released", "i8"),
]  # fmt: skip
SLOT = [*PRIVATE_SLOT, ("released", "i8")]
NON_GLOBAL = True


def slots(options: dict[str, int], shape: Shape) -> int:
    """Those of all processes."""
    return options["slots"] * shape.processes


def pools(options: dict[str, int], shape: Shape) -> int:
    """A pool, a lock and a wait queue for each process."""
    return shape.processes


locks = queues = pools


def address_space_pages(options: dict[str, int], shape: Shape) -> int:
    """The same addresses serve every process."""
    return options["slots"]


# 4 KB of a page table, cleared line by line.
_LINES_OF_A_TABLE = 64

# Steps of a map, from ASK on.
_SEARCH = 1
_FLUSHED = 2
_MAPPED = 3
_RELEASED = 4


@inline
def map_step(a: State, r: Request, d: StepCost) -> int:
    """Find the page in the process's pool or take a clean slot of it; flush where it runs at a wrap."""
    p = r.process
    pool = a.pool[p]
    d.queue = p
    if r.step == ASK:
        d.lock = p
        r.step = _SEARCH
        return LOCK
    if r.step == _RELEASED:
        return DONE
    if r.step == _MAPPED:
        r.step = _RELEASED
        return UNLOCK
    if r.step != _FLUSHED:
        r.budget = a.options[0].slots
        touch_local(d, 2)
        if a.options[0].semaphore and pool.owner not in (0, r.task + 1):
            r.step = ASK
            return SLEEP
        if 0 < a.options[0].lifetime <= pool.maps and pool.users == 0:
            return _begin_process(a, r, d)
        if a.options[0].cache and use_cached(a, r, p):
            return _use(a, r, d)
    result = take_clean(a, r, d, p, r.step == _FLUSHED)
    while result == WRAPPED:
        if a.options[0].cache:
            touch_local(d, a.options[0].slots)
        if r.mark > 0:
            mask = may_hold_since(a, d, p, pool.released)
            forget_outside(a, d, p)
            if mask != 0:
                r.step = _FLUSHED
                return flush_there(d, mask)
        result = take_clean(a, r, d, p, True)
    if result == EXHAUSTED:
        r.step = ASK
        return SLEEP
    return _use(a, r, d)


@inline
def _begin_process(a: State, r: Request, d: StepCost) -> int:
    """Another process takes the place of one that has nothing mapped any more."""
    pool = a.pool[r.process]
    size = a.options[0].slots
    pool.maps = 0
    pool.cursor = 0
    make_clean(a, d, r.process * size, size)
    touch_local(d, _LINES_OF_A_TABLE)
    write_pte(d)
    forget_outside(a, d, r.process)
    r.step = _FLUSHED
    return flush_there(d, may_hold_since(a, d, r.process, pool.released))


@inline
def _use(a: State, r: Request, d: StepCost) -> int:
    """The request has its slot; without a cache, an address that may be in some TLB must go from it first."""
    pool = a.pool[r.process]
    pool.users += 1
    pool.maps += min(a.options[0].lifetime, 1)
    if a.options[0].semaphore:
        pool.owner = r.task + 1
        pool.held += 1
    if a.options[0].cache:
        r.step = _RELEASED
        return UNLOCK
    r.step = _MAPPED
    released = a.slots[r.slot].released
    if released == 0:
        return STEP
    forget_outside(a, d, r.process)
    return invalidate_there(a, d, r.slot, may_hold_since(a, d, r.process, released))


@inline
def unmap_step(a: State, r: Request, d: StepCost) -> int:
    """Drop one use; wake sleepers of the process, after the release, if the slot became free."""
    pool = a.pool[r.process]
    d.lock = r.process
    if r.step != DROP:
        return unmap_around_drop(r, d, r.process, wake(a))
    touch_local(d, 1)
    pool.users -= 1
    free = drop_use(a, r, d)
    pool.released = d.moment
    a.slots[r.slot].released = d.moment
    if free and not a.options[0].cache:
        write_pte(d)
        make_clean_at_once(a, r.slot)
    if a.options[0].semaphore:
        pool.held -= 1
        if pool.held == 0:
            pool.owner = 0
    r.step = WAKE if free and a.queues[r.process].sleepers > 0 else END
    return UNLOCK


def lost_wakeups(a: State, live: Check) -> list[str]:
    """No task may be left asleep unless all slots of its process are in use, or its semaphore is."""
    if not a.options[0].semaphore:
        return lost_wakeups_in_pools(a, live)
    free = [p for p, pool in enumerate(a.pool) if pool.owner == 0]
    return [text for p in free for text in check_sleepers(live, p, 1, "semaphore is to be had")]


def check(a: State, live: Check) -> list[str]:
    """Each process's pool must be in order, and its semaphore be held as long as something is mapped."""
    problems = check_private_pools(a, live, bool(a.options[0].cache))
    if a.options[0].semaphore:
        users: Counter[int] = Counter()
        for at, count in live.users.items():
            users[at // int(a.options[0].slots)] += count
        for p, (held, owner) in enumerate(zip(a.pool.held.tolist(), a.pool.owner.tolist(), strict=True)):
            if held != users[p] or (owner == 0) != (users[p] == 0):
                problems.append(f"process {p}: its semaphore is held {held} times, {users[p]} are mapped")
    return problems
