"""Atomic kmaps: a few slots per CPU, one for each nesting depth, which no task may hold while it sleeps.

    slots 0 .. slots - 1                   the pool of persistent maps, used only as a fallback
    slots + cpu * nesting + depth          the slot of a CPU for atomic maps of that nesting depth

    slot.count (atomic)   current mappings: 0 or 1, unless a task slept while it held one
    slot.count (pool)     0 clean, 1 cached and unused, n: n - 1 users; as in global_pool, so are
    slot.page, page.slot, pool.cursor

A map writes the PTE of the CPU's own slot and invalidates that one address in the CPU's own TLB. An unmap
does nothing. There is no lock, no interrupt, no cache and no wait for a slot. In return the task keeps its
CPU between map and unmap: it is neither preempted nor migrated, and it must not sleep.

Anything that would block while the page is mapped must therefore happen before. The first and the last byte
of a copy are touched beforehand (prefault), and a page table is mapped after the I/O of the fault. If a copy
still faults, the attempt is wasted and the whole copy is repeated under a persistent map, in which a task may
sleep. Nested operations in the trace then do not block again for what was waited for beforehand. A longer
wait or block within an atomic map is not allowed and is reported as `sleep_while_atomic`.

Source: kmap_atomic and its use by copy-user in Linux 2.5 (merged in September 2002); "highpte" maps page
tables in this way (Molnar, van de Ven). Later x86 invalidates at the unmap instead of the map
(`invalidate_at_unmap`). Ours: the slot is chosen by nesting depth, as in kernels since 2.6.37, while those of
2002 had one slot per use; a copy that faults again blocks under the persistent map, not in the prefault;
these copies are spread evenly over the operation numbers; the wasted attempt takes as long as the whole use.
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

SUMMARY = "kmap_atomic: slots per CPU, no lock, IPI or cache; may not be held while sleeping"
SOURCE = "Linux 2.5, copy-user since September 2002; highpte"
OPTIONS = (
    Option("nesting", 16, minimum=1, maximum=16, help="slots of each CPU: maximum depth of atomic maps"),
    Option("invalidate_at_unmap", False, help="invalidate at the unmap instead of the map (later x86)"),
    Option(
        "refault_per_1000", 0, minimum=0, maximum=1000, help="copies per 1,000 that fault after a prefault"
    ),
    Option("slots", 1024, minimum=2, maximum=1 << 20, help="slots of the pool for copies that fault again"),
    FLUSH_IF_ANY,
    WAKE_OPTION,
)
POOL = [("cursor", "i4")]
SLOT = [("count", "i4"), ("page", "i8")]
PAGE = [("slot", "i4")]

_TO_USER = KINDS.index("copy_to_user")
_FROM_USER = KINDS.index("copy_from_user")
# Its multiples modulo 2**32 are evenly spread for any number of them (2**32 over the golden ratio).
_SPREAD = 2_654_435_769


def slots(options: dict[str, int], shape: Shape) -> int:
    """Slots of the pool plus those of all CPUs."""
    return options["slots"] + options["nesting"] * shape.cpus


def address_space_pages(options: dict[str, int], shape: Shape) -> int:
    """Without copies that fall back, no pool is needed."""
    return options["nesting"] * shape.cpus + (options["slots"] if options["refault_per_1000"] else 0)


def page_struct_bytes(options: dict[str, int], shape: Shape) -> int:
    """Only the pool records where a page is mapped."""
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
    """Prefault, then map atomically; a copy that faults again falls back on the pool."""
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
    """Whether the mapping is for a copy from or to a user page, which may fault."""
    return r.kind in (_TO_USER, _FROM_USER)


@inline
def _faults_again(a: State, r: Request) -> bool:
    """Whether this copy faults despite the prefault; depends only on its operation number."""
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
    """Leave the PTE until the slot's next map, or clear it immediately (`invalidate_at_unmap`)."""
    allow_sleep(d)
    a.slots[r.slot].count -= 1
    if a.options[0].invalidate_at_unmap:
        write_pte(d)
        invalidate(a, d, r.slot)


@inline
def unmap_step(a: State, r: Request, d: StepCost) -> int:
    """Release the CPU's slot, or unmap in the pool."""
    if r.served == FALLBACK:
        return unmap_cached(a, r, d, 0)
    _unmap_atomic(a, r, d)
    return DONE


def check(a: State, live: Check) -> list[str]:
    """Each atomic slot's count must match its users, at most one; the pool must be consistent too."""
    problems = check_pools(a, live, int(a.options[0].slots))
    first, nesting = int(a.options[0].slots), int(a.options[0].nesting)
    for s in range(first, first + live.shape.cpus * nesting):
        count, users = int(a.slots[s].count), live.users.get(s, 0)
        if count != users or users > 1:
            problems.append(f"cpu {(s - first) // nesting}, slot {s}: count {count} with {users} users")
    return problems


def lost_wakeups(a: State, live: Check) -> list[str]:
    """No task may remain asleep unless every slot of the pool is in use."""
    return lost_wakeups_in_pools(a, live, int(a.options[0].slots))
