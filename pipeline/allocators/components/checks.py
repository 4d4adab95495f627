"""Consistency checks of designs, at the end of a run and in tests after each step."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.allocators.api.contract import Check
from pipeline.allocators.api.protocols import State


def check_users(live: Check, counted: Iterable[int], first: int = 0) -> list[str]:
    """Check that each slot, from `first` on, has as many users as its count says."""
    return [
        f"slot {s}: the count is {users} users, found {live.users.get(s, 0)}"
        for s, users in enumerate(counted, first)
        if users != live.users.get(s, 0)
    ]


def check_pages(a: State, mapping: list[int]) -> list[str]:
    """Check that exactly the pages of the slots in `mapping` refer to a slot, each to its own."""
    problems = []
    pages = a.slots.page[mapping]
    for s, page, slot in zip(mapping, pages.tolist(), a.pages.slot[pages].tolist(), strict=True):
        if slot != s + 1:
            problems.append(f"slot {s}: maps page {page}, which is recorded as cached in {slot - 1}")
    cached = int((a.pages.slot > 0).sum())
    if cached != len(mapping):
        problems.append(f"{cached} pages are recorded as cached, but {len(mapping)} slots map one")
    return problems


def check_sleepers(live: Check, queue: int, to_be_had: int, what: str = "slots are not in use") -> list[str]:
    """Check that no task sleeps in a queue while anything it waits for is available."""
    if live.sleepers[queue] and to_be_had:
        return [f"{live.sleepers[queue]} tasks sleep although {to_be_had} {what}"]
    return []
