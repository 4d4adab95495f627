"""Pools of cached mappings that release the lock during the TLB flush.

The slots are in one or two parts of equal size; part `p` starts at slot p * size. Misses take clean slots of
the current part. One part at a time is being flushed.

    pool[p].cursor    slot of part `p` examined last, counted from its first; -1: none yet
    pool[p].clean     its clean slots
    pool[p].unused    its cached, unused slots
    pool[0].part      the current part
    pool[0].flushing  1 + the part that is being flushed; 0: none
    pool[0].passed    slots of that part scanned so far
    pool[0].freed     slots of that part dropped from the cache so far

    slot.count       -1   being flushed: no PTE and no page, but TLBs may hold it; not usable yet
                      0   clean: no PTE, and in no TLB; only a clean slot may be taken
                      1   cached and unused: the PTE is present and TLBs may hold it
                      n   n - 1 users, n >= 2
    slot.page        the mapped page, if count >= 1
    page.slot        1 + the slot that caches the page; 0: none

A flush has four phases. (1) The scan, with the lock held, drops unused slots from the cache (1 -> -1); from
then on no map can hit them. (2) The TLBs are flushed without the lock. (3) With the lock held again, these
slots become clean (-1 -> 0). (4) Sleepers are woken. Meanwhile hits and unmaps continue in all slots that the
scan has not dropped, and misses continue while the current part has clean slots. The scan may be made in
batches, with the lock released after each. A batch takes the slots that are unused at that time.

A map that finds no clean slot in the current part sleeps if a flush is in progress. Its end wakes all
sleepers, so unmaps need not wake any before. If no flush is in progress, the map switches to the other
part and begins to flush this one, so each part is flushed again. It sleeps only if there is nothing to flush:
then all slots are in use, and the next unmap that leaves a slot unused wakes all sleepers. The counts behind
this decision are exact while the lock is held, so no slot can become free unnoticed between check and sleep.
"""

from __future__ import annotations

from pipeline.allocators.api.actions import DONE, FLUSH_ALL, LOCK, SLEEP, UNLOCK, WAKE_ALL
from pipeline.allocators.api.contract import Check, Shape
from pipeline.allocators.api.effects import (
    evict,
    flush_range,
    probe,
    report_finding,
    scan,
    touch,
    touch_cached,
    write_pte,
)
from pipeline.allocators.api.protocols import Request, State, StepCost
from pipeline.allocators.components.checks import check_pages, check_sleepers, check_users
from pipeline.allocators.components.wake import ASK, DROP, END, WAKE, unmap_around_drop
from pipeline.jit.marks import inline
from pipeline.schema.codes import COUNT_UNDERFLOW, HIT, MISS

PART_FIELDS = [
    ("cursor", "i4"), ("clean", "i4"), ("unused", "i4"),
    ("part", "i4"), ("flushing", "i4"), ("passed", "i4"), ("freed", "i4"),
]  # fmt: skip
SLOT_FIELDS = [("count", "i4"), ("page", "i8")]
PAGE_FIELDS = [("slot", "i4")]

BATCH_HELP = "slots scanned per hold of the lock; 0: all"

_BEING_FLUSHED = -1
_CLEAN = 0
_CACHED = 1

# Steps of a map, from ASK on.
_SEARCH = 1  # the lock is held: find the page or a slot
_GOT = 2  # the lock is released
_WAKE = 3  # the lock is released after a flush
_NEXT_BATCH = 4  # the lock is released between two batches of the scan
_PASS = 5
_FLUSH = 6  # the lock is released after the scan
_FLUSHED = 7
_END_FLUSH = 8  # the lock is held again


def fill_parts(a: State, shape: Shape) -> None:
    """Start with every slot clean."""
    a.pool.cursor = -1
    a.pool.clean = len(a.slots) // len(a.pool)


@inline
def map_in_parts(a: State, r: Request, d: StepCost, parts: int, size: int, batch: int, spare: int) -> int:
    """Find the page's slot or take a clean one; if none is left, flush without the lock.

    The scan before a flush releases the lock after every `batch` slots, unless `batch` is 0. With `spare` > 0
    a flush begins when a map leaves `spare` clean slots; that map begins it.
    """
    flush = a.pool[0]
    if r.step == ASK:
        r.step = _SEARCH
        return LOCK
    if r.step == _NEXT_BATCH:
        r.step = _PASS
        return LOCK
    if r.step == _FLUSH:
        if flush.freed > 0:
            r.step = _FLUSHED
            flush_range(d, (flush.flushing - 1) * size, size)
            return FLUSH_ALL
        r.step = _END_FLUSH
        return LOCK
    if r.step == _FLUSHED:
        r.step = _END_FLUSH
        return LOCK
    if r.step == _WAKE:
        r.step = _GOT
        return WAKE_ALL
    if r.step == _GOT:
        return DONE
    if r.step == _PASS:
        return _pass(a, r, d, size, batch)
    after = _SEARCH
    if r.step == _END_FLUSH:
        _end_flush(a, d, size)
        after = _WAKE
    return _search(a, r, d, parts, size, batch, spare, after)


