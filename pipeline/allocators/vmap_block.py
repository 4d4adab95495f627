"""vm_map_ram of 2008: short areas are cut from blocks of the CPU, and a block is reused only as a whole.

    percpu.head    1 + first slot of the CPU's newest block that is not used up; the others follow by `next`
    slot.used      of a block, at its first slot: pages given out, from its start on
    slot.dirty     of a block: pages unmapped again; their addresses are not reused before the whole block is
    slot.next      of a block in a list: 1 + first slot of the next; 0: none

A map of at most 64 pages takes the next pages of a block of its CPU, a power of two, under the block's lock.
If no block has enough left, a new one of `block_pages` pages comes from the address space, under the lock of
the tree. An unmap clears the PTEs and counts the pages as dirty, under the block's lock. A block that is all
dirty becomes a lazy area, and lazy areas are purged as in `vmap_lazy`. Before a CPU takes a new block, those
of its blocks that are used to more than three quarters and have no mapping become lazy, too. A map that finds
no room first makes all blocks without a mapping lazy, of every CPU. Longer maps are areas of their own.

Source: N. Piggin, "mm: rewrite vmap layer", 2008 (Linux commit db64fe02258f), mm/vmalloc.c; the rule on
fragmented blocks is that of Linux 6.3. Ours: a map that finds no room sleeps; the kernel's fails.
"""

from __future__ import annotations

from pipeline.allocators.api.actions import DONE, LOCK, SLEEP, STEP, UNLOCK
from pipeline.allocators.api.contract import Check, Option, Shape
from pipeline.allocators.api.effects import probe, touch, touch_local, write_ptes
from pipeline.allocators.api.protocols import Request, State, StepCost
from pipeline.allocators.components.address_space import (
    BLOCK,
    BUSY,
    GUARD_PAGES,
    NONE,
    SPACE_PAGES,
    SPACE_SLOT,
    align,
    check_extents,
    depth,
    extents,
    find_fit,
    length_of,
    prepare_space,
    space_slots,
    take,
)
from pipeline.allocators.components.lazy_areas import (
    DRAIN,
    LAZY_PAGES,
    LAZY_POOL,
    PURGE,
    PURGED,
    after_unmap,
    check_lazy,
    counter_lines,
    lost_lazy,
    make_lazy,
    make_room,
    purge_step,
    purge_workers,
)
from pipeline.jit.marks import inline, noinline
from pipeline.schema.codes import MISS

SUMMARY = "vm_map_ram of 2008: short areas are cut from blocks per CPU; a block is flushed as a whole"
SOURCE = "N. Piggin, mm: rewrite vmap layer, 2008, mm/vmalloc.c"
OPTIONS = (
    Option(
        "block_pages", 0, minimum=0, maximum=1 << 16,
        help="pages of a block, rounded up to a power of two; 0: a sixteenth of a CPU's share of the address "
        "space, from 128 to 1024",
    ),
    LAZY_PAGES,
    DRAIN,
    SPACE_PAGES,
    GUARD_PAGES,
)  # fmt: skip
POOL = LAZY_POOL
SLOT = [*SPACE_SLOT, ("used", "i4"), ("dirty", "i4"), ("next", "i4")]
PERCPU = [("head", "i4")]
AREAS = True
ATOMICS = True

_LONGEST_IN_BLOCK = 64
_MOST_PAGES = 1024
_TREE_LOCK = 0


