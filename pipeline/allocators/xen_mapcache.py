"""Xen's mapcache: bitmaps under one lock, a hash per CPU, and an epoch for each wrap instead of an interrupt.

    slots 0 .. slots - 1    a pool of persistent maps, used only as a fallback
    the other slots         the cache: `slots_per_cpu` for each CPU; any CPU may take any of them

    pool[0].cursor          cursor of the pool; slot.count, slot.page and page.slot are as in global_pool.
    pool[0].next            slot of the cache, counted from its first, at which the next search begins
    pool[0].epoch           wraps of the cache so far.
    pool[0].wrapped         time of the last wrap, counted in switches of address spaces
    pool[1 + c * HASH + k]  entry `k` of the hash of CPU `c`: page, slot, users

    slot.state              0: free; 1: in use: mapped, in a hash, or both; 2: garbage: unused and in no hash,
                            but TLBs may hold it; free after the next wrap
    entry.slot              the slot that maps entry.page; 0: the entry is empty
    entry.users             current mappings made through the entry; 0: the CPU may reuse or displace it
    percpu.epoch            the epoch for which this CPU has flushed its TLB

A page in the CPU's hash is mapped without a lock. Any other map takes the next free slot under the lock of
the domain. An unmap takes no lock. It stores its mapping in the hash for later maps, in place of an unused
one, or makes it garbage.

At a wrap, garbage becomes free, the CPU flushes its own TLB, and the epoch advances. Every other CPU flushes
its own TLB when it next takes a slot and finds a newer epoch, unless its TLB was emptied since. No CPU is
ever interrupted. If the wrap frees nothing, an unused entry of the CPU's hash is displaced. A task keeps its
CPU from its outermost map to its outermost unmap.

Source: Xen, xen/arch/x86/domain_page.c, map_domain_page and unmap_domain_page (K. Fraser, J. Beulich): 16
slots per virtual CPU, a hash of 8 entries. Ours: the machine is one domain, and each of its CPUs a virtual
CPU; tasks may be preempted and may sleep while they hold a mapping, while in Xen they continue immediately.
So all slots can be in use with no entry to displace, where Xen stops (BUG_ON): the map then falls back on the
pool. A bitmap costs one probe per word of 64 slots. Its scan frees slots whose PTEs the unmaps have cleared.
"""

from __future__ import annotations

from typing import Any

from pipeline.allocators.api.actions import DONE, FLUSH_LOCAL, LOCK, UNLOCK
from pipeline.allocators.api.contract import Check, Option, Shape
from pipeline.allocators.api.effects import (
    may_hold_since,
    pin,
    probe,
    scan,
    this_cpu,
    touch,
    touch_local,
    unpin,
    write_pte,
)
from pipeline.allocators.api.protocols import Request, State, StepCost
from pipeline.allocators.components.cached_pool import (
    ASK_AGAIN,
    FLUSH_IF_ANY,
    check_pools,
    fall_back,
    unmap_cached,
)
from pipeline.allocators.components.checks import check_sleepers
from pipeline.allocators.components.wake import WAKE_OPTION
from pipeline.jit.marks import inline
from pipeline.schema.codes import FALLBACK, HIT, MISS

SUMMARY = "Xen: bitmaps under one lock, a hash per CPU; each CPU flushes its own TLB after a wrap"
SOURCE = "Xen, xen/arch/x86/domain_page.c (K. Fraser, J. Beulich)"
OPTIONS = (
    Option("slots_per_cpu", 16, minimum=1, maximum=1024, help="slots of the cache for each CPU"),
    Option("slots", 1024, minimum=2, maximum=1 << 20, help="slots of the fallback pool"),
    FLUSH_IF_ANY,
    WAKE_OPTION,
)
POOL = [
    ("cursor", "i4"),
    ("next", "i4"),
    ("epoch", "i8"),
    ("wrapped", "i8"),
    ("page", "i8"),
    ("slot", "i4"),
    ("users", "i4"),
]
SLOT = [("count", "i4"), ("state", "i4"), ("page", "i8")]
PAGE = [("slot", "i4")]
PERCPU = [("epoch", "i8")]
NON_GLOBAL = True

HASH = 8
_WORD = 64
_ANY_PROCESS = -1

_FREE = 0
_IN_USE = 1
_GARBAGE = 2

_DOMAIN_LOCK = 1


def slots(options: dict[str, int], shape: Shape) -> int:
    """Slots of the pool plus those of all CPUs."""
    return options["slots"] + options["slots_per_cpu"] * shape.cpus


def pools(options: dict[str, int], shape: Shape) -> int:
    """One record for the pool and the domain, and one for each entry of each CPU's hash."""
    return 1 + shape.cpus * HASH


def locks(options: dict[str, int], shape: Shape) -> int:
    """The lock of the pool and the lock of the domain."""
    return 2


# Steps of a map, before those of the pool.
_ASK = 0
_LOCKED = 10
_SEARCH = 11
_TAKEN = 12
_MAPPED = 13
_FAILED = 14


