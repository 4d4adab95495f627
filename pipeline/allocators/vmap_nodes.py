"""vmap since 6.9: areas are divided among nodes, each with its own locks, lists and pools of addresses.

    node of an address   (page / 16) modulo the number of nodes
    node of a CPU        CPU modulo the number of nodes

    pool[0].lazy         lazy pages of all nodes; a shared counter
    pool[0].purging      1 while the worker runs
    pool[0].pooled       areas in the pools of all nodes
    pool[0].full         1: the next purge returns the whole pools, as a map has found no room
    pool[0].emptying     1: the running purge returns them, too
    pool[n].lazy_head    1 + first slot of the area that node n - 1 made lazy last; others follow by `next`
    pool[n].purge_head   the same for those that the running purge has collected
    node n's pool of areas of s pages is pool[nodes + 1 + 256 n + s - 1]: head, count

    slot.next            1 + first slot of the next area of the list; 0: none
    slot.owner           the node whose pool gets the area back: that of the CPU that mapped it

A map takes an area of exactly its length from the pool of its CPU's node, or the lowest gap of the address
space, under the lock of the global tree. It then enters the area in the busy tree of its address's node. An
unmap removes it there, clears the PTEs, and puts the area on the lazy list of its owner. If more is lazy than
the limit allows, a worker purges: it takes a quarter of each pool back to the global tree, collects the lazy
lists, flushes the addresses from the lowest to the highest of all of them on every CPU, and fills the pools;
longer areas go to the global tree.

Source: U. Rezki, "mm: vmalloc: mitigate lock contention in vmap space", 2024 (Linux 6.9, mm/vmalloc.c).
Ours: one worker purges all nodes, while Linux adds helpers if a multiple of the limit is lazy when the purge
begins. A map that finds no room sleeps until a purge makes some; the kernel's fails.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.allocators.api.actions import DONE, FLUSH_ALL, LOCK, SLEEP, STEP, UNLOCK, WAKE_ALL, WAKE_WORKER
from pipeline.allocators.api.contract import Check, Option, Shape
from pipeline.allocators.api.effects import (
    change_atomically,
    flush_range,
    probe,
    scan,
    touch,
    touch_local,
    write_ptes,
)
from pipeline.allocators.api.protocols import Request, State, StepCost
from pipeline.allocators.components.address_space import (
    BUSY,
    GUARD_PAGES,
    LAZY,
    NONE,
    POOLED,
    PURGING,
    SPACE_PAGES,
    SPACE_POOL,
    SPACE_SLOT,
    check_space,
    depth,
    extents,
    find_fit,
    give_back,
    length_of,
    prepare_space,
    space_slots,
    take,
)
from pipeline.allocators.components.given_addresses import take_at
from pipeline.allocators.components.lazy_areas import (
    LAZY_PAGES,
    check_lazy,
    counter_lines,
    lost_lazy,
    make_lazy,
)
from pipeline.jit.marks import inline, noinline
from pipeline.schema.codes import MISS

SUMMARY = "vmap of 6.9: nodes with their own locks, lists and pools; a worker flushes and fills the pools"
SOURCE = "U. Rezki, mm: vmalloc: mitigate lock contention in vmap space, 2024, mm/vmalloc.c"
OPTIONS = (
    Option("nodes", 0, minimum=0, maximum=64, help="nodes; 0: one for each CPU"),
    LAZY_PAGES,
    SPACE_PAGES,
    GUARD_PAGES,
)
POOL = [
    *SPACE_POOL,
    ("lazy", "i8"),
    ("purging", "i4"),
    ("pooled", "i4"),
    ("full", "i4"),
    ("emptying", "i4"),
    ("lazy_head", "i4"),
    ("purge_head", "i4"),
    ("head", "i4"),
    ("count", "i4"),
]
SLOT = [*SPACE_SLOT, ("next", "i4"), ("owner", "i4")]
AREAS = True
ATOMICS = True

ZONE_PAGES = 16
POOL_SIZES = 256

_TREE_LOCK = 0
_LOCKS_OF_A_NODE = 3


def _nodes_of(options: dict[str, int], shape: Shape) -> int:
    return options["nodes"] or shape.cpus


def pools(options: dict[str, int], shape: Shape) -> int:
    """A record for the whole, one for each node, and one for each size in each node's pool."""
    return 1 + _nodes_of(options, shape) * (1 + POOL_SIZES)