@inline
def _block_pages(given: int, space_pages: int, cpus: int) -> int:
    """Length of a block (VMAP_BBMAP_BITS of Linux): a power of two that the address space can hold."""
    wanted = given
    if wanted == 0:
        rounded = 1
        while rounded < cpus:
            rounded *= 2
        wanted = min(_MOST_PAGES, max(2 * _LONGEST_IN_BLOCK, space_pages // rounded // 16))
    size = 1
    while size < wanted and 2 * size <= space_pages:
        size *= 2
    return size


@inline
def _size(a: State, d: StepCost) -> int:
    return _block_pages(a.options[0].block_pages, a.options[0].space_pages, d.cpus)


def locks(options: dict[str, int], shape: Shape) -> int:
    """The lock of the tree, one for each CPU's list of blocks, and one for each block."""
    return 1 + shape.cpus + _most_blocks(options, shape)


def _most_blocks(options: dict[str, int], shape: Shape) -> int:
    size = _block_pages(options["block_pages"], options["space_pages"], shape.cpus)
    return -(-options["space_pages"] // size)


def lock_names(options: dict[str, int], shape: Shape) -> tuple[str, ...]:
    """The tree, the lists of the CPUs, the blocks."""
    return ("tree", *("queue",) * shape.cpus, *("block",) * _most_blocks(options, shape))


@inline
def _is_short(a: State, r: Request, d: StepCost) -> bool:
    """Whether the mapping is cut from a block."""
    return r.pages <= _LONGEST_IN_BLOCK and _rounded(r) <= _size(a, d)


@inline
def _rounded(r: Request) -> int:
    """Pages of a block that the mapping takes: a power of two."""
    pages = 1
    while pages < r.pages:
        pages *= 2
    return pages


@inline
def _block_lock(a: State, d: StepCost, block: int) -> int:
    return 1 + d.cpus + block // _size(a, d)


@inline
def _queue_lock(d: StepCost) -> int:
    return 1 + d.cpu


# Steps of a map.
_ASK = 0
_TRY = 1
_IN_BLOCK = 2
_USED_UP = 3
_UNLISTING = 4
_NEW = 5
_CLEANING = 6
_TREE = 7
_IN_TREE = 8
_ADD = 9
_ADDING = 10
_WRITE = 11
_SLEEPING = 12


@inline
def map_step(a: State, r: Request, d: StepCost) -> int:
    """Take the next pages of a block of this CPU, or get a new block; a long mapping is an area itself."""
    if r.step >= PURGED:
        r.step = _ASK
    if r.step >= PURGE:
        return purge_step(a, r, d)
    if r.step == _ASK:
        touch_local(d, 1)
        r.mark = a.percpu[d.cpu].head
        r.step = _TRY if _is_short(a, r, d) else _TREE
    if r.step == _TRY:
        if r.mark == 0:
            r.step = _NEW
            return STEP
        r.step = _IN_BLOCK
        d.lock = _block_lock(a, d, r.mark - 1)
        return LOCK
    if r.step == _IN_BLOCK:
        return _cut(a, r, d)
    if r.step == _USED_UP:
        r.step = _UNLISTING
        d.lock = _queue_lock(d)
        return LOCK
    if r.step == _UNLISTING:
        _unlist(a, d, d.cpu, r.mark - 1)
        r.step = _WRITE
        return UNLOCK
    if r.step == _SLEEPING:
        r.step = _ASK
        return SLEEP
    if r.step == _WRITE:
        write_ptes(d, r.pages)
        return DONE
    return _get_step(a, r, d)


@inline
def _cut(a: State, r: Request, d: StepCost) -> int:
    """Take the next pages of the locked block if it has enough; else try the next block."""
    block = r.mark - 1
    pages = _rounded(r)
    touch_local(d, 1)
    if a.slots[block].used + pages > _size(a, d):
        r.mark = a.slots[block].next
        r.step = _TRY
        return UNLOCK
    r.slot = block + a.slots[block].used
    r.served = MISS
    a.slots[block].used += pages
    r.step = _USED_UP if a.slots[block].used == _size(a, d) else _WRITE
    return UNLOCK


@noinline
def _unlist(a: State, d: StepCost, cpu: int, block: int) -> None:
    """Take a block out of a CPU's list."""
    touch_local(d, 1)
    at = a.percpu[cpu].head
    if at == block + 1:
        a.percpu[cpu].head = a.slots[block].next
        return
    while a.slots[at - 1].next != block + 1:
        at = a.slots[at - 1].next
    a.slots[at - 1].next = a.slots[block].next


@inline
def _get_step(a: State, r: Request, d: StepCost) -> int:
    """Get a block for this CPU, or a long area, from the address space."""
    if r.step == _NEW:
        r.step = _CLEANING
        d.lock = _queue_lock(d)
        return LOCK
    if r.step == _CLEANING:
        _retire(a, d, d.cpu, _size(a, d) // 4)
        r.step = _TREE
        return UNLOCK
    if r.step == _TREE:
        r.step = _IN_TREE
        d.lock = _TREE_LOCK
        return LOCK
    if r.step == _IN_TREE:
        short = _is_short(a, r, d)
        size = _size(a, d)
        pages = size if short else length_of(a, r)
        begin, areas = find_fit(a, pages, size if short else 1)
        probe(d, areas + 1)
        if begin == NONE:
            for cpu in range(d.cpus):
                _retire(a, d, cpu, size)
            return make_room(a, r, d, _ASK, _SLEEPING)
        touch(d, 1)
        first = align(begin, size) if short else begin
        take(a, begin, first, pages)
        r.slot = first
        r.served = MISS
        r.step = _WRITE
        if short:
            a.slots[first].state = BLOCK
            a.slots[first].used = _rounded(r)
            a.slots[first].dirty = 0
            if _rounded(r) < size:
                r.step = _ADD
        return UNLOCK
    if r.step == _ADD:
        r.step = _ADDING
        d.lock = _queue_lock(d)
        return LOCK
    touch_local(d, 1)
    a.slots[r.slot].next = a.percpu[d.cpu].head
    a.percpu[d.cpu].head = r.slot + 1
    r.step = _WRITE
    return UNLOCK


@noinline
def _retire(a: State, d: StepCost, cpu: int, most_left: int) -> None:
    """Make those blocks of a CPU lazy that have no mapping and fewer pages left than `most_left`.

    A task that looks at such a block finds nothing left in it.
    """
    size = _size(a, d)
    at = a.percpu[cpu].head
    while at > 0:
        block = a.slots[at - 1]
        following = block.next
        touch_local(d, 1)
        if block.used == block.dirty and size - block.used < most_left:
            _unlist(a, d, cpu, at - 1)
            block.used = size
            block.dirty = size
            make_lazy(a, d, at - 1)
        at = following


# Steps of an unmap.
_LOCKED = 1
_DIRTY = 2
_LOOKING_UP = 3
_FOUND = 4


@inline
def unmap_step(a: State, r: Request, d: StepCost) -> int:
    """Clear the PTEs and count the pages as dirty; a block that is all dirty becomes lazy."""
    if r.step >= PURGED:
        return DONE
    if r.step >= PURGE:
        return purge_step(a, r, d)
    if not _is_short(a, r, d):
        return _unmap_area(a, r, d)
    block = r.slot - r.slot % _size(a, d)
    if r.step == _ASK:
        touch(d, 1)
        write_ptes(d, r.pages)
        r.step = _LOCKED
        d.lock = _block_lock(a, d, block)
        return LOCK
    if r.step == _LOCKED:
        touch(d, 1)
        a.slots[block].dirty += _rounded(r)
        r.step = _DIRTY if a.slots[block].dirty == _size(a, d) else PURGED
        return UNLOCK
    touch(d, 1)
    return after_unmap(a, r, d, make_lazy(a, d, block), PURGED)


@inline
def _unmap_area(a: State, r: Request, d: StepCost) -> int:
    """Unmap an area of its own, as `vmap_lazy` does."""
    if r.step == _ASK:
        r.step = _LOOKING_UP
        d.lock = _TREE_LOCK
        return LOCK
    if r.step == _LOOKING_UP:
        probe(d, depth(a))
        r.step = _FOUND
        return UNLOCK
    write_ptes(d, r.pages)
    return after_unmap(a, r, d, make_lazy(a, d, r.slot), PURGED)


@inline
def work_step(a: State, r: Request, d: StepCost) -> int:
    """Purge once."""
    if r.step >= PURGED:
        return DONE
    return purge_step(a, r, d)


def check(a: State, live: Check) -> list[str]:
    """Mappings must be areas, or in the used part of a block; the counts of blocks must be possible."""
    problems = check_extents(a) + check_lazy(a)
    used = {slot for slot, users in live.users.items() if users}
    for at, length, state in extents(a):
        inside = {slot for slot in used if at <= slot < at + length}
        used -= inside
        given, dirty = int(a.slots[at].used), int(a.slots[at].dirty)
        if state == BLOCK and (not dirty <= given <= length or any(slot >= at + given for slot in inside)):
            problems.append(
                f"block at {at}: {given} pages used, {dirty} dirty, mappings at {sorted(inside)[:5]}"
            )
        if (state not in (BLOCK, BUSY) and inside) or (state == BUSY and inside != {at}):
            problems.append(f"the area at {at} has state {state} and mappings at {sorted(inside)[:5]}")
    return problems


slots = space_slots
lines = counter_lines
workers = purge_workers
prepare = prepare_space
lost_wakeups = lost_lazy
