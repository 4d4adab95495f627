"""The mermap: an address region for each process and CPU, flushed before reuse, never at release.

    slots 0 .. slots - 1      the pool of persistent maps, used only as a fallback
    slots + n * (pages + 1)   first slot of region n = process * cpus + cpu: its pages and one reserve page

    pool[0].cursor            cursor of the pool; slot.count, slot.page and page.slot are as in global_pool.
    pool[1 + n].next          number of pages at the start of region n that may not be mapped before a flush
    pool[1 + n].mapped        current mappings in the region, without the reserve page
    pool[1 + n].reserve       state of the reserve page. 0: clean; 1: unused, but the CPU's TLB may hold it;
                              2: in use

    slot.mapped               1 while a task has this page of a region mapped

A map takes the page at `next` and advances `next`. An unmap writes a PTE and flushes nothing. At the end of
the region, the CPU flushes its own TLB and `next` returns to the page after the highest page in use. There is
no lock and no interrupt, but a low page cannot be reused while a higher one is in use. A task stays on its
CPU from its outermost map to its outermost unmap; it may be preempted and may sleep.

A map **fails** if the region has no room even after a flush, or if the process already has `entries` mappings
on the CPU. The caller then needs another way, and the map counts as a fallback. With `fall_back=pool` this is
a pool of persistent maps for the machine, under its lock and at its cost. With `fall_back=reserve` it is the
reserve page, with the rules of `atomic`: anything that would block happens first (prefault), then the map is
retried once, and then the task may be neither preempted nor sleep. A nested map that fails within such a
mapping uses the pool.

Source: B. Jackman, mm/mermap.c, posted to linux-mm in 2026 and not known to be merged: 4 entries; regions of
the largest folio, 512 pages on x86. The source leaves open what a caller does when its map fails. Its reserve
takes one of the 4 entries and can therefore fail too; here the reserve has an entry of its own. Ours: every
mapping is one page; the pool's PTEs are not global, like those of the regions; a region has 64 pages, because
a simulation takes 8 bytes for each page, process and pair of CPUs (2 GB for 1,024 processes on 64 CPUs).
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from pipeline.allocators.api.actions import DONE, FLUSH_LOCAL, PREFAULT
from pipeline.allocators.api.contract import Check, Option, Shape
from pipeline.allocators.api.effects import allow_sleep, forbid_sleep, pin, touch_local, unpin, write_pte
from pipeline.allocators.api.protocols import Request, State, StepCost
from pipeline.allocators.components.cached_pool import (
    ASK_AGAIN,
    FLUSH_IF_ANY,
    check_pools,
    fall_back,
    unmap_cached,
)
from pipeline.allocators.components.checks import check_sleepers
from pipeline.allocators.components.wake import WAKE_OPTION
from pipeline.jit.marks import inline
from pipeline.schema.codes import FALLBACK, MISS

SUMMARY = "mermap: a region per process and CPU; the local TLB is flushed before reuse; maps may fail"
SOURCE = "B. Jackman, linux-mm, 2026, mm/mermap.c"
OPTIONS = (
    Option("region_pages", 64, minimum=1, maximum=512, help="pages of each region, without the reserve page"),
    Option("entries", 4, minimum=1, maximum=64, help="mappings of one process that a CPU can track"),
    Option("fall_back", "pool", choices=("pool", "reserve"), help="where a task maps if its map fails"),
    Option("slots", 1024, minimum=2, maximum=1 << 20, help="slots of the fallback pool"),
    FLUSH_IF_ANY,
    WAKE_OPTION,
)
POOL = [("cursor", "i4"), ("next", "i4"), ("mapped", "i4"), ("reserve", "i4")]
SLOT = [("count", "i4"), ("mapped", "i4"), ("page", "i8")]
PAGE = [("slot", "i4")]
NON_GLOBAL = True

_RESERVE = 1

_CLEAN = 0
_STALE = 1
_IN_USE = 2


def slots(options: dict[str, int], shape: Shape) -> int:
    """Slots of the pool, plus those of a region for each process and CPU."""
    return options["slots"] + shape.processes * shape.cpus * (options["region_pages"] + 1)


def pools(options: dict[str, int], shape: Shape) -> int:
    """One record for the pool, and one for the region of each process and CPU."""
    return 1 + shape.processes * shape.cpus


def address_space_pages(options: dict[str, int], shape: Shape) -> int:
    """The regions of all processes are at the same addresses."""
    return options["slots"] + shape.cpus * (options["region_pages"] + 1)


# Steps of a map, before those of the pool.
_ASK = 0
_PREFAULTED = 10
_RESERVE_FLUSHED = 11


@inline
def map_step(a: State, r: Request, d: StepCost) -> int:
    """Take the next page of the region, after a flush at its end; if that fails, use the fallback."""
    if r.step == _RESERVE_FLUSHED:
        return _use_reserve(a, r, d)
    if r.step in (_ASK, _PREFAULTED):
        region = a.pool[_region_of(r, d)]
        touch_local(d, 1)
        if region.next == a.options[0].region_pages:
            # Examine the records of all mappings to find the highest.
            touch_local(d, a.options[0].entries)
            highest = _highest_in_use(a, r, d)
            if highest < region.next:
                region.next = highest
                return _flush(region)
        touch_local(d, min(region.mapped + 1, a.options[0].entries))
        if region.mapped < a.options[0].entries and region.next < a.options[0].region_pages:
            pin(d)
            _map(a, r, d, _first(a, r, d) + region.next)
            r.served = MISS
            region.next += 1
            region.mapped += 1
            return DONE
        if a.options[0].fall_back == _RESERVE and region.reserve != _IN_USE:
            if r.step != _PREFAULTED:
                r.step = _PREFAULTED
                return PREFAULT
            if region.reserve == _STALE:
                r.step = _RESERVE_FLUSHED
                return _flush(region)
            return _use_reserve(a, r, d)
        r.step = ASK_AGAIN
    return fall_back(a, r, d)


@inline
def _flush(region: Any) -> int:
    """Flush the CPU's TLB, which makes an unused reserve page clean."""
    if region.reserve == _STALE:
        region.reserve = _CLEAN
    return FLUSH_LOCAL


