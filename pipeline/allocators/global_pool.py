"""The kernel's persistent kmaps: one pool of cached mappings under one lock (Linux 2.4, mm/highmem.c).

    pool.cursor    slot looked at last; starts at 0 and is advanced before it is looked at

    slot.count     0   clean: no PTE, and no CPU can hold a stale translation; only such a slot may be taken
                   1   nobody uses it, but its PTE is there and TLBs may hold it: cached, not to be reused
                       before a flush
                   n   n - 1 users, n >= 2
    slot.page      the page it maps, where count >= 1

    page.slot      1 + the slot that caches the page; 0: none (`page->virtual`)

Everything happens under the lock, the pass over all slots at a wrap and its global flush included. A slot
never goes from 1 to 0 without a flush of every TLB before anybody takes it.

The algorithm is in shared/cached_pool.py: this is the plainest use of it, one series of slots.

Source: Linux 2.4.18 mm/highmem.c as described by the linux-kernel discussion of March 2002; `flush_if_any` is
what later kernels do.
"""

from __future__ import annotations

from typing import Any

from pipeline.allocators.contract import Check, Option, Shape
from pipeline.allocators.shared.cached_pool import (
    FLUSH_IF_ANY,
    WAKE_OPTION,
    adopt_slot,
    map_cached,
    problems_of_pools,
    set_cursor,
    unmap_cached,
)
from pipeline.machine.simulator.actions import FLUSH_ALL
from pipeline.machine.simulator.kernel import kernel

SUMMARY = "mainline 2.4: cached mappings under one lock, scan and global flush at each wrap"
SOURCE = "Linux 2.4.18, mm/highmem.c"
OPTIONS = (
    Option("slots", 1024, minimum=2, maximum=1 << 20, help="slots in the pool (LAST_PKMAP)"),
    FLUSH_IF_ANY,
    WAKE_OPTION,
)
POOL = [("cursor", "i4")]
SLOT = [("count", "i4"), ("page", "i8")]
PAGE = [("slot", "i4")]


def slots(options: dict[str, int], shape: Shape) -> int:
    """The pool's slots, for the whole machine."""
    return options["slots"]


@kernel
def map_step(a: Any, r: Any, d: Any) -> int:
    """Find the page's slot or take a clean one; flush at a wrap; sleep if a whole pass finds none."""
    return map_cached(a, r, d, 0, 0, a.options[0].slots, FLUSH_ALL)


@kernel
def unmap_step(a: Any, r: Any, d: Any) -> int:
    """Drop one use; wake the sleepers, after the release, if the slot became free to be flushed."""
    return unmap_cached(a, r, d, 0)


def start_at(a: Any, cursor: int) -> None:
    """Take over a pool whose cursor stands at `cursor`."""
    set_cursor(a, cursor)


def adopt(a: Any, slot: int, page: int, count: int) -> None:
    """Take over a slot as it is found, with `count` >= 1; page -1: not known, and never asked for."""
    adopt_slot(a, slot, page, count)


def flush_unused(a: Any) -> list[int]:
    """Forget all mappings that nobody uses, as kmap_flush_unused does; return their pages, by slot."""
    pages = []
    for slot in a.slots:
        if slot.count == 1:
            slot.count = 0
            a.pages[slot.page].slot = 0
            pages.append(int(slot.page))
    return pages


def check(a: Any, live: Check) -> list[str]:
    """Counts must match the live mappings, pages their slots, and nobody may sleep beside a clean slot."""
    return problems_of_pools(a, live, 1)