def locks(options: dict[str, int], shape: Shape) -> int:
    """The lock of the global tree, and three locks for each node."""
    return 1 + _LOCKS_OF_A_NODE * _nodes_of(options, shape)


def lock_names(options: dict[str, int], shape: Shape) -> tuple[str, ...]:
    """The global tree; each node's busy tree, lazy list and pool."""
    return ("tree", *("busy", "lazy", "pool") * _nodes_of(options, shape))


def workers(options: dict[str, int], shape: Shape) -> int:
    """The worker that purges."""
    return 1


@inline
def _nodes(a: State, d: StepCost) -> int:
    return a.options[0].nodes if a.options[0].nodes > 0 else d.cpus


@inline
def _node_of_page(a: State, d: StepCost, page: int) -> int:
    return page // ZONE_PAGES % _nodes(a, d)


@inline
def _busy_lock(node: int) -> int:
    return 1 + _LOCKS_OF_A_NODE * node


@inline
def _lazy_lock(node: int) -> int:
    return 2 + _LOCKS_OF_A_NODE * node


@inline
def _pool_lock(node: int) -> int:
    return 3 + _LOCKS_OF_A_NODE * node


@inline
def _pool(a: State, d: StepCost, node: int, pages: int) -> Any:
    """Record of the node's pool of areas of `pages` pages, at most POOL_SIZES."""
    return a.pool[1 + _nodes(a, d) + node * POOL_SIZES + pages - 1]


# Steps of a map.
_ASK = 0
_IN_POOL = 1
_TREE = 2
_IN_TREE = 3
_ENTER = 4
_ENTERED = 5
_WRITE = 6
_SLEEPING = 7


@inline
def map_step(a: State, r: Request, d: StepCost) -> int:
    """Take an area from the pool of this CPU's node or from the global tree; enter it as busy."""
    pages = length_of(a, r)
    node = d.cpu % _nodes(a, d)
    if r.step == _ASK:
        r.mark = node
        touch_local(d, 1)
        if pages > POOL_SIZES or _pool(a, d, node, pages).head == 0:
            r.step = _TREE
        else:
            r.step = _IN_POOL
            d.lock = _pool_lock(node)
            return LOCK
    if r.step == _IN_POOL:
        found = _pool(a, d, r.mark, pages)
        touch(d, 1)
        r.step = _TREE
        if found.head > 0:
            r.slot = _pop(a, found)
            r.served = MISS
            r.step = _ENTER
        return UNLOCK
    if r.step == _TREE:
        r.step = _IN_TREE
        d.lock = _TREE_LOCK
        return LOCK
    if r.step == _IN_TREE:
        probe(d, depth(a))
        begin, _ = find_fit(a, pages, 1)
        if begin == NONE:
            a.pool[0].full = 1
            # A purge that runs wakes those who sleep, and with nothing to return none would help.
            if a.pool[0].lazy + a.pool[0].pooled == 0:
                r.step = _ASK
                return SLEEP
            r.step = _SLEEPING
            return WAKE_WORKER
        touch(d, 1)
        take(a, begin, begin, pages)
        r.slot = begin
        r.served = MISS
        r.step = _ENTER
        return UNLOCK
    if r.step == _SLEEPING:
        r.step = _ASK
        return SLEEP
    if r.step == _ENTER:
        a.slots[r.slot].owner = r.mark
        r.step = _ENTERED
        d.lock = _busy_lock(_node_of_page(a, d, r.slot))
        return LOCK
    if r.step == _ENTERED:
        touch(d, 1)
        a.slots[r.slot].state = BUSY
        r.step = _WRITE
        return UNLOCK
    write_ptes(d, r.pages)
    return DONE


@inline
def _pop(a: State, pool: Any) -> int:
    """Take the first area of a pool."""
    first = pool.head - 1
    pool.head = a.slots[first].next
    pool.count -= 1
    a.pool[0].pooled -= 1
    return first


