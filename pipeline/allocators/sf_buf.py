"""FreeBSD's sf_bufs: pages found by a hash, a least recently used list, and a mask of CPUs per buffer.

    pool.oldest     1 + the buffer that has been unused for longest; 0: none is unused
    pool.newest     1 + the one that became unused last

    slot.users      mappings in force
    slot.cpus       bit mask of the CPUs whose TLBs may not hold a stale translation of it: each has
                    invalidated it since its PTE was written last
    slot.mapped     1 once it has ever had a PTE; it keeps that until it is taken for another page
    slot.before, slot.after   1 + its neighbours in the list of unused buffers, oldest first
    slot.page, slot.next, slot.bucket   the page it maps, and a hash by page over all buffers

One mutex is over everything. A page that has a buffer shares it, even one that nobody used for long; any
other takes the oldest unused buffer. Nothing is flushed as a whole: a CPU that is not in the buffer's mask
invalidates the one address before it uses it. If the mapping is for that CPU alone (`cpu_private`), the task
is pinned and that is all; otherwise every other CPU that is not in the mask is interrupted to do the same,
with the mutex held. There are no batches. Who finds no unused buffer sleeps.

Source: FreeBSD sys/i386/i386/vm_machdep.c, sf_buf_alloc and sf_buf_free, 2003-2009 (A. L. Cox). Ours: which
of the two a mapping is, is one option for all; a woken task looks for its page again; the test of the PTE's
accessed bit is left out, as every mapping is used here; the mutex spins and does not put to sleep.
"""

from __future__ import annotations

from typing import Any

from pipeline.allocators.contract import Check, Option, Shape
from pipeline.allocators.shared.cached_pool import WAKE_OPTION
from pipeline.allocators.shared.page_hash import HASH_FIELDS, enter_page, entered, find_page, forget_page
from pipeline.machine.simulator.actions import (
    DONE,
    HIT,
    LOCK,
    MISS,
    SHOOT_DOWN,
    SLEEP,
    STEP,
    UNLOCK,
    WAKE_ALL,
    WAKE_ONE,
    all_cpus,
    invalidate,
    invalidate_on,
    pin,
    this_cpu,
    touch,
    touch_again,
    unpin,
    write_pte,
)
from pipeline.machine.simulator.kernel import kernel

SUMMARY = "FreeBSD: hash, LRU list, CPU mask per buffer; single-address shoot-downs, one mutex"
SOURCE = "FreeBSD, sys/i386/i386/vm_machdep.c (A. L. Cox)"
OPTIONS = (
    Option("slots", 1024, minimum=2, maximum=1 << 20, help="buffers (nsfbufs: 512 + maxusers * 16)"),
    Option(
        "cpu_private",
        True,
        help="a mapping is for the CPU that makes it, to which its task is pinned; no other is interrupted",
    ),
    WAKE_OPTION,
)
POOL = [("oldest", "i4"), ("newest", "i4")]
SLOT = [("users", "i4"), ("mapped", "i4"), ("cpus", "i8"), ("before", "i4"), ("after", "i4"), *HASH_FIELDS]


def slots(options: dict[str, int], shape: Shape) -> int:
    """The buffers, for the whole machine."""
    return options["slots"]


def page_struct_bytes(options: dict[str, int], shape: Shape) -> int:
    """Pages know nothing of buffers."""
    return 0


def prepare(a: Any, shape: Shape) -> None:
    """Every buffer is unused, the lowest number first in the list."""
    size = int(a.options[0].slots)
    for s in range(size):
        a.slots[s].before = s
        a.slots[s].after = s + 2 if s + 1 < size else 0
    a.pool[0].oldest = 1
    a.pool[0].newest = size


@kernel
def _remove(a: Any, at: int) -> None:
    """Take a buffer out of the list of unused ones."""
    pool = a.pool[0]
    slot = a.slots[at]
    if slot.before > 0:
        a.slots[slot.before - 1].after = slot.after
    else:
        pool.oldest = slot.after
    if slot.after > 0:
        a.slots[slot.after - 1].before = slot.before
    else:
        pool.newest = slot.before


@kernel
def _append(a: Any, at: int) -> None:
    """Put a buffer at the end of the list of unused ones."""
    pool = a.pool[0]
    slot = a.slots[at]
    slot.before = pool.newest
    slot.after = 0
    if pool.newest > 0:
        a.slots[pool.newest - 1].after = at + 1
    else:
        pool.oldest = at + 1
    pool.newest = at + 1


