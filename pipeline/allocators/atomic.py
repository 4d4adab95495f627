"""Atomic kmaps: a few slots per CPU, one for each nesting depth, that no task may hold over a sleep.

    slots 0 .. slots - 1                   the pool of persistent maps, used only to fall back on
    slots + cpu * nesting + depth          the slot of a CPU for atomic maps of that nesting depth

    slot.count (atomic)   mappings in force: 0 or 1, unless a task slept while it held one
    slot.count (pool)     0 clean, 1 cached and unused, n: n - 1 users; and as in global_pool:
    slot.page, page.slot, pool.cursor

A map writes the PTE of the CPU's own slot and invalidates that one address in the CPU's own TLB; an unmap
does nothing. No lock, no interrupt, no cache, no waiting for a slot. In exchange the task keeps its CPU
between the two: it is neither preempted nor moved, and must not sleep.

So what would block while the page is mapped must happen before: the first and the last byte of a copy are
touched beforehand (prefault), a page table is mapped after the fault's I/O. Should a copy fault even so, the
attempt was in vain and all of it is done again under a persistent map, in which a task may sleep. A nested
operation of the trace finds done what was waited for beforehand; if it waits or blocks for longer within an
atomic map, that is what the design forbids: it is reported as `sleep_while_atomic`.

Source: kmap_atomic and its use by copy-user in Linux 2.5 (merged in September 2002); page tables mapped so by
"highpte" (Molnar, van de Ven). Later x86 invalidates at the unmap, not at the map (`invalidate_at_unmap`).
Ours: the slot is chosen by nesting depth, as kernels do since 2.6.37, where those of 2002 had one per use; a
copy that faults again blocks under the persistent map, not in the prefault; which copies do so is spread
evenly over the operation numbers; the vain attempt takes as long as the whole use.
"""

from __future__ import annotations

from pipeline.allocators.api.actions import ATTEMPT, DONE, PREFAULT
from pipeline.allocators.api.contract import Check, Option, Shape
from pipeline.allocators.api.effects import (
    allow_sleep,
    forbid_sleep,
    invalidate,
    report_finding,
    touch_local,
    write_pte,
)
from pipeline.allocators.api.protocols import Request, State, StepCost
from pipeline.allocators.components.cached_pool import (
    ASK_AGAIN,
    FLUSH_IF_ANY,
    check_pools,
    fall_back,
    lost_wakeups_in_pools,
    unmap_cached,
)
from pipeline.allocators.components.wake import WAKE_OPTION
from pipeline.jit.marks import inline
from pipeline.schema.codes import FALLBACK, MISS, NESTING_OVERFLOW
from pipeline.schema.names import KINDS

SUMMARY = "kmap_atomic: own slots per CPU, no lock, IPI or cache; may not be held over a sleep"
SOURCE = "Linux 2.5, copy-user since September 2002; highpte"
OPTIONS = (
    Option("nesting", 16, minimum=1, maximum=16, help="slots of each CPU: deepest nesting of atomic maps"),
    Option("invalidate_at_unmap", False, help="invalidate at the unmap, not at the map (later x86)"),
    Option(
        "refault_per_1000", 0, minimum=0, maximum=1000, help="copies that fault although prefaulted, per 1000"
    ),
    Option("slots", 1024, minimum=2, maximum=1 << 20, help="slots of the pool for such copies"),
    FLUSH_IF_ANY,
    WAKE_OPTION,
)
POOL = [("cursor", "i4")]
SLOT = [("count", "i4"), ("page", "i8")]
PAGE = [("slot", "i4")]

_TO_USER = KINDS.index("copy_to_user")
_FROM_USER = KINDS.index("copy_from_user")
# Multiples of it modulo 2**32 lie evenly, however few are taken (2**32 over the golden ratio).
_SPREAD = 2_654_435_769


def slots(options: dict[str, int], shape: Shape) -> int:
    """The pool's slots and those of all CPUs."""
    return options["slots"] + options["nesting"] * shape.cpus


