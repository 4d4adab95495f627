"""Slots whose counts are changed atomically, with no lock over them.

    slot.count     0   one task has it for itself, to give it another page or to have it flushed
                   1   free, whether it still maps a page or is clean
                   n   n - 1 users, n >= 2
    slot.page      the page it maps; -1: it is clean, and no CPU can hold a stale translation
    pool.freed     how often a slot became free

Counts lie side by side in lines of memory, `counts_per_line` in each, an option that the design must have
beside `slots`. A line goes from CPU to CPU at each change, even one that fails. Line 0 is the design's own.
"""

from __future__ import annotations

from pipeline.allocators.api.contract import Check, Shape
from pipeline.allocators.api.effects import change_atomically, report_finding
from pipeline.allocators.api.protocols import Request, State, StepCost
from pipeline.allocators.components.checks import check_pages, check_sleepers, check_users
from pipeline.jit.marks import inline
from pipeline.schema.codes import COUNT_UNDERFLOW


def count_lines(options: dict[str, int], shape: Shape) -> int:
    """The allocator's own line, then those of the counts."""
    return 1 + -(-options["slots"] // options["counts_per_line"])


@inline
def change_count(a: State, d: StepCost, slot: int, by: int) -> None:
    """Change the count of a slot, if only to what it was."""
    change_atomically(a, d, 1 + slot // a.options[0].counts_per_line)
    a.slots[slot].count += by


@inline
def claim(a: State, d: StepCost, slot: int) -> bool:
    """Have a free slot for oneself (compare and swap); false if it is not free."""
    free = a.slots[slot].count == 1
    change_count(a, d, slot, -1 if free else 0)
    return free


@inline
def count_up(a: State, r: Request, d: StepCost, slot: int) -> bool:
    """Become a user of the slot that had the page a moment ago; false if it has not any more."""
    same = a.slots[slot].count > 0 and a.slots[slot].page == r.page
    change_count(a, d, slot, 1 if same else 0)
    return same


@inline
def count_down(a: State, d: StepCost, slot: int) -> bool:
    """Drop one use; whether the slot is free now."""
    change_count(a, d, slot, -1)
    if a.slots[slot].count < 1:
        report_finding(d, COUNT_UNDERFLOW)
    free = a.slots[slot].count == 1
    a.pool[0].freed += 1 if free else 0
    return free


@inline
def give_back(a: State, d: StepCost, slot: int) -> None:
    """Make a slot free that one has for oneself."""
    change_count(a, d, slot, 1)
    a.pool[0].freed += 1


def check_counts(a: State, live: Check) -> list[str]:
    """Every slot has as many users as it counts and no task has one for itself; pages know their slots."""
    mapping = (a.slots.page >= 0).nonzero()[0].tolist()
    return check_users(live, (a.slots.count - 1).tolist()) + check_pages(a, mapping)


def lost_wakeups_beside_free(a: State, live: Check) -> list[str]:
    """Nobody may be left asleep unless every slot is in use."""
    return check_sleepers(live, 0, int((a.slots.count == 1).sum()), "slots are free")
