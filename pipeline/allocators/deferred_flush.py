"""The kernel's pool with its lock released during the TLB flush (Dickins; a variant of 2024 on linux-mm).

    pool.clean       clean slots; when none is left, the next miss begins a flush
    pool.unused      slots that are cached and unused, which a flush would free

    slot.count       -1   being flushed: no PTE and no page, but TLBs may hold it; not usable yet
                      0   clean; only a clean slot may be taken
                      1   cached and unused
                      n   n - 1 users, n >= 2
    slot.page        the mapped page, if count >= 1

    page.slot        1 + the slot that caches the page; 0: none

All cached, unused slots are collected under the lock. Their PTEs and pages are cleared before any TLB is
flushed, so no map can hit a slot that is being flushed. The lock is released for the flush and taken again to
mark the slots clean. Hits and unmaps never wait for the flush. Misses take the remaining clean slots, or
sleep until the flush ends.

The algorithm is in components/deferred_flush_pool.py; this is a pool of one part.

Source: H. Dickins' third slot state, "being flushed"; releasing the lock around the flush, linux-mm, 2024.
Ours: the pool counts its clean slots, so a miss need not probe all slots to find that none is clean; a flush
that would free nothing is skipped; `spare` begins the flush while clean slots remain for other tasks; `batch`
also releases the lock during the scan.
"""

from __future__ import annotations

from pipeline.allocators.api.contract import Option
from pipeline.allocators.api.protocols import Request, State, StepCost
from pipeline.allocators.components.deferred_flush_pool import (
    BATCH_HELP,
    PAGE_FIELDS,
    PART_FIELDS,
    SLOT_FIELDS,
    check_parts,
    fill_parts,
    lost_wakeups_in_parts,
    map_in_parts,
    unmap_in_parts,
)
from pipeline.jit.marks import inline

SUMMARY = "the global pool with its lock released while TLBs are flushed"
SOURCE = "H. Dickins; linux-mm, 2024"
OPTIONS = (
    Option("slots", 1024, minimum=2, maximum=1 << 20, help="slots in the pool (LAST_PKMAP)"),
    Option(
        "spare", 0, minimum=0, maximum=1 << 20, help="clean slots left when a flush begins; 0: none is left"
    ),
    Option("batch", 0, minimum=0, maximum=1 << 20, help=BATCH_HELP),
)
POOL = PART_FIELDS
SLOT = SLOT_FIELDS
PAGE = PAGE_FIELDS


prepare = fill_parts


def idle_options(options: dict[str, int], cpus: int) -> dict[str, str]:
    """A batch of all slots is the whole scan."""
    if options["batch"] < options["slots"]:
        return {}
    return {"batch": f"a value below {options['slots']}, the number of slots"}


@inline
def map_step(a: State, r: Request, d: StepCost) -> int:
    """Find the page's slot or take a clean one; if none is left, flush, or wait for the current flush."""
    options = a.options[0]
    return map_in_parts(a, r, d, 1, options.slots, options.batch, options.spare)


@inline
def unmap_step(a: State, r: Request, d: StepCost) -> int:
    """Drop one use; after the release, wake the sleepers if the slot is unused and no flush will."""
    return unmap_in_parts(a, r, d, a.options[0].slots)


# Counts must match the live mappings and pages their slots; no task sleeps unless all slots are in use.
check = check_parts
lost_wakeups = lost_wakeups_in_parts
