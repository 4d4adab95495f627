"""FreeBSD's sf_bufs: a hash of pages, a least recently used list, and a mask of CPUs per buffer.

    slot.users      current mappings
    slot.cpus       bit mask of the CPUs whose TLBs hold no stale translation of the buffer: each has
                    invalidated it since its PTE was last written.
    slot.mapped     1: the buffer has had a PTE, which stays until it is taken for another page.
    slot.page, slot.next, slot.bucket   the mapped page, and a hash by page over all buffers
    pool.oldest, pool.newest, slot.before, slot.after   the list of unused buffers, oldest first

One mutex protects everything. A map shares the page's buffer if there is one, even if it has long been
unused. Otherwise it takes the oldest unused buffer. There is no full flush: a CPU that is not in the buffer's
mask invalidates the one address before it uses the buffer. If the mapping is for one CPU only
(`cpu_private`), the task is pinned and no other CPU is involved. Otherwise every other CPU that is not in the
mask is interrupted to invalidate the address, with the mutex held. There are no batches.

A task that finds no unused buffer sleeps. After waking, it takes the oldest unused buffer without looking up
its page again, so each wake-up uses one buffer and none is lost. A page may therefore have two buffers; the
hash finds the one entered last.

Source: FreeBSD sys/i386/i386/vm_machdep.c, sf_buf_alloc and sf_buf_free, 2003-2009 (A. L. Cox). Ours: one
option decides for all mappings whether they are private to a CPU; the test of the PTE's accessed bit is
omitted, because every mapping is used here; the mutex spins and does not sleep.
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

SUMMARY = "FreeBSD: hash, LRU list, CPU mask per buffer; single-address shootdowns, one mutex"
SOURCE = "FreeBSD, sys/i386/i386/vm_machdep.c (A. L. Cox)"
OPTIONS = (
    Option("slots", 1024, minimum=2, maximum=1 << 20, help="buffers (nsfbufs: 512 + maxusers * 16)"),
    Option(
        "cpu_private",
        True,
        help="each mapping is for the CPU that makes it; its task is pinned and no other CPU is interrupted",
    ),
    Option("wake", "one", choices=("all", "one"), help="sleepers that an unmap wakes (FreeBSD: one)"),
)
POOL = LRU_POOL
SLOT = [("users", "i4"), ("mapped", "i4"), ("cpus", "i8"), *LRU_SLOT, *HASH_FIELDS]


def page_struct_bytes(options: dict[str, int], shape: Shape) -> int:
    """Pages hold no reference to buffers."""
    return 0


def prepare(a: State, shape: Shape) -> None:
    """Put every buffer on the list of unused buffers, in ascending order."""
    fill_unused(a, int(a.options[0].slots))


# Steps of a map, from ASK on.
_FIND = 1
_INVALIDATED = 2
_MAPPED = 3
_WOKEN = 4
_TAKE = 5


@inline
def map_step(a: State, r: Request, d: StepCost) -> int:
    """Find the page's buffer or take the oldest unused one; invalidate it on the CPUs that need it."""
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
    """Add this CPU to the buffer's mask, and all other CPUs too unless the mapping is private."""
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
    """Drop one use; append an unused buffer to the list and wake sleepers."""
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
    """No task may remain asleep unless every buffer is in use."""
    return check_sleepers(live, 0, int((a.slots.users == 0).sum()), "buffers are not in use")


def check(a: State, live: Check) -> list[str]:
    """Users must match the live mappings, the list the unused buffers, the hash the buffers with a page."""
    users = a.slots.users.tolist()
    problems = check_users(live, users)
    unused = list_unused(a)
    if sorted(unused) != [s for s, count in enumerate(users) if count == 0]:
        problems.append(f"the list has {len(unused)} buffers and differs from the set of unused buffers")
    table = list_entries(a, 0, len(users))
    if sorted(table) != a.slots.mapped.nonzero()[0].tolist():
        problems.append("the hash differs from the set of buffers that have a page")
    return problems
