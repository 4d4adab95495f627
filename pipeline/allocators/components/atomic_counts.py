"""Slots with atomically changed counts and no lock.

    slot.count     0   claimed by one task, to map another page in it or to have it flushed
                   1   free, either still mapping a page or clean
                   n   n - 1 users, n >= 2
    slot.page      the mapped page; -1: the slot is clean, and no TLB holds a stale translation
    pool.freed     number of times a slot became free

`counts_per_line` counts share a cache line (an option that the design must have, like `slots`). A line moves
between CPUs at each change, even one that fails. Line 0 belongs to the design.
"""

from __future__ import annotations

from pipeline.allocators.api.contract import Check, Shape
from pipeline.allocators.api.effects import change_atomically, report_finding
from pipeline.allocators.api.protocols import Request, State, StepCost
from pipeline.allocators.components.checks import check_pages, check_sleepers, check_users
from pipeline.jit.marks import inline
from pipeline.schema.codes import COUNT_UNDERFLOW


def count_lines(options: dict[str, int], shape: Shape) -> int:
    """Number of lines: the design's own line, then those of the counts."""
    return 1 + -(-options["slots"] // options["counts_per_line"])


@inline
def change_count(a: State, d: StepCost, slot: int, by: int) -> None:
    """Change the count of a slot; a change by 0 also needs the line."""
    change_atomically(a, d, 1 + slot // a.options[0].counts_per_line)
    a.slots[slot].count += by


@inline
def claim(a: State, d: StepCost, slot: int) -> bool:
    """Claim a free slot (compare and swap); false if it is not free."""
    free = a.slots[slot].count == 1
    change_count(a, d, slot, -1 if free else 0)
    return free


@inline
def count_up(a: State, r: Request, d: StepCost, slot: int) -> bool:
    """Become a user of the slot that cached the page a moment ago; false if it does not cache it now."""
    same = a.slots[slot].count > 0 and a.slots[slot].page == r.page
    change_count(a, d, slot, 1 if same else 0)
    return same


@inline
def count_down(a: State, d: StepCost, slot: int) -> bool:
    """Drop one use; return whether the slot is now free."""
    change_count(a, d, slot, -1)
    if a.slots[slot].count < 1:
        report_finding(d, COUNT_UNDERFLOW)
    free = a.slots[slot].count == 1
    a.pool[0].freed += 1 if free else 0
    return free


@inline
def give_back(a: State, d: StepCost, slot: int) -> None:
    """Release a claimed slot."""
    change_count(a, d, slot, 1)
    a.pool[0].freed += 1


def check_counts(a: State, live: Check) -> list[str]:
    """Counts must match the live mappings, no slot may be claimed, and pages must match their slots."""
    mapping = (a.slots.page >= 0).nonzero()[0].tolist()
    return check_users(live, (a.slots.count - 1).tolist()) + check_pages(a, mapping)


def lost_wakeups_beside_free(a: State, live: Check) -> list[str]:
    """No task may remain asleep unless every slot is in use."""
    return check_sleepers(live, 0, int((a.slots.count == 1).sum()), "slots are free")
