"""Persistent kmaps of the kernel: one pool of cached mappings under one lock (Linux 2.4, mm/highmem.c).

    pool.cursor    slot examined last; starts at 0 and advances before each examination

    slot.count is not a pure use count:
                   0   clean: no PTE, and no TLB holds a stale translation; only a clean slot may be taken
                   1   cached and unused: the PTE is present and TLBs may hold it; not reusable before a flush
                   n   n - 1 users, n >= 2
    slot.page      the mapped page, if count >= 1

    page.slot      1 + the slot that caches the page; 0: none (`page->virtual`)

The lock is held throughout, including the scan of all slots at a wrap and its global flush. A count never
goes from 1 to 0 without a flush of every TLB before the slot is taken.

With `colours`, a page may be mapped only in slots of its own colour, page number modulo colours, so that a
virtually indexed cache holds it once. The colour of a slot is its number modulo colours. Each colour has its
own cursor, probe budget and wait queue over its share of the slots. A wrap of any cursor scans the whole
pool.

With `reserve`, a task without mappings waits until that many slots can be reserved for it. It releases the
reservation after its last unmap. A task that maps no more slots than it reserved never waits while it holds
a mapping: the other tasks cannot use its share. This prevents deadlock.

    pool.reserved  slots reserved by all tasks (in the first record); never more than the pool has

The algorithm is in components/cached_pool.py, where a colour is a series of slots.

Source: Linux 2.4.18 mm/highmem.c as described by the linux-kernel discussion of March 2002. `flush_if_any`
and `colours` follow later kernels. Reserving slots for each task is A. Arcangeli's proposal (three slots).
Ours: reservations are made under the pool's lock, and tasks that wait for one have a separate queue.
"""

from __future__ import annotations

from pipeline.allocators.api.actions import DONE, FLUSH_ALL, SLEEP, WAKE_ALL
from pipeline.allocators.api.contract import Check, Option, Shape
from pipeline.allocators.api.effects import touch
from pipeline.allocators.api.protocols import Request, State, StepCost
from pipeline.allocators.components.cached_pool import (
    ASK_AGAIN,
    FLUSH_IF_ANY,
    SEARCH,
    adopt_slot,
    check_pools,
    lost_wakeups_in_pools,
    map_cached,
    set_cursor,
    unmap_cached,
)
from pipeline.allocators.components.checks import check_sleepers
from pipeline.allocators.components.wake import ASK, DROP, WAKE_OPTION
from pipeline.jit.marks import inline

SUMMARY = "mainline 2.4: cached mappings under one lock, scan and global flush at each wrap"
SOURCE = "Linux 2.4.18, mm/highmem.c"
OPTIONS = (
    Option("slots", 1024, minimum=2, maximum=1 << 20, help="slots in the pool (LAST_PKMAP)"),
    FLUSH_IF_ANY,
    WAKE_OPTION,
    Option("colours", 1, minimum=1, maximum=64, help="cache colours, each with an equal share of the slots"),
    Option("reserve", 0, minimum=0, maximum=16, help="slots reserved for each task that maps; 0: none"),
)
POOL = [("cursor", "i4"), ("reserved", "i4")]
SLOT = [("count", "i4"), ("page", "i8")]
PAGE = [("slot", "i4")]


def slots(options: dict[str, int], shape: Shape) -> int:
    """Slots in the pool, for the whole machine: an equal number for each colour."""
    return pools(options, shape) * (options["slots"] // pools(options, shape))


def pools(options: dict[str, int], shape: Shape) -> int:
    """One cursor per colour; there are at most as many colours as slots."""
    return min(options["colours"], options["slots"])


def queues(options: dict[str, int], shape: Shape) -> int:
    """One wait queue per colour, and with `reserve` one more for tasks that wait for a reservation."""
    return pools(options, shape) + (options["reserve"] > 0)


@inline
def _colours(a: State) -> int:
    return min(a.options[0].colours, a.options[0].slots)


@inline
def _slots_of_colour(a: State, colours: int) -> int:
    return a.options[0].slots // colours if colours > 1 else a.options[0].slots


@inline
def map_step(a: State, r: Request, d: StepCost) -> int:
    """Find the page's slot or take a clean one; flush at a wrap; sleep if a whole pass finds no slot."""
    colours = _colours(a)
    size = _slots_of_colour(a, colours)
    if a.options[0].reserve > 0 and r.depth == 0 and _must_wait(a, r, d, colours * size):
        r.step = ASK_AGAIN
        d.queue = colours
        return SLEEP
    always = not a.options[0].flush_if_any
    # A division would be most of the cost of this step, and usually there is only one colour.
    colour = r.page % colours if colours > 1 else 0
    return map_cached(a, r, d, colour, size, colour, colours, 0, colours * size, FLUSH_ALL, always)


@inline
def _must_wait(a: State, r: Request, d: StepCost, slots: int) -> bool:
    """Under the lock, reserve slots for the task; true if too few are left. `r.mark`: 1 once reserved."""
    if r.step == ASK:
        r.mark = 0
    if r.step != SEARCH or r.mark == 1:
        return False
    touch(d, 1)
    wanted = min(a.options[0].reserve, slots)
    if a.pool[0].reserved + wanted > slots:
        return True
    a.pool[0].reserved += wanted
    r.mark = 1
    return False


@inline
def unmap_step(a: State, r: Request, d: StepCost) -> int:
    """Drop one use; after releasing the lock, wake the sleepers if the slot is unused."""
    colours = _colours(a)
    size = _slots_of_colour(a, colours)
    reserved = a.options[0].reserve > 0 and r.depth == 0
    if reserved and r.step == DROP:
        a.pool[0].reserved -= min(a.options[0].reserve, colours * size)
    action = unmap_cached(a, r, d, r.slot % colours if colours > 1 else 0)
    if reserved and action == DONE and r.mark == 1 and a.queues[colours].sleepers > 0:
        r.mark = 0
        d.queue = colours
        return WAKE_ALL
    return action


start_at = set_cursor
adopt = adopt_slot


def flush_unused(a: State) -> list[int]:
    """Drop all unused mappings, as kmap_flush_unused does; return their pages in order of slots."""
    pages = []
    for slot in a.slots:
        if slot.count == 1:
            slot.count = 0
            a.pages[slot.page].slot = 0
            pages.append(int(slot.page))
    return pages


# Counts must match the live mappings, and pages must match their slots.
check = check_pools


def lost_wakeups(a: State, live: Check) -> list[str]:
    """No task may remain asleep unless every slot of its colour is in use or reserved."""
    lost = lost_wakeups_in_pools(a, live, interleaved=True)
    wanted = min(int(a.options[0].reserve), len(a.slots))
    if wanted and a.pool[0].reserved + wanted <= len(a.slots):
        lost += check_sleepers(live, len(a.pool), wanted, "slots can be reserved")
    return lost