# Steps of an unmap.
_LOOKING_UP = 1
_REMOVED = 2
_LISTING = 3
_LISTED = 4
_LAST = 5


@inline
def unmap_step(a: State, r: Request, d: StepCost) -> int:
    """Remove the area from its busy tree, clear its PTEs, and put it on the lazy list of its owner."""
    if r.step == _ASK:
        r.step = _LOOKING_UP
        d.lock = _busy_lock(_node_of_page(a, d, r.slot))
        return LOCK
    if r.step == _LOOKING_UP:
        touch(d, 1)
        r.step = _REMOVED
        return UNLOCK
    owner = a.slots[r.slot].owner
    if r.step == _REMOVED:
        write_ptes(d, r.pages)
        r.mark = make_lazy(a, d, r.slot)
        r.step = _LISTING
        d.lock = _lazy_lock(owner)
        return LOCK
    if r.step == _LISTING:
        touch(d, 1)
        a.slots[r.slot].next = a.pool[1 + owner].lazy_head
        a.pool[1 + owner].lazy_head = r.slot + 1
        r.step = _LISTED
        return UNLOCK
    if r.step == _LISTED and (r.mark == 1 or a.pool[0].full == 1):
        r.step = _LAST
        return WAKE_WORKER
    return DONE


# Steps of the worker; `r.mark` is the node it works on, `r.budget` the pages of that node that it returns.
_BEGIN = 0
_DECAY = 1
_DECAYING = 2
_COLLECT = 3
_COLLECTING = 4
_FLUSH = 5
_FILL = 6
_FILLING = 7
_RETURN = 8
_RETURNING = 9
_NEXT = 10
_WAKE = 11


@inline
def work_step(a: State, r: Request, d: StepCost) -> int:
    """Purge: shrink the pools, collect the lazy areas, flush once, fill the pools."""
    node = r.mark
    if r.step == _BEGIN:
        a.pool[0].purging = 1
        a.pool[0].emptying = a.pool[0].full
        a.pool[0].full = 0
        r.mark = 0
        r.slot = NONE
        r.budget = 0
        r.step = _DECAY
        return STEP
    if r.step == _DECAY:
        if node == _nodes(a, d):
            r.step = _FLUSH
            return STEP
        r.step = _DECAYING
        d.lock = _pool_lock(node)
        return LOCK
    if r.step == _DECAYING:
        _shrink(a, d, node, a.pool[0].emptying)
        r.step = _COLLECT
        return UNLOCK
    if r.step == _COLLECT:
        r.step = _COLLECTING
        d.lock = _lazy_lock(node)
        return LOCK
    if r.step == _COLLECTING:
        touch(d, 1)
        a.pool[1 + node].purge_head = a.pool[1 + node].lazy_head
        a.pool[1 + node].lazy_head = 0
        r.mark = node + 1
        r.step = _DECAY
        return UNLOCK
    if r.step == _FLUSH:
        r.mark = 0
        r.step = _FILL
        return FLUSH_ALL if _prepare_flush(a, d) else STEP
    return _fill_step(a, r, d)


