"""The kernel's pool with its lock released while TLBs are flushed (Dickins; a variant of 2024 on linux-mm).

    pool.clean       clean slots; when none is left, the next miss begins a flush
    pool.unused      slots that are cached and unused: what a flush would free

    slot.count       -1   being flushed: no PTE and no page, but TLBs may hold it; of use to nobody
                      0   clean; only such a slot may be taken
                      1   cached and unused
                      n   n - 1 users, n >= 2
    slot.page        the page it maps, where count >= 1

    page.slot        1 + the slot that caches the page; 0: none

All cached slots that nobody uses are collected under the lock: their PTEs and pages are forgotten before any
TLB is flushed, so that nobody can hit what is on its way out. The lock is released for the flush and taken
again to declare them clean. Hits and unmaps never wait for it; misses use the clean slots that are left, or
sleep until it is over.

The rest is in components/deferred_flush_pool.py: this is a pool of one part.

Source: H. Dickins' third slot state, "being flushed"; dropping the lock round the flush, linux-mm, 2024.
Ours: the pool knows how many slots are clean, so that a miss need not probe all of them to learn that there
is none; a flush that would free nothing is not made; `spare`, to begin while there still are clean slots for
others, and `batch`, to release the lock within the pass too.
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

SUMMARY = "the global pool, its lock released while TLBs are flushed"
SOURCE = "H. Dickins; linux-mm, 2024"
OPTIONS = (
    Option("slots", 1024, minimum=2, maximum=1 << 20, help="slots in the pool (LAST_PKMAP)"),
    Option(
        "spare", 0, minimum=0, maximum=1 << 20, help="clean slots left when a flush begins; 0: when none is"
    ),
    Option("batch", 0, minimum=0, maximum=1 << 20, help=BATCH_HELP),
)
POOL = PART_FIELDS
SLOT = SLOT_FIELDS
PAGE = PAGE_FIELDS


prepare = fill_parts


def idle_options(options: dict[str, int], cpus: int) -> dict[str, str]:
    """A batch of all slots is the whole pass."""
    if options["batch"] < options["slots"]:
        return {}
    return {"batch": f"a value below {options['slots']}, the number of slots"}


@inline
def map_step(a: State, r: Request, d: StepCost) -> int:
    """Find the page's slot or take a clean one; where none is left, flush, or wait for a flush under way."""
    options = a.options[0]
    return map_in_parts(a, r, d, 1, options.slots, options.batch, options.spare)


@inline
def unmap_step(a: State, r: Request, d: StepCost) -> int:
    """Drop one use; wake the sleepers, after the release, if nobody uses the slot now and no flush will."""
    return unmap_in_parts(a, r, d, a.options[0].slots)


# Counts must match the live mappings, pages their slots; nobody sleeps unless all slots are in use.
check = check_parts
lost_wakeups = lost_wakeups_in_parts
