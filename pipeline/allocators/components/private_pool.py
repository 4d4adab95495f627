"""Private pools of cached mappings, each for one CPU or one process.

    pool[s].cursor   slot of pool `s` examined last, counted from the pool's first; starts at 0 and advances
                     before each examination
    slot.count       0   clean: no PTE, and no TLB holds a stale translation; only a clean slot may be taken
                     1   cached and unused: the PTE is present and TLBs may hold it; not reusable before a
                         flush
                     n   n - 1 users, n >= 2
    slot.page        the mapped page, if count >= 1; found by the hash of components/page_hash.py

Pool `s` has the slots from s * slots up to, but not including, (s + 1) * slots (`slots` is an option that the
design must have) and its own hash over them. A page may be cached once in each pool. The design decides which
CPUs may touch a pool and which TLBs a wrap must flush.
"""

from __future__ import annotations

from pipeline.allocators.api.contract import Check
from pipeline.allocators.api.effects import evict, probe, report_finding, write_pte
from pipeline.allocators.api.protocols import Request, State, StepCost
from pipeline.allocators.components.checks import check_users
from pipeline.allocators.components.page_hash import (
    HASH_FIELDS,
    enter_page,
    find_page,
    forget_page,
    list_entries,
)
from pipeline.jit.marks import inline
from pipeline.schema.codes import COUNT_UNDERFLOW, HIT, MISS

PRIVATE_SLOT = [("count", "i4"), *HASH_FIELDS]

# Results of a search.
TAKEN = 0
WRAPPED = 1  # the pool was scanned: continue, after a flush if TLBs may hold the slots that became clean
EXHAUSTED = 2


@inline
def use_cached(a: State, r: Request, s: int) -> bool:
    """Use the slot of pool `s` that caches the page; false if there is none."""
    size = a.options[0].slots
    cached = find_page(a, r.page, s * size, size)
    if cached < 0:
        return False
    a.slots[cached].count += 1
    r.slot = cached
    r.served = HIT
    return True


@inline
def take_clean(a: State, r: Request, d: StepCost, s: int, after_wrap: bool) -> int:
    """Look for a clean slot of pool `s`, starting after the cursor; return the result.

    At a wrap, unused slots become clean; `r.mark` is their number. The search examines `r.budget` slots and
    restores the budget at each wrap. After a wrap (`after_wrap`) the search continues at the cursor itself.
    """
    pool = a.pool[s]
    size = a.options[0].slots
    while True:
        if not after_wrap:
            pool.cursor += 1
            probe(d, 1)
            if pool.cursor == size:
                pool.cursor = 0
                r.budget = size
                r.mark = make_clean(a, d, s * size, size)
                return WRAPPED
        after_wrap = False
        at = s * size + pool.cursor
        if a.slots[at].count == 0:
            a.slots[at].count = 2
            enter_page(a, at, r.page, s * size, size)
            write_pte(d)
            r.slot = at
            r.served = MISS
            return TAKEN
        r.budget -= 1
        if r.budget == 0:
            return EXHAUSTED


@inline
def make_clean(a: State, d: StepCost, first: int, size: int) -> int:
    """Make the unused slots clean; return how many."""
    freed = 0
    for at in range(first, first + size):
        if a.slots[at].count == 1:
            a.slots[at].count = 0
            forget_page(a, at, first, size)
            evict(a, d, a.slots[at].page)
            freed += 1
    return freed


@inline
def drop_use(a: State, r: Request, d: StepCost) -> bool:
    """Drop one use of the slot; return whether it is now unused."""
    slot = a.slots[r.slot]
    before = slot.count
    slot.count -= 1
    if slot.count < 1:
        report_finding(d, COUNT_UNDERFLOW)
        # Keep the slot clean or hashed as it was: a chain that contains a slot twice would never end.
        slot.count = min(before, 1)
    return slot.count == 1


@inline
def make_clean_at_once(a: State, at: int) -> None:
    """Drop the mapping of an unused slot immediately."""
    size = a.options[0].slots
    a.slots[at].count = 0
    forget_page(a, at, at // size * size, size)


def check_private_pools(a: State, live: Check, cached: bool = True) -> list[str]:
    """Counts must match the live mappings, and each pool's hash the slots that are not clean."""
    problems = []
    size = int(a.options[0].slots)
    counts, buckets = (column.reshape(-1, size) for column in (a.slots.count, a.slots.bucket))
    used = counts.any(axis=1) | buckets.any(axis=1)
    used[[at // size for at in live.users]] = True
    for s in used.nonzero()[0].tolist():
        first = s * size
        table = list_entries(a, first, size)
        own = counts[s].tolist()
        problems += check_users(live, (max(count - 1, 0) for count in own), first)
        for at, count in enumerate(own, first):
            if (count > 0) != (at in table):
                problems.append(
                    f"slot {at}: count {count}, and its page is {'' if at in table else 'not '}hashed"
                )
        twice = cached and len(set(table.values())) < len(table)
        if twice or -1 in table.values():
            problems.append(f"pool {s}: a page or a slot is hashed twice")
    return problems
