"""What designs check of themselves when a run has ended, and in tests after each step."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.allocators.api.contract import Check
from pipeline.allocators.api.protocols import State


def check_users(live: Check, counted: Iterable[int], first: int = 0) -> list[str]:
    """Each slot, from `first` on, must have as many users as it counts."""
    return [
        f"slot {s}: {users} users are counted, there are {live.users.get(s, 0)}"
        for s, users in enumerate(counted, first)
        if users != live.users.get(s, 0)
    ]


def check_pages(a: State, mapping: list[int]) -> list[str]:
    """The slots `mapping` map their page: it must know so, and no other page say that it has a slot."""
    problems = []
    pages = a.slots.page[mapping]
    for s, page, slot in zip(mapping, pages.tolist(), a.pages.slot[pages].tolist(), strict=True):
        if slot != s + 1:
            problems.append(f"slot {s}: maps page {page}, which is cached in {slot - 1}")
    cached = int((a.pages.slot > 0).sum())
    if cached != len(mapping):
        problems.append(f"{cached} pages are cached in {len(mapping)} slots that map one")
    return problems


def check_sleepers(live: Check, queue: int, to_be_had: int, what: str = "slots are not in use") -> list[str]:
    """Nobody may be left asleep in a queue as long as anything is to be had."""
    if live.sleepers[queue] and to_be_had:
        return [f"{live.sleepers[queue]} tasks sleep although {to_be_had} {what}"]
    return []
