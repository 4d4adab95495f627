"""Persistent kmaps in several series of slots, one for page tables (-aa's pte-highmem, early 2002).

    pool[s].cursor   slot of series `s` examined last, counted from the first slot of the series; starts at 0
                     and advances before each examination

    slot.count is not a pure use count:
                     0   clean: no PTE, and no TLB holds a stale translation; only a clean slot may be taken
                     1   cached and unused: the PTE is present and TLBs may hold it; not reusable before a
                         flush
                     n   n - 1 users, n >= 2
    slot.page        the mapped page, if count >= 1

    page.slot        1 + the slot that caches the page, in any series; 0: none

A miss takes a slot of its own series. If a whole pass over the series finds none, the task sleeps in the
queue of that series. A task that holds a mapping of one kind and needs one of another kind therefore never
waits in a queue of tasks that hold all the slots and wait for the same series. With a single series this is
a deadlock.

One lock protects all series. A hit uses the existing slot, even one of another series. An unmap wakes the
sleepers of the slot's series. When the cursor of one series wraps, the unused slots of every series become
clean (`scan=all`), and one global flush follows. The other cursors and budgets do not change, and no task is
woken: a task that sleeps for another series found all its slots in use, and is woken when one is released.

The search is in components/cached_pool.py.

Source: A. Arcangeli's -aa kernels of January to March 2002. The measured kernel has two series, with page
tables in the second. The first patch scanned only the series that wrapped (`scan=own`). Ours: any other
number of series. One series holds everything. With more than two, a page table mapped inside other mappings
goes into series 1 + its nesting depth, up to the last series. Two page tables held at the same time then
do not share a queue.
"""

from __future__ import annotations

from pipeline.allocators.api.actions import FLUSH_ALL
from pipeline.allocators.api.contract import Option, Shape
from pipeline.allocators.api.protocols import Request, State, StepCost
from pipeline.allocators.components.cached_pool import (
    FLUSH_IF_ANY,
    adopt_slot,
    check_pools,
    lost_wakeups_in_pools,
    map_cached,
    set_cursor,
    unmap_cached,
)
from pipeline.allocators.components.wake import WAKE_OPTION
from pipeline.jit.marks import inline
from pipeline.schema.names import KINDS

SUMMARY = "pte-highmem: the global pool in series, one for page tables, against deadlocks"
SOURCE = "A. Arcangeli, -aa kernels, January to March 2002"
OPTIONS = (
    Option("series", 2, minimum=1, maximum=16, help="series of slots (measured kernel: 2)"),
    Option("slots", 1024, minimum=2, maximum=1 << 16, help="slots of each series"),
    Option("scan", "all", choices=("all", "own"), help="series that a wrap scans (measured kernel: all)"),
    FLUSH_IF_ANY,
    WAKE_OPTION,
)
POOL = [("cursor", "i4")]
SLOT = [("count", "i4"), ("page", "i8")]
PAGE = [("slot", "i4")]

_PAGE_TABLE = KINDS.index("page_fault")
_SCAN_OWN = 1


def slots(options: dict[str, int], shape: Shape) -> int:
    """Slots of all series together."""
    return options["series"] * options["slots"]


def pools(options: dict[str, int], shape: Shape) -> int:
    """One cursor and one wait queue per series."""
    return options["series"]


queues = pools


def idle_options(options: dict[str, int], cpus: int) -> dict[str, str]:
    """With one series, `scan` makes no difference."""
    return {"scan": "series of at least 2"} if options["series"] == 1 else {}


@inline
def _series_of(a: State, r: Request) -> int:
    """The series from which a mapping of this kind and depth takes its slot."""
    if r.kind != _PAGE_TABLE:
        return 0
    return min(1 + r.depth, a.options[0].series - 1)


@inline
def map_step(a: State, r: Request, d: StepCost) -> int:
    """Find the page's slot or take a clean one of the kind's series; scan and flush when it wraps."""
    s = _series_of(a, r)
    size = a.options[0].slots
    first = 0
    last = a.options[0].series * size
    if a.options[0].scan == _SCAN_OWN:
        first = s * size
        last = first + size
    return map_cached(a, r, d, s, size, s * size, 1, first, last, FLUSH_ALL, not a.options[0].flush_if_any)


@inline
def unmap_step(a: State, r: Request, d: StepCost) -> int:
    """Drop one use; after the release, wake the sleepers of the slot's series if it is unused."""
    return unmap_cached(a, r, d, r.slot // a.options[0].slots)


# Counts must match the live mappings and pages their slots; no task sleeps unless its whole series is in use.
start_at = set_cursor
adopt = adopt_slot
check = check_pools
lost_wakeups = lost_wakeups_in_pools