# Steps of a map.
_ASK = 0
_FIND = 1
_INVALIDATED = 2
_END = 3


@kernel
def map_step(a: Any, r: Any, d: Any) -> int:
    """Find the page's buffer or take the oldest unused one; invalidate it where that has not been done."""
    size = a.options[0].slots
    if r.step == _ASK:
        r.step = _FIND
        return LOCK
    if r.step == _INVALIDATED:
        r.step = _END
        return UNLOCK
    if r.step == _END:
        return DONE
    touch(d, 1)
    at = find_page(a, r.page, 0, size)
    if at >= 0:
        r.served = HIT
        touch(d, 1)
        if a.slots[at].users == 0:
            touch(d, 1)
            _remove(a, at)
    else:
        at = a.pool[0].oldest - 1
        if at < 0:
            r.step = _ASK
            return SLEEP
        r.served = MISS
        # The list, the buffer, and the chain that its old page is in.
        touch(d, 3)
        write_pte(d)
        _remove(a, at)
        slot = a.slots[at]
        if slot.mapped == 1:
            forget_page(a, at, 0, size)
        slot.mapped = 1
        slot.cpus = 0
        enter_page(a, at, r.page, 0, size)
    a.slots[at].users += 1
    r.slot = at
    r.step = _INVALIDATED
    return _invalidate(a, r, d)


@kernel
def _invalidate(a: Any, r: Any, d: Any) -> int:
    """Let this CPU, and unless the mapping is private to it all others, be in the buffer's mask."""
    slot = a.slots[r.slot]
    if slot.cpus & this_cpu(d) == 0:
        slot.cpus |= this_cpu(d)
        invalidate(a, d, r.slot)
    if a.options[0].cpu_private:
        pin(d)
        return STEP
    others = all_cpus(d) & ~slot.cpus
    if others == 0:
        return STEP
    slot.cpus = all_cpus(d)
    invalidate_on(a, d, r.slot, others)
    return SHOOT_DOWN


# Steps of an unmap.
_DROP = 1
_WAKE = 2


@kernel
def unmap_step(a: Any, r: Any, d: Any) -> int:
    """Drop one use; a buffer that nobody uses now goes to the end of the list, and sleepers are woken."""
    if r.step == _ASK:
        r.step = _DROP
        return LOCK
    if r.step == _DROP:
        touch_again(d, 1)
        a.slots[r.slot].users -= 1
        r.step = _END
        if a.slots[r.slot].users == 0:
            touch(d, 1)
            _append(a, r.slot)
            if a.queues[0].sleepers > 0:
                r.step = _WAKE
        if a.options[0].cpu_private:
            unpin(d)
        return UNLOCK
    if r.step == _WAKE:
        r.step = _END
        return WAKE_ONE if a.options[0].wake == 1 else WAKE_ALL
    return DONE


def stranded(a: Any, live: Check) -> list[str]:
    """Nobody may be left asleep unless every buffer is in use."""
    unused = int((a.slots.users == 0).sum())
    if not (live.sleepers[0] and unused):
        return []
    return [f"{live.sleepers[0]} tasks sleep although {unused} buffers are not in use"]


def check(a: Any, live: Check) -> list[str]:
    """Users must be as many as there are, the list hold who has none, and each page be hashed once."""
    problems = []
    size = int(a.options[0].slots)
    unused: list[int] = []
    s = int(a.pool[0].oldest) - 1
    while s >= 0 and len(unused) <= size:
        unused.append(s)
        s = int(a.slots[s].after) - 1
    for s in range(size):
        if int(a.slots[s].users) != live.users.get(s, 0):
            problems.append(f"buffer {s}: {int(a.slots[s].users)} users, really {live.users.get(s, 0)}")
    if sorted(unused) != [s for s in range(size) if a.slots[s].users == 0]:
        problems.append(f"the list holds {len(unused)} buffers, not just those that nobody uses")
    table = entered(a, 0, size)
    if sorted(table) != [s for s in range(size) if a.slots[s].mapped]:
        problems.append("the hash holds other buffers than those with a page")
    if len(set(table.values())) < len(table):
        problems.append("a page is in two buffers")
    return problems
