"""The mermap: a region of addresses for each process and CPU, flushed before reuse, never at release.

    slots 0 .. slots - 1      the pool of persistent maps, used only to fall back on
    slots + n * (pages + 1)   first slot of region n = process * cpus + cpu: its pages, and one in reserve

    pool[0].cursor            of the pool, in which slot.count, slot.page and page.slot are as in global_pool
    pool[1 + n].next          how many pages of region n, from its first on, may not be mapped before a flush
    pool[1 + n].mapped        mappings in force in it, the one in reserve left out
    pool[1 + n].reserve       its last page. 0: clean; 1: unused, but the CPU's TLB may hold it; 2: in use

    slot.mapped               1 while somebody has the page of a region mapped

A map takes the page at `next` and moves that on; an unmap writes a PTE and flushes nothing. At the end of the
region `next` goes back to behind the highest page in use, after a flush of the CPU's own TLB. There is no
lock and no interrupt, but a low page is lost as long as a higher one is in use. A task keeps its CPU from its
outermost map to its outermost unmap; it may be preempted and may sleep.

A map **fails** if the region has no room even after a flush, or if `entries` mappings of the process are in
force on the CPU. The caller must have another way, and the map counts as a fallback. With `fall_back=pool`
that is a pool of persistent maps for the machine, under its lock and at its price. With `fall_back=reserve`
it is the page in reserve, which wants what `atomic` wants: what would block happens before (prefault), then
comes one more try, then neither preemption nor sleep. Who maps within that and fails again uses the pool.

Source: B. Jackman, mm/mermap.c, posted to linux-mm in 2026 and not merged as far as known: 4 entries;
regions of the largest folio, 512 pages on x86. Open there, and chosen here: what a caller does whose map
fails; and the reserve, which takes one of the 4 entries there and so can fail after all, has one of its own.
Ours: every mapping is one page; the pool's PTEs count as not global, like the regions'; 64 pages, since a
simulation takes 8 bytes for each page, process and pair of CPUs (2 GB for 1,024 processes on 64 CPUs).
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

SUMMARY = "mermap: a region per process and CPU; the own TLB is flushed before reuse; maps may fail"
SOURCE = "B. Jackman, linux-mm, 2026, mm/mermap.c"
OPTIONS = (
    Option("region_pages", 64, minimum=1, maximum=512, help="pages of each region, the reserve left out"),
    Option("entries", 4, minimum=1, maximum=64, help="mappings of a process that a CPU can keep account of"),
    Option("fall_back", "pool", choices=("pool", "reserve"), help="what a task does whose map fails"),
    Option("slots", 1024, minimum=2, maximum=1 << 20, help="slots of the pool to fall back on"),
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
    """The pool's, and those of a region for each process and CPU."""
    return options["slots"] + shape.processes * shape.cpus * (options["region_pages"] + 1)


def pools(options: dict[str, int], shape: Shape) -> int:
    """The pool, and a region for each process and CPU."""
    return 1 + shape.processes * shape.cpus


def address_space_pages(options: dict[str, int], shape: Shape) -> int:
    """All processes have their regions at the same addresses."""
    return options["slots"] + shape.cpus * (options["region_pages"] + 1)


# Steps of a map, before those of the pool.
_ASK = 0
_PREFAULTED = 10
_RESERVE_FLUSHED = 11


@inline
def map_step(a: State, r: Request, d: StepCost) -> int:
    """Take the next page of the region, after a flush at its end; or fail, and go the other way."""
    if r.step == _RESERVE_FLUSHED:
        return _use_reserve(a, r, d)
    if r.step in (_ASK, _PREFAULTED):
        region = a.pool[_region_of(r, d)]
        touch_local(d, 1)
        if region.next == a.options[0].region_pages:
            # The accounts of all mappings are looked at for the highest.
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
    """Flush the CPU's TLB, after which a page in reserve that nobody uses is clean."""
    if region.reserve == _STALE:
        region.reserve = _CLEAN
    return FLUSH_LOCAL


@inline
def _region_of(r: Request, d: StepCost) -> int:
    """Record of the region that the task's process has on this CPU."""
    return 1 + r.process * d.cpus + d.cpu


@inline
def _first(a: State, r: Request, d: StepCost) -> int:
    """First slot of that region."""
    return a.options[0].slots + (_region_of(r, d) - 1) * (a.options[0].region_pages + 1)


@inline
def _highest_in_use(a: State, r: Request, d: StepCost) -> int:
    """How many pages of the region reach to the end of the highest that is in use."""
    first = _first(a, r, d)
    pages = a.options[0].region_pages
    while pages > 0 and a.slots[first + pages - 1].mapped == 0:
        pages -= 1
    return pages


@inline
def _map(a: State, r: Request, d: StepCost, slot: int) -> None:
    """Map the page at a slot whose translation this CPU's TLB has not."""
    r.slot = slot
    a.slots[slot].mapped = 1
    touch_local(d, 1)
    write_pte(d)


@inline
def _use_reserve(a: State, r: Request, d: StepCost) -> int:
    """Map in the page in reserve, and keep the CPU."""
    forbid_sleep(d)
    a.pool[_region_of(r, d)].reserve = _IN_USE
    _map(a, r, d, _first(a, r, d) + a.options[0].region_pages)
    r.served = FALLBACK
    return DONE


@inline
def unmap_step(a: State, r: Request, d: StepCost) -> int:
    """Write the PTE that marks the page as unmapped, and flush nothing; or do what the pool does."""
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
    """Each region must know its mappings, none of them beyond its `next`; the pool must be in order too."""
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
            problems.append(f"region {n}: its reserve is {reserve}, and mapped or not")
        here -= {pages}
        if len(here) != mappings or any(k >= following for k in here):
            problems.append(f"region {n}: {mappings} mappings, next {following}, has {here}")
    return problems


def lost_wakeups(a: State, live: Check) -> list[str]:
    """Nobody may be left asleep unless every slot of the pool is in use."""
    return check_sleepers(live, 0, int((a.slots.count[: int(a.options[0].slots)] < 2).sum()))