@inline
def _search(
    a: State, r: Request, d: StepCost, parts: int, size: int, batch: int, spare: int, after: int
) -> int:
    """With the lock held, find the page, a clean slot, or slots to flush; otherwise sleep."""
    flush = a.pool[0]
    if r.slot < 0:
        _find(a, r, d, parts, size)
        here = flush.part
        low = spare > 0 and r.slot >= 0 and r.served == MISS and a.pool[here].clean == spare
        if (r.slot < 0 or low) and flush.flushing == 0:
            old = here if a.pool[here].unused > 0 else parts - 1 - here
            if a.pool[old].unused > 0:
                _begin_flush(a, r, d, parts, size, old)
                return _pass(a, r, d, size, batch)
        if r.slot < 0:
            r.step = ASK
            d.queue = 0
            return SLEEP
    r.step = _WAKE if after == _WAKE and a.queues[0].sleepers > 0 else _GOT
    return UNLOCK


@inline
def _find(a: State, r: Request, d: StepCost, parts: int, size: int) -> None:
    """Find the page's slot or take a clean one, if any may be taken."""
    touch(d, 1)
    cached = a.pages[r.page].slot - 1
    if cached >= 0:
        touch(d, 1)
        slot = a.slots[cached]
        if slot.count == _CACHED:
            a.pool[cached // size].unused -= 1
        slot.count += 1
        r.slot = cached
        r.served = HIT
        return
    here = a.pool[0].part
    if a.pool[here].clean == 0 and a.pool[here].unused == 0 and a.pool[parts - 1 - here].clean > 0:
        # All slots of this part are in use: there is nothing to flush.
        here = parts - 1 - here
        a.pool[0].part = here
    if a.pool[here].clean > 0:
        _take(a, r, d, here, size)


@inline
def _take(a: State, r: Request, d: StepCost, p: int, size: int) -> None:
    """Take the next clean slot of part `p`, which must have one."""
    part = a.pool[p]
    at = part.cursor
    while True:
        at = at + 1 if at + 1 < size else 0
        probe(d, 1)
        if a.slots[p * size + at].count == _CLEAN:
            break
    part.cursor = at
    part.clean -= 1
    slot = a.slots[p * size + at]
    touch(d, 1)
    write_pte(d)
    slot.count = 2
    slot.page = r.page
    r.slot = p * size + at
    a.pages[r.page].slot = r.slot + 1
    r.served = MISS


@inline
def _begin_flush(a: State, r: Request, d: StepCost, parts: int, size: int, old: int) -> None:
    """Begin to flush part `old`; this map and later misses use the other part, if there is one."""
    flush = a.pool[0]
    flush.flushing = 1 + old
    flush.passed = 0
    flush.freed = 0
    flush.part = parts - 1 - old
    if r.slot < 0 and a.pool[flush.part].clean > 0:
        _take(a, r, d, flush.part, size)


@inline
def _pass(a: State, r: Request, d: StepCost, size: int, batch: int) -> int:
    """Drop the unused slots of the next batch from the cache, before the TLBs are flushed."""
    flush = a.pool[0]
    p = flush.flushing - 1
    first = p * size + flush.passed
    last = (p + 1) * size
    if batch > 0:
        last = min(first + batch, last)
    freed = 0
    for k in range(first, last):
        slot = a.slots[k]
        if slot.count == _CACHED:
            slot.count = _BEING_FLUSHED
            a.pages[slot.page].slot = 0
            evict(a, d, slot.page)
            freed += 1
    scan(d, last - first, freed)
    a.pool[p].unused -= freed
    flush.freed += freed
    flush.passed += last - first
    r.step = _FLUSH if flush.passed == size else _NEXT_BATCH
    return UNLOCK


@inline
def _end_flush(a: State, d: StepCost, size: int) -> None:
    """Mark the flushed slots clean. The current part does not change: once used up, it is flushed next."""
    flush = a.pool[0]
    p = flush.flushing - 1
    for k in range(p * size, (p + 1) * size):
        if a.slots[k].count == _BEING_FLUSHED:
            a.slots[k].count = _CLEAN
    touch_cached(d, flush.freed)
    a.pool[p].clean += flush.freed
    flush.flushing = 0


@inline
def unmap_in_parts(a: State, r: Request, d: StepCost, size: int) -> int:
    """Drop one use; after the release, wake the sleepers if the slot is unused and no flush is going on."""
    if r.step != DROP:
        return unmap_around_drop(r, d, 0, WAKE_ALL)
    touch_cached(d, 1)
    slot = a.slots[r.slot]
    slot.count -= 1
    if slot.count < _CACHED:
        report_finding(d, COUNT_UNDERFLOW)
    r.step = END
    if slot.count == _CACHED:
        a.pool[r.slot // size].unused += 1
        if a.queues[0].sleepers > 0 and a.pool[0].flushing == 0:
            r.step = WAKE
    return UNLOCK


def check_parts(a: State, live: Check) -> list[str]:
    """Counts must match the live mappings, pages their slots, and each part's counts its slots."""
    counts = a.slots.count.tolist()
    problems = check_users(live, (max(count - 1, 0) for count in counts))
    problems += check_pages(a, [s for s, count in enumerate(counts) if count > 0])
    size = len(counts) // len(a.pool)
    for p, part in enumerate(a.pool):
        own = counts[p * size : (p + 1) * size]
        if (part.clean, part.unused) != (own.count(_CLEAN), own.count(_CACHED)):
            problems.append(
                f"part {p}: records {part.clean} clean and {part.unused} unused slots, "
                f"found {own.count(_CLEAN)} and {own.count(_CACHED)}"
            )
    return problems


def lost_wakeups_in_parts(a: State, live: Check) -> list[str]:
    """No task may remain asleep unless every slot is in use."""
    return check_sleepers(live, 0, int((a.slots.count <= _CACHED).sum()))