@noinline
def _shrink(a: State, d: StepCost, node: int, emptying: int) -> None:
    """Collect for the global tree a quarter of each pool of a node, or all of it: they become PURGING."""
    touch(d, 1)
    for pages in range(1, POOL_SIZES + 1):
        pool = _pool(a, d, node, pages)
        for _ in range(pool.count if emptying == 1 else pool.count // 4):
            touch(d, 1)
            first = _pop(a, pool)
            a.slots[first].owner = NONE
            a.slots[first].next = a.pool[0].purge_head
            a.pool[0].purge_head = first + 1


@noinline
def _prepare_flush(a: State, d: StepCost) -> bool:
    """Set the range of the flush: from the lowest to the highest collected area; False if there is none."""
    low = a.options[0].space_pages
    high = 0
    areas = 0
    for node in range(_nodes(a, d)):
        at = a.pool[1 + node].purge_head
        while at > 0:
            first = at - 1
            a.slots[first].state = PURGING
            low = min(low, first)
            high = max(high, first + a.slots[first].length)
            areas += 1
            at = a.slots[first].next
    scan(d, areas, areas)
    if areas > 0:
        flush_range(d, low, high - low)
    return areas > 0


@inline
def _fill_step(a: State, r: Request, d: StepCost) -> int:
    """Put the flushed areas of each node into its pools, the longest into the global tree; wake sleepers."""
    node = r.mark
    if r.step == _FILL:
        if node == _nodes(a, d):
            r.step = _RETURN
            return STEP
        head = a.pool[1 + node].purge_head
        if head == 0:
            r.step = _NEXT
            return STEP
        first = head - 1
        r.slot = first
        a.pool[1 + node].purge_head = a.slots[first].next
        r.budget += a.slots[first].length
        if a.slots[first].length > POOL_SIZES or a.pool[0].emptying == 1:
            touch_local(d, 1)
            a.slots[first].next = a.pool[0].purge_head
            a.pool[0].purge_head = first + 1
            return STEP
        r.step = _FILLING
        d.lock = _pool_lock(node)
        return LOCK
    if r.step == _FILLING:
        touch(d, 1)
        _push(a, _pool(a, d, node, a.slots[r.slot].length), r.slot)
        r.step = _FILL
        return UNLOCK
    if r.step == _NEXT:
        if r.budget > 0:
            change_atomically(a, d, 0)
        a.pool[0].lazy -= r.budget
        r.budget = 0
        r.mark = node + 1
        r.step = _FILL
        return STEP
    if r.step == _RETURN:
        r.step = _RETURNING
        d.lock = _TREE_LOCK
        return LOCK
    if r.step == _RETURNING:
        while a.pool[0].purge_head > 0:
            first = a.pool[0].purge_head - 1
            a.pool[0].purge_head = a.slots[first].next
            touch(d, 1)
            give_back(a, first)
        a.pool[0].purging = 0
        r.step = _WAKE
        return UNLOCK
    if r.step == _WAKE:
        r.slot = NONE
        r.step = _WAKE + 1
        return WAKE_ALL
    return DONE


@inline
def _push(a: State, pool: Any, first: int) -> None:
    """Put an area into a pool."""
    a.slots[first].state = POOLED
    a.slots[first].next = pool.head
    pool.head = first + 1
    pool.count += 1
    a.pool[0].pooled += 1


def place(a: State, slot: int, pages: int, cpu: int) -> bool:
    """Make an area in use at a given address, mapped by CPU `cpu`; False if the address is not free.

    If the pools have any of its pages, they return everything to the global tree first.
    """
    if (a.slots.state[slot : slot + pages] == POOLED).any() or not take_at(a, slot, pages):
        _empty_pools(a)
        if not take_at(a, slot, pages):
            return False
    a.slots[slot].owner = cpu % (int(a.options[0].nodes) or len(a.spaces))
    return True


def _empty_pools(a: State) -> None:
    """Return all areas of all pools to the global tree."""
    for number in np.flatnonzero(a.pool.head).tolist():
        while a.pool[number].head > 0:
            give_back(a, _pop(a, a.pool[number]))


def check(a: State, live: Check) -> list[str]:
    """The areas must be the mappings, lazy, or in a pool; the counters must match the lists."""
    problems = check_space(a, live) + check_lazy(a)
    for state, name in ((LAZY, "lazy_head"), (POOLED, "head")):
        listed = sorted(at for pool in a.pool for at in _listed(a, int(pool[name])))
        found = [at for at, _, of in extents(a) if of == state]
        if listed != found:
            problems.append(f"{name}: {len(listed)} areas are listed, {len(found)} have the state")
    return problems


def _listed(a: State, head: int) -> list[int]:
    """First slots of the areas of a list."""
    found: list[int] = []
    while head > 0 and len(found) <= len(a.slots):
        found.append(head - 1)
        head = int(a.slots[head - 1].next)
    return found


slots = space_slots
lines = counter_lines
prepare = prepare_space
lost_wakeups = lost_lazy
