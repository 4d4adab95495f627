"""A kernel address space in pages, divided into extents: free ones, and areas in one of several states.

    pool.areas    number of areas
    pool.longest  longest area that has found no room, in pages
    slot.length   at the first page of an extent: its length in pages
    slot.first    at the last page of an extent: its first page
    slot.state    at the first page of an extent: FREE, BUSY, LAZY, PURGING, POOLED or BLOCK

A free extent has no free neighbour. An area is LAZY when it has been unmapped and TLBs may still hold its
translations, and PURGING while a flush removes them. A POOLED area is clean and kept for later maps of its
length. A BLOCK is an area from which shorter ones are cut.

The source of the search is Linux: the lowest free extent that is long enough (first fit). Two of its designs
walk the areas from the start of the address space, and later ones use a search tree.
"""

from __future__ import annotations

from itertools import pairwise

from pipeline.allocators.api.contract import Check, Option, Shape
from pipeline.allocators.api.protocols import Request, State
from pipeline.jit.marks import inline, noinline

SPACE_PAGES = Option(
    "space_pages", 1 << 17, minimum=2, maximum=1 << 22, help="address space for areas, in pages of 4 KiB"
)
GUARD_PAGES = Option(
    "guard_pages", 1, minimum=0, maximum=16, help="pages without a translation at the end of each area"
)
SPACE_POOL = [("areas", "i4"), ("longest", "i4")]
SPACE_SLOT = [("length", "i4"), ("first", "i4"), ("state", "i4")]

FREE = 0
BUSY = 1
LAZY = 2
PURGING = 3
POOLED = 4
BLOCK = 5

NONE = -1


def space_slots(options: dict[str, int], shape: Shape) -> int:
    """One slot for each page of the address space."""
    return options["space_pages"]


def prepare_space(a: State, shape: Shape) -> None:
    """The whole address space is one free extent."""
    _mark(a, 0, int(a.options[0].space_pages), FREE)


@inline
def length_of(a: State, r: Request) -> int:
    """Address space that request `r` needs, in pages."""
    return r.pages + a.options[0].guard_pages


@noinline
def find_fit(a: State, pages: int, alignment: int) -> tuple[int, int]:
    """Find the lowest free extent with room for `pages` pages from a multiple of `alignment` on.

    Returns its first page, NONE if there is none, and the number of areas below it.
    """
    at = 0
    areas = 0
    while at < a.options[0].space_pages:
        extent = a.slots[at]
        if extent.state == FREE:
            if align(at, alignment) + pages <= at + extent.length:
                return at, areas
        else:
            areas += 1
        at += extent.length
    a.pool[0].longest = max(a.pool[0].longest, pages)
    return NONE, areas


@inline
def align(page: int, alignment: int) -> int:
    """Return the first multiple of `alignment` that is not below `page`."""
    return (page + alignment - 1) // alignment * alignment


@noinline
def areas_before(a: State, page: int) -> int:
    """Number of areas below `page`, which a walk from the start of the address space passes."""
    at = 0
    areas = 0
    while at < page:
        areas += a.slots[at].state != FREE
        at += a.slots[at].length
    return areas


@inline
def depth(a: State) -> int:
    """Depth of a search tree of the areas: the bits of their number."""
    levels = 0
    areas = a.pool[0].areas + 1
    while areas > 0:
        levels += 1
        areas >>= 1
    return levels


@inline
def _mark(a: State, first: int, pages: int, state: int) -> None:
    a.slots[first].length = pages
    a.slots[first].state = state
    a.slots[first + pages - 1].first = first


@noinline
def take(a: State, begin: int, first: int, pages: int) -> None:
    """Make `pages` pages from `first` on an area in use; the free extent that has them starts at `begin`."""
    a.pool[0].areas += 1
    before = first - begin
    after = a.slots[begin].length - before - pages
    if before > 0:
        _mark(a, begin, before, FREE)
    if after > 0:
        _mark(a, first + pages, after, FREE)
    _mark(a, first, pages, BUSY)


@noinline
def give_back(a: State, first: int) -> None:
    """Make an area free, as one extent with free neighbours."""
    a.pool[0].areas -= 1
    begin = first
    end = first + a.slots[first].length
    a.slots[first].state = FREE
    if begin > 0:
        before = a.slots[begin - 1].first
        if a.slots[before].state == FREE:
            begin = before
    if end < a.options[0].space_pages and a.slots[end].state == FREE:
        end += a.slots[end].length
    _mark(a, begin, end - begin, FREE)


def extents(a: State) -> list[tuple[int, int, int]]:
    """First page, length and state of each extent, in order of addresses; outside of steps."""
    found = []
    at, size = 0, int(a.options[0].space_pages)
    while at < size:
        length, state = int(a.slots[at].length), int(a.slots[at].state)
        found.append((at, length, state))
        at += max(length, 1)
    return found


def check_extents(a: State) -> list[str]:
    """Extents must fill the address space, and free ones must not touch."""
    problems = []
    found = extents(a)
    if found[-1][0] + found[-1][1] != int(a.options[0].space_pages):
        problems.append(f"extents end at page {found[-1][0] + found[-1][1]}, not at the end of the space")
    for (at, length, state), (_, _, after) in pairwise([*found, (0, 0, BUSY)]):
        if int(a.slots[at + length - 1].first) != at:
            problems.append(f"the extent at page {at} is not found from its end")
        if state == after == FREE:
            problems.append(f"the free extent at page {at} is not joined with the next")
    areas = sum(state != FREE for _, _, state in found)
    if areas != int(a.pool[0].areas):
        problems.append(f"{int(a.pool[0].areas)} areas are counted, {areas} found")
    return problems


def check_space(a: State, live: Check) -> list[str]:
    """The extents must be consistent, and the areas in use must be the mappings."""
    busy = {at for at, _, state in extents(a) if state == BUSY}
    used = {slot for slot, users in live.users.items() if users}
    problems = check_extents(a)
    if busy != used:
        problems.append(f"areas at {sorted(busy ^ used)[:5]} are either mapped or in use, not both")
    return problems


def lost_room(a: State, live: Check) -> list[str]:
    """No task may remain asleep if the whole address space is free, unless it wants more than that."""
    free = all(state == FREE for _, _, state in extents(a))
    if not live.sleepers[0] or not free or int(a.pool[0].longest) > int(a.options[0].space_pages):
        return []
    return [f"{live.sleepers[0]} tasks sleep although the whole address space is free"]