@inline
def _region_of(r: Request, d: StepCost) -> int:
    """Record of the region of the task's process on this CPU."""
    return 1 + r.process * d.cpus + d.cpu


@inline
def _first(a: State, r: Request, d: StepCost) -> int:
    """First slot of that region."""
    return a.options[0].slots + (_region_of(r, d) - 1) * (a.options[0].region_pages + 1)


@inline
def _highest_in_use(a: State, r: Request, d: StepCost) -> int:
    """Number of pages from the start of the region to the end of the highest page in use."""
    first = _first(a, r, d)
    pages = a.options[0].region_pages
    while pages > 0 and a.slots[first + pages - 1].mapped == 0:
        pages -= 1
    return pages


@inline
def _map(a: State, r: Request, d: StepCost, slot: int) -> None:
    """Map the page at a slot whose translation is not in this CPU's TLB."""
    r.slot = slot
    a.slots[slot].mapped = 1
    touch_local(d, 1)
    write_pte(d)


@inline
def _use_reserve(a: State, r: Request, d: StepCost) -> int:
    """Map in the reserve page; the task keeps the CPU and may not sleep."""
    forbid_sleep(d)
    a.pool[_region_of(r, d)].reserve = _IN_USE
    _map(a, r, d, _first(a, r, d) + a.options[0].region_pages)
    r.served = FALLBACK
    return DONE


@inline
def unmap_step(a: State, r: Request, d: StepCost) -> int:
    """Write the PTE that marks the page as unmapped, without a flush; or unmap in the pool."""
    if r.slot < a.options[0].slots:
        return unmap_cached(a, r, d, 0)
    region = a.pool[_region_of(r, d)]
    a.slots[r.slot].mapped = 0
    touch_local(d, 1)
    write_pte(d)
    if r.served == FALLBACK:
        region.reserve = _STALE
        allow_sleep(d)
    else:
        region.mapped -= 1
        unpin(d)
    return DONE


def check(a: State, live: Check) -> list[str]:
    """Each region's counts must match its mappings, all below `next`; the pool must be consistent too."""
    shared, pages = int(a.options[0].slots), int(a.options[0].region_pages)
    problems = check_pools(a, live, shared)
    used = {s for s, users in live.users.items() if users and s >= shared}
    mapped = set((a.slots.mapped[shared:].nonzero()[0] + shared).tolist())
    if used != mapped or any(live.users[s] > 1 for s in used):
        problems.append(f"slots {sorted(used)} of regions are in use, {sorted(mapped)} are mapped")
    mapped_by_region: defaultdict[int, set[int]] = defaultdict(set)
    for s in mapped:
        mapped_by_region[(s - shared) // (pages + 1)].add((s - shared) % (pages + 1))
    regions = zip(
        *(getattr(a.pool, name)[1:].tolist() for name in ("mapped", "next", "reserve")), strict=True
    )
    for n, (mappings, following, reserve) in enumerate(regions):
        here = mapped_by_region.get(n, set())
        if (reserve == _IN_USE) != (pages in here):
            problems.append(f"region {n}: the state of its reserve page, {reserve}, contradicts its mapping")
        here -= {pages}
        if len(here) != mappings or any(k >= following for k in here):
            problems.append(f"region {n}: records {mappings} mappings and next {following}, found {here}")
    return problems


def lost_wakeups(a: State, live: Check) -> list[str]:
    """No task may remain asleep unless every slot of the pool is in use."""
    return check_sleepers(live, 0, int((a.slots.count[: int(a.options[0].slots)] < 2).sum()))
