"""A pool for each process in its own page tables: cached, flushed only on the CPUs that run the process.

    pool[p].cursor     slot of process `p` examined last; starts at 0 and advances before each examination
    pool[p].released   time of the last release of one of its slots, counted in switches of address spaces
    pool[p].owner      1 + the task that holds the semaphore; 0: none
    pool[p].held       mappings of the owner
    pool[p].users      current mappings of the process
    pool[p].maps       maps since the process began; counted only if processes end

    slot.count         0: clean, may be taken; 1: cached and unused; n: n - 1 users. slot.count, slot.page,
                       slot.next and slot.bucket (a hash by page for each process) are as in
                       components/private_pool.py
    slot.released      time of the slot's last release; 0: never

The slots of all processes are at the same addresses. The PTEs are not global: on most machines a CPU loses
their translations when it switches to another address space. If a switch keeps them (PCID, ASIDs), a CPU that
returns after the translations were ended empties its TLB first. So a flush concerns only CPUs that are in the
process's address space and have not emptied their TLB since a slot was released. At a wrap this is usually
only the local CPU, which flushes its own TLB. Other CPUs that run threads of the process are interrupted to
flush theirs. If there is no such CPU, no flush is needed.

The threads of a process share a lock. A task that finds all slots in use sleeps in the queue of the process.
No task is bound to a CPU, and a task may sleep while it holds a mapping.

Processes live as long as the trace, unless `lifetime` ends each of them after that many maps, when it has no
mapping left. Its successor, which is not part of the trace, starts with an empty pool, a page table to clear
and install, and a new address space to enter.

`cache=false` makes a slot clean at its unmap. Its next map invalidates the one address where TLBs may still
hold it. With `semaphore`, a thread waits until no other thread of its process holds a mapping. These two
options with two slots give the "userfixmap".

Source: R. van Riel's process-local pool; M. J. Bligh's user-kernel virtual address area (UKVA), 2002-2003;
A. Arcangeli's userfixmap. Ours: the number of slots; pages are found by a hash, whose entries and scan at a
wrap cost as much as CPU-local memory; a scan that freed nothing needs no flush.
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
    Option("cache", True, help="keep a slot's mapping after the unmap"),
    Option("semaphore", False, help="only one thread of a process at a time may hold mappings"),
    Option(
        "lifetime", 0, minimum=0, maximum=1 << 30, help="maps until a new process replaces the old; 0: never"
    ),
    WAKE_OPTION,
)
POOL = [
    ("cursor", "i4"), ("owner", "i4"), ("held", "i4"), ("users", "i4"), ("maps", "i4"), ("released", "i8"),
]  # fmt: skip
SLOT = [*PRIVATE_SLOT, ("released", "i8")]
NON_GLOBAL = True


def slots(options: dict[str, int], shape: Shape) -> int:
    """Slots of all processes."""
    return options["slots"] * shape.processes


def pools(options: dict[str, int], shape: Shape) -> int:
    """One pool, one lock and one wait queue for each process."""
    return shape.processes


locks = queues = pools


def address_space_pages(options: dict[str, int], shape: Shape) -> int:
    """The pools of all processes are at the same addresses."""
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
    """Find the page in the process's pool or take a clean slot; at a wrap, flush the CPUs that run it."""
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
    """Replace a process that has no mapping left by a new one."""
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
    """Use the slot of the request; without a cache, first invalidate its address where TLBs may hold it."""
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
    """Drop one use; after the release, wake sleepers of the process if the slot became free."""
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
    """No task may remain asleep unless all slots of its process, or its semaphore, are in use."""
    if not a.options[0].semaphore:
        return lost_wakeups_in_pools(a, live)
    free = [p for p, pool in enumerate(a.pool) if pool.owner == 0]
    return [text for p in free for text in check_sleepers(live, p, 1, "semaphore is free")]


def check(a: State, live: Check) -> list[str]:
    """Each process's pool must be consistent, and its semaphore held exactly while mappings exist."""
    problems = check_private_pools(a, live, bool(a.options[0].cache))
    if a.options[0].semaphore:
        users: Counter[int] = Counter()
        for at, count in live.users.items():
            users[at // int(a.options[0].slots)] += count
        for p, (held, owner) in enumerate(zip(a.pool.held.tolist(), a.pool.owner.tolist(), strict=True)):
            if held != users[p] or (owner == 0) != (users[p] == 0):
                problems.append(f"process {p}: its semaphore is held {held} times for {users[p]} mappings")
    return problems
