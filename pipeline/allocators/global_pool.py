"""The kernel's persistent kmaps: one pool of cached mappings under one lock (Linux 2.4, mm/highmem.c).

    pool.cursor    slot looked at last; starts at 0 and is advanced before it is looked at
    pool.used      slots that are not clean

    slot.count     0   clean: no PTE, and no CPU can hold a stale translation; only such a slot may be taken
                   1   nobody uses it, but its PTE is there and TLBs may hold it: cached, not to be reused
                       before a flush
                   n   n - 1 users, n >= 2
    slot.page      the page it maps, where count >= 1

    page.slot      1 + the slot that caches the page; 0: none (`page->virtual`)

Everything happens under the lock, the pass over all slots at a wrap and its global flush included. A slot
never goes from 1 to 0 without a flush of every TLB before anybody takes it.

Source: Linux 2.4.18 mm/highmem.c as described by the linux-kernel discussion of March 2002; `flush_if_any` is
what later kernels do.
"""

from __future__ import annotations

from typing import Any

from pipeline.allocators.contract import Check, Option, Shape
from pipeline.machine.simulator.actions import (
    DONE,
    FLUSH_ALL,
    HIT,
    LOCK,
    MISS,
    SLEEP,
    UNLOCK,
    WAKE_ALL,
    WAKE_ONE,
    evict,
    found,
    probe,
    scan,
    touch,
    touch_again,
    write_pte,
)
from pipeline.machine.simulator.kernel import kernel

SUMMARY = "mainline 2.4: cached mappings under one lock, scan and global flush at each wrap"
SOURCE = "Linux 2.4.18, mm/highmem.c"
OPTIONS = (
    Option("slots", 1024, minimum=2, maximum=1 << 20, help="slots in the pool (LAST_PKMAP)"),
    Option("flush_if_any", False, help="skip the flush when the pass freed nothing (modern kernels)"),
    Option("wake", "all", choices=("all", "one"), help="sleepers that an unmap wakes (kernel: all)"),
)
POOL = [("cursor", "i4"), ("used", "i4")]
SLOT = [("count", "i4"), ("page", "i8")]
PAGE = [("slot", "i4")]
COUNT_UNDERFLOW = 2


def slots(options: dict[str, int], shape: Shape) -> int:
    """The pool's slots, for the whole machine."""
    return options["slots"]


# Steps of a map.
_ASK = 0
_SEARCH = 1  # the lock is held: find the page or a slot
_FLUSHED = 2  # the flush of a wrap is over: go on searching
_GOT = 3  # the lock is released


@kernel
def map_step(a: Any, r: Any, d: Any) -> int:
    """Find the page's slot or take a clean one; flush at a wrap; sleep if a whole pass finds none."""
    if r.step == _ASK:
        r.step = _SEARCH
        return LOCK
    if r.step == _GOT:
        return DONE
    if r.step == _SEARCH:
        r.budget = a.options[0].slots
        touch(d, 1)
        cached = a.pages[r.page].slot - 1
        if cached >= 0:
            touch(d, 1)
            a.slots[cached].count += 1
            r.slot = cached
            r.served = HIT
            r.step = _GOT
            return UNLOCK
        if _advance(a, r, d):
            r.step = _FLUSHED
            return FLUSH_ALL
    return _search(a, r, d)


@kernel
def _advance(a: Any, r: Any, d: Any) -> bool:
    """Move the cursor on; at a wrap pass over all slots and return whether a flush is due."""
    pool = a.pool[0]
    pool.cursor += 1
    probe(d, 1)
    if pool.cursor < a.options[0].slots:
        return False
    pool.cursor = 0
    r.budget = a.options[0].slots
    freed = 0
    in_use = 0
    for s in range(a.options[0].slots):
        slot = a.slots[s]
        if slot.count == 1:
            slot.count = 0
            a.pages[slot.page].slot = 0
            evict(a, d, slot.page)
            freed += 1
        elif slot.count > 1:
            in_use += 1
    pool.used -= freed
    scan(d, a.options[0].slots, freed, in_use)
    return freed > 0 or not a.options[0].flush_if_any


@kernel
def _search(a: Any, r: Any, d: Any) -> int:
    """Look at the slot under the cursor and go on from there."""
    pool = a.pool[0]
    while True:
        slot = a.slots[pool.cursor]
        if slot.count == 0:
            touch(d, 1)
            write_pte(d)
            slot.count = 2
            slot.page = r.page
            a.pages[r.page].slot = pool.cursor + 1
            pool.used += 1
            r.slot = pool.cursor
            r.served = MISS
            r.step = _GOT
            return UNLOCK
        r.budget -= 1
        if r.budget == 0:
            r.step = _ASK
            return SLEEP
        if _advance(a, r, d):
            r.step = _FLUSHED
            return FLUSH_ALL


# Steps of an unmap.
_DROP = 1
_WAKE = 2
_END = 3


@kernel
def unmap_step(a: Any, r: Any, d: Any) -> int:
    """Drop one use; wake the sleepers, after the release, if the slot became free to be flushed."""
    if r.step == _ASK:
        r.step = _DROP
        return LOCK
    if r.step == _DROP:
        touch_again(d, 1)
        slot = a.slots[r.slot]
        slot.count -= 1
        if slot.count == 0:
            found(d, COUNT_UNDERFLOW)
        r.step = _WAKE if slot.count == 1 and a.queues[0].sleepers > 0 else _END
        return UNLOCK
    if r.step == _WAKE:
        r.step = _END
        return WAKE_ONE if a.options[0].wake == 1 else WAKE_ALL
    return DONE


def start_at(a: Any, cursor: int) -> None:
    """Take over a pool whose cursor stands at `cursor`."""
    a.pool[0].cursor = cursor


def adopt(a: Any, slot: int, page: int, count: int) -> None:
    """Take over a slot as it is found, with `count` >= 1; page -1: not known, and never asked for."""
    a.slots[slot].count = count
    a.pool[0].used += 1
    if page >= 0:
        a.slots[slot].page = page
        a.pages[page].slot = slot + 1


def check(a: Any, live: Check) -> list[str]:
    """Counts must match the live mappings, pages their slots, and nobody may sleep beside a clean slot."""
    problems = []
    clean = 0
    for s in range(int(a.options[0].slots)):
        count, page = int(a.slots[s].count), int(a.slots[s].page)
        users = live.users.get(s, 0)
        clean += count == 0
        if max(count - 1, 0) != users:
            problems.append(f"slot {s}: count {count} with {users} users")
        if count > 0 and int(a.pages[page].slot) != s + 1:
            problems.append(f"slot {s}: maps page {page}, which is cached in {int(a.pages[page].slot) - 1}")
    cached = int((a.pages.slot > 0).sum())
    if cached != int(a.options[0].slots) - clean or cached != int(a.pool[0].used):
        problems.append(
            f"{cached} pages are cached in {int(a.options[0].slots) - clean} slots that are not clean"
        )
    if not live.users and live.sleepers[0]:
        problems.append(f"{live.sleepers[0]} tasks sleep although nothing is mapped")
    return problems
