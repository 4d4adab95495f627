"""The kernel's pool in two halves: one is flushed while slots are taken from the other (Bligh).

    pool[h].cursor    slot of half `h` examined last.
    pool[h].clean     its clean slots
    pool[h].unused    its cached, unused slots, which a flush would free.
    pool[0].part      the current half, from which misses take slots
    pool[0].flushing  1 + the half that is being flushed; 0: none

    slot.count        -1   being flushed: no PTE and no page, but TLBs may hold it; not usable yet
                       0   clean; only a clean slot may be taken
                       1   cached and unused
                       n   n - 1 users, n >= 2
    slot.page         the mapped page, if count >= 1

    page.slot         1 + the slot that caches the page, in either half; 0: none

A map that finds the current half used up switches to the other half, takes its slot there, releases the lock
and cleans the old half. Until the flush ends, the old half still serves hits and takes releases, except for
slots that the scan has dropped from the cache. The scan holds the lock for `batch` slots at a time, so other
tasks can get the lock in between. If the new half is used up before the old one is clean, misses sleep until
it is. The next miss then switches halves again.

The algorithm is in components/deferred_flush_pool.py; this is a pool of two parts.

Source: M. J. Bligh, linux-kernel, 2002. Ours: the lock is taken for each batch of the scan, because a page's
slot cannot be cleared safely otherwise; a half whose slots are all in use is left without a flush.
"""

from __future__ import annotations

from pipeline.allocators.api.contract import Option, Shape
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

SUMMARY = "the global pool in two halves, one flushed without the lock while the other is used"
SOURCE = "M. J. Bligh, linux-kernel, 2002"
OPTIONS = (
    Option(
        "slots", 1024, minimum=2, maximum=1 << 20, help="slots of both halves; odd numbers are rounded down"
    ),
    Option("batch", 32, minimum=0, maximum=1 << 20, help=BATCH_HELP),
)
POOL = PART_FIELDS
SLOT = SLOT_FIELDS
PAGE = PAGE_FIELDS

_HALVES = 2


def slots(options: dict[str, int], shape: Shape) -> int:
    """The slots of both halves."""
    return options["slots"] // _HALVES * _HALVES


def pools(options: dict[str, int], shape: Shape) -> int:
    """One record for each half."""
    return _HALVES


prepare = fill_parts


def idle_options(options: dict[str, int], cpus: int) -> dict[str, str]:
    """A batch of a whole half is the whole scan."""
    half = options["slots"] // _HALVES
    return {"batch": f"a value below {half}, the slots of a half"} if options["batch"] >= half else {}


@inline
def map_step(a: State, r: Request, d: StepCost) -> int:
    """Find the page's slot or take a clean one of the current half; flush a half that is used up."""
    return map_in_parts(a, r, d, _HALVES, a.options[0].slots // _HALVES, a.options[0].batch, 0)


@inline
def unmap_step(a: State, r: Request, d: StepCost) -> int:
    """Drop one use; after the release, wake the sleepers if the slot is unused and no flush will."""
    return unmap_in_parts(a, r, d, a.options[0].slots // _HALVES)


# Counts must match the live mappings and pages their slots; no task sleeps unless all slots are in use.
check = check_parts
lost_wakeups = lost_wakeups_in_parts