@inline
def map_step(a: State, r: Request, d: StepCost) -> int:
    """Use the CPU's hash, or take a slot under the lock after flushing this TLB if a wrap requires it."""
    if r.step == _ASK:
        touch_local(d, 1)
        entry = a.pool[_entry_of(r, d)]
        if entry.slot > 0 and entry.page == r.page:
            pin(d)
            entry.users += 1
            r.slot = entry.slot
            r.served = HIT
            return DONE
        r.step = _LOCKED
        d.lock = _DOMAIN_LOCK
        return LOCK
    if r.step == _LOCKED:
        r.step = _SEARCH
        touch(d, 1)
        if a.percpu[d.cpu].epoch != a.pool[0].epoch:
            a.percpu[d.cpu].epoch = a.pool[0].epoch
            if may_hold_since(a, d, _ANY_PROCESS, a.pool[0].wrapped) & this_cpu(d):
                return FLUSH_LOCAL
    if r.step == _SEARCH:
        return _take(a, r, d)
    if r.step == _TAKEN:
        r.step = _MAPPED
        return UNLOCK
    if r.step == _MAPPED:
        pin(d)
        write_pte(d)
        r.served = MISS
        return DONE
    if r.step == _FAILED:
        r.step = ASK_AGAIN
    return fall_back(a, r, d)


@inline
def _entry_of(r: Request, d: StepCost) -> int:
    """Record of the one entry of this CPU's hash that can hold the page."""
    return 1 + d.cpu * HASH + r.page % HASH


@inline
def _take(a: State, r: Request, d: StepCost) -> int:
    """Take the next free slot of the cache; if there is none, wrap, flush, and take the first or displace."""
    domain = a.pool[0]
    size = a.options[0].slots_per_cpu * d.cpus
    at = _find_free(a, d, domain.next, size)
    wraps = at == size
    if wraps:
        _free_garbage(a, d, size)
        at = _find_free(a, d, 0, size)
        if at == size:
            at = _displace(a, r, d, size)
    if at == size:
        r.step = _FAILED
        return UNLOCK
    touch(d, 1)
    r.slot = a.options[0].slots + at
    a.slots[r.slot].state = _IN_USE
    domain.next = at + 1
    if not wraps:
        r.step = _MAPPED
        return UNLOCK
    domain.epoch += 1
    domain.wrapped = d.moment
    a.percpu[d.cpu].epoch = domain.epoch
    r.step = _TAKEN
    return FLUSH_LOCAL


@inline
def _find_free(a: State, d: StepCost, first: int, size: int) -> int:
    """Return the first free slot of the cache at or after `first`, or `size`."""
    at = first
    while at < size and a.slots[a.options[0].slots + at].state != _FREE:
        at += 1
    probe(d, 1 + min(at, size - 1) // _WORD - min(first, size - 1) // _WORD)
    return at


@inline
def _free_garbage(a: State, d: StepCost, size: int) -> None:
    """Make all garbage free."""
    first = a.options[0].slots
    for slot in range(first, first + size):
        if a.slots[slot].state == _GARBAGE:
            a.slots[slot].state = _FREE
    scan(d, (size + _WORD - 1) // _WORD, 0)


@inline
def _displace(a: State, r: Request, d: StepCost, size: int) -> int:
    """Empty an unused entry of this CPU's hash, starting with the page's own; return its slot, or `size`."""
    for k in range(HASH):
        touch_local(d, 1)
        entry = a.pool[1 + d.cpu * HASH + (r.page + k) % HASH]
        if entry.slot > 0 and entry.users == 0:
            write_pte(d)
            at = entry.slot - a.options[0].slots
            entry.slot = 0
            return at
    return size


@inline
def unmap_step(a: State, r: Request, d: StepCost) -> int:
    """Store the mapping in the CPU's hash, or make it garbage; or unmap in the pool."""
    if r.served == FALLBACK:
        return unmap_cached(a, r, d, 0)
    touch_local(d, 1)
    unpin(d)
    entry = a.pool[_entry_of(r, d)]
    if entry.slot == r.slot:
        entry.users -= 1
    elif entry.slot > 0 and entry.users > 0:
        _discard(a, d, r.slot)
    else:
        if entry.slot > 0:
            _discard(a, d, entry.slot)
        entry.page = r.page
        entry.slot = r.slot
        entry.users = 0
    return DONE


@inline
def _discard(a: State, d: StepCost, slot: int) -> None:
    """Clear the PTE of a slot and make it garbage."""
    write_pte(d)
    touch(d, 1)
    a.slots[slot].state = _GARBAGE


def check(a: State, live: Check) -> list[str]:
    """A cache slot is in use if and only if it is mapped or hashed; an entry's count must match its users."""
    shared = int(a.options[0].slots)
    problems = check_pools(a, live, shared)
    hashed: dict[int, Any] = {}
    for n, entry in enumerate(list(a.pool)[1:]):
        if entry.slot and (int(entry.slot) in hashed or entry.page % HASH != n % HASH):
            problems.append(f"slot {int(entry.slot)}: hashed twice, or in the wrong place for its page")
        if entry.slot:
            hashed[int(entry.slot)] = entry
    for s in range(shared, len(a.slots)):
        users, entry = live.users.get(s, 0), hashed.get(s)
        if (a.slots[s].state == _IN_USE) != (users > 0 or entry is not None):
            problems.append(f"slot {s}: state {int(a.slots[s].state)} with {users} users")
        if (entry is None and users > 1) or (entry is not None and entry.users != users):
            problems.append(f"slot {s}: has {users} users, which its hash entry contradicts")
    return problems


def lost_wakeups(a: State, live: Check) -> list[str]:
    """No task may remain asleep unless every slot of the pool is in use."""
    return check_sleepers(live, 0, int((a.slots.count[: int(a.options[0].slots)] < 2).sum()))