def address_space_pages(options: dict[str, int], shape: Shape) -> int:
    """Without copies that fall back there need be no pool."""
    return options["nesting"] * shape.cpus + (options["slots"] if options["refault_per_1000"] else 0)


def page_struct_bytes(options: dict[str, int], shape: Shape) -> int:
    """Only the pool needs to know where a page is mapped."""
    return 4 if options["refault_per_1000"] else 0


def idle_options(options: dict[str, int], cpus: int) -> dict[str, str]:
    """The pool serves only copies that fault again."""
    if options["refault_per_1000"]:
        return {}
    return dict.fromkeys(("slots", "flush_if_any", "wake"), "refault_per_1000 of at least 1")


# Steps of a map, before those of the pool.
_BEGIN = 0
_MAP = 10
_IN_VAIN = 11


@inline
def map_step(a: State, r: Request, d: StepCost) -> int:
    """Prefault, then map atomically; a copy that faults again tries in vain and falls back on the pool."""
    again = _is_copy(r) and _faults_again(a, r)
    if r.step == _BEGIN:
        r.step = _MAP
        if _is_copy(r):
            touch_local(d, 2)
        if not again:
            return PREFAULT
    if r.step == _MAP:
        _map_atomic(a, r, d)
        r.step = _IN_VAIN
        return ATTEMPT if again else DONE
    if r.step == _IN_VAIN:
        _unmap_atomic(a, r, d)
        r.slot = -1
        r.step = ASK_AGAIN
    return fall_back(a, r, d)


@inline
def _is_copy(r: Request) -> bool:
    """Whether the mapping is for copying from or to a user's page, which may fault."""
    return r.kind in (_TO_USER, _FROM_USER)


@inline
def _faults_again(a: State, r: Request) -> bool:
    """Whether this copy faults although it was prefaulted; depends on nothing but its operation."""
    return (((r.op * _SPREAD) & 0xFFFFFFFF) * 1000) >> 32 < a.options[0].refault_per_1000


@inline
def _map_atomic(a: State, r: Request, d: StepCost) -> None:
    """Take the CPU's slot for this nesting depth."""
    forbid_sleep(d)
    depth = r.depth
    if depth >= a.options[0].nesting:
        report_finding(d, NESTING_OVERFLOW)
        depth = a.options[0].nesting - 1
    r.slot = a.options[0].slots + d.cpu * a.options[0].nesting + depth
    r.served = MISS
    a.slots[r.slot].count += 1
    touch_local(d, 1)
    write_pte(d)
    if not a.options[0].invalidate_at_unmap:
        invalidate(a, d, r.slot)


@inline
def _unmap_atomic(a: State, r: Request, d: StepCost) -> None:
    """The PTE stays until the slot's next map, or goes at once."""
    allow_sleep(d)
    a.slots[r.slot].count -= 1
    if a.options[0].invalidate_at_unmap:
        write_pte(d)
        invalidate(a, d, r.slot)


@inline
def unmap_step(a: State, r: Request, d: StepCost) -> int:
    """Nothing, or what the pool does."""
    if r.served == FALLBACK:
        return unmap_cached(a, r, d, 0)
    _unmap_atomic(a, r, d)
    return DONE


def check(a: State, live: Check) -> list[str]:
    """An atomic slot is held by as many as say so, and by one at most; the pool must be in order too."""
    problems = check_pools(a, live, int(a.options[0].slots))
    first, nesting = int(a.options[0].slots), int(a.options[0].nesting)
    for s in range(first, first + live.shape.cpus * nesting):
        count, users = int(a.slots[s].count), live.users.get(s, 0)
        if count != users or users > 1:
            problems.append(f"cpu {(s - first) // nesting}, slot {s}: count {count} with {users} users")
    return problems


def lost_wakeups(a: State, live: Check) -> list[str]:
    """Nobody may be left asleep unless every slot of the pool is in use."""
    return lost_wakeups_in_pools(a, live, int(a.options[0].slots))
