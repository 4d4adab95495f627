"""FreeBSD's sf_bufs: pages found by a hash, a least recently used list, and a mask of CPUs per buffer.

    slot.users      mappings in force
    slot.cpus       bit mask of the CPUs whose TLBs may not hold a stale translation of it: each has
                    invalidated it since its PTE was written last
    slot.mapped     1 once it has ever had a PTE; it keeps that until it is taken for another page
    slot.page, slot.next, slot.bucket   the page it maps, and a hash by page over all buffers
    pool.oldest, pool.newest, slot.before, slot.after   the list of unused buffers, oldest first

One mutex is over everything. A page that has a buffer shares it, even one that nobody used for long; any
other takes the oldest unused buffer. Nothing is flushed as a whole: a CPU that is not in the buffer's mask
invalidates the one address before it uses it. If the mapping is for that CPU alone (`cpu_private`), the task
is pinned and that is all; otherwise every other CPU that is not in the mask is interrupted to do the same,
with the mutex held. There are no batches. A task that finds no unused buffer sleeps; woken, it takes the
oldest unused buffer without looking for its page again, so that each wake-up is worth one buffer and none is
lost. A page may so have two buffers; the one that was entered last is found.

Source: FreeBSD sys/i386/i386/vm_machdep.c, sf_buf_alloc and sf_buf_free, 2003-2009 (A. L. Cox). Ours: which
of the two a mapping is, is one option for all; the test of the PTE's accessed bit is left out, as every
mapping is used here; the mutex spins and does not put to sleep.
"""

from __future__ import annotations

from pipeline.allocators.api.actions import DONE, LOCK, SLEEP, UNLOCK
from pipeline.allocators.api.contract import Check, Option, Shape
from pipeline.allocators.api.effects import (
    all_cpus,
    pin,
    report_finding,
    this_cpu,
    touch,
    touch_cached,
    unpin,
    write_pte,
)
from pipeline.allocators.api.protocols import Request, State, StepCost
from pipeline.allocators.components.checks import check_sleepers, check_users
from pipeline.allocators.components.directed_flush import invalidate_there
from pipeline.allocators.components.lru_list import (
    LRU_POOL,
    LRU_SLOT,
    add_unused,
    fill_unused,
    list_unused,
    take_unused,
)
from pipeline.allocators.components.page_hash import (
    HASH_FIELDS,
    enter_page,
    find_page,
    forget_page,
    list_entries,
)
from pipeline.allocators.components.wake import ASK, DROP, END, WAKE, unmap_around_drop, wake
from pipeline.jit.marks import inline
from pipeline.schema.codes import COUNT_UNDERFLOW, HIT, MISS

SUMMARY = "FreeBSD: hash, LRU list, CPU mask per buffer; single-address shoot-downs, one mutex"
SOURCE = "FreeBSD, sys/i386/i386/vm_machdep.c (A. L. Cox)"
OPTIONS = (
    Option("slots", 1024, minimum=2, maximum=1 << 20, help="buffers (nsfbufs: 512 + maxusers * 16)"),
    Option(
        "cpu_private",
        True,
        help="a mapping is for the CPU that makes it, to which its task is pinned; no other is interrupted",
    ),
    Option("wake", "one", choices=("all", "one"), help="sleepers that an unmap wakes (FreeBSD: one)"),
)
POOL = LRU_POOL
SLOT = [("users", "i4"), ("mapped", "i4"), ("cpus", "i8"), *LRU_SLOT, *HASH_FIELDS]


def page_struct_bytes(options: dict[str, int], shape: Shape) -> int:
    """Pages know nothing of buffers."""
    return 0


def prepare(a: State, shape: Shape) -> None:
    """Every buffer is unused, the lowest number first in the list."""
    fill_unused(a, int(a.options[0].slots))


# Steps of a map, from ASK on.
_FIND = 1
_INVALIDATED = 2
_MAPPED = 3
_WOKEN = 4
_TAKE = 5


@inline
def map_step(a: State, r: Request, d: StepCost) -> int:
    """Find the page's buffer or take the oldest unused one; invalidate it where that has not been done."""
    size = a.options[0].slots
    if r.step == ASK:
        r.step = _FIND
        return LOCK
    if r.step == _WOKEN:
        r.step = _TAKE
        return LOCK
    if r.step == _INVALIDATED:
        r.step = _MAPPED
        return UNLOCK
    if r.step == _MAPPED:
        return DONE
    at = -1
    if r.step == _FIND:
        touch(d, 1)
        at = find_page(a, r.page, 0, size)
    if at >= 0:
        r.served = HIT
        touch(d, 1)
        if a.slots[at].users == 0:
            touch(d, 1)
            take_unused(a, at)
    else:
        at = a.pool[0].oldest - 1
        if at < 0:
            r.step = _WOKEN
            return SLEEP
        r.served = MISS
        # The list, the buffer, and the chain that its old page is in.
        touch(d, 3)
        write_pte(d)
        take_unused(a, at)
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


@inline
def _invalidate(a: State, r: Request, d: StepCost) -> int:
    """Let this CPU, and unless the mapping is private to it all others, be in the buffer's mask."""
    slot = a.slots[r.slot]
    wanted = all_cpus(d)
    if a.options[0].cpu_private:
        pin(d)
        wanted = this_cpu(d)
    missing = wanted & ~slot.cpus
    slot.cpus |= wanted
    return invalidate_there(a, d, r.slot, missing)


@inline
def unmap_step(a: State, r: Request, d: StepCost) -> int:
    """Drop one use; a buffer that nobody uses now goes to the end of the list, and sleepers are woken."""
    if r.step != DROP:
        return unmap_around_drop(r, d, 0, wake(a))
    touch_cached(d, 1)
    a.slots[r.slot].users -= 1
    if a.slots[r.slot].users < 0:
        report_finding(d, COUNT_UNDERFLOW)
    r.step = END
    if a.slots[r.slot].users == 0:
        touch(d, 1)
        add_unused(a, r.slot)
        if a.queues[0].sleepers > 0:
            r.step = WAKE
    if a.options[0].cpu_private:
        unpin(d)
    return UNLOCK


def lost_wakeups(a: State, live: Check) -> list[str]:
    """Nobody may be left asleep unless every buffer is in use."""
    return check_sleepers(live, 0, int((a.slots.users == 0).sum()), "buffers are not in use")


def check(a: State, live: Check) -> list[str]:
    """Users must be as many as there are, the list hold those without any, the hash those with a page."""
    users = a.slots.users.tolist()
    problems = check_users(live, users)
    unused = list_unused(a)
    if sorted(unused) != [s for s, count in enumerate(users) if count == 0]:
        problems.append(f"the list holds {len(unused)} buffers, not just those that nobody uses")
    table = list_entries(a, 0, len(users))
    if sorted(table) != a.slots.mapped.nonzero()[0].tolist():
        problems.append("the hash holds other buffers than those with a page")
    return problems
