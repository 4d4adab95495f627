"""The work of a step: each function records it in `d`, and the machine determines its cost.

An allocator therefore contains no times, and a cost contains no policy.
"""

from __future__ import annotations

from pipeline.allocators.api import counts
from pipeline.allocators.api.protocols import State, StepCost
from pipeline.jit.marks import inline, wrap64


@inline
def touch(d: StepCost, entries: int) -> None:
    """Read or change `entries` entries shared by all CPUs: a slot's count, a page's slot."""
    counts.shared_entries(d, entries)


@inline
def touch_cached(d: StepCost, entries: int) -> None:
    """Read or change `entries` shared entries that this task touched shortly before.

    They are usually still in its CPU's cache, so no other CPU has to give them up.
    """
    counts.recent_entries(d, entries)


@inline
def touch_local(d: StepCost, entries: int) -> None:
    """Read or change `entries` entries that only this CPU uses."""
    counts.local_entries(d, entries)


@inline
def probe(d: StepCost, slots: int) -> None:
    """Examine `slots` slots in search of a free one."""
    counts.probes(d, slots)


@inline
def scan(d: StepCost, slots: int, freed: int) -> None:
    """Scan `slots` slots and free `freed` of them: clear their PTEs and their pages' references to them."""
    d.special = 1
    d.scans += 1
    counts.scanned(d, slots)
    counts.freed(d, freed)


@inline
def evict(a: State, d: StepCost, page: int) -> None:
    """Drop the mapping of `page` that a slot had cached; pages are listed in the order of these calls."""
    d.special = 1
    a.evicted[d.evicted].page = page
    d.evicted += 1


@inline
def write_pte(d: StepCost) -> None:
    """Write or clear one page-table entry."""
    counts.pte_writes(d, 1)


@inline
def write_ptes(d: StepCost, entries: int) -> None:
    """Write or clear page-table entries of consecutive pages."""
    counts.pte_writes(d, entries)


@inline
def invalidate(a: State, d: StepCost, slot: int) -> None:
    """Invalidate one slot's address in the local TLB (invlpg)."""
    d.special = 1
    counts.invalidations(d, 1)
    a.tlb[slot * d.cpus + d.cpu].loaded = 0


@inline
def invalidate_everywhere(a: State, d: StepCost, slot: int) -> None:
    """Invalidate one slot's address here, and on the other CPUs by the action REPEAT_ALL of this step."""
    invalidate(a, d, slot)
    a.invalidated[d.everywhere].slot = slot
    d.everywhere += 1


@inline
def this_cpu(d: StepCost) -> int:
    """Bit mask of the CPU that runs the task."""
    return wrap64(1 << d.cpu)


@inline
def all_cpus(d: StepCost) -> int:
    """Bit mask of all CPUs."""
    # Not (1 << cpus) - 1: a compiled shift must be less than 64.
    return wrap64(((1 << (d.cpus - 1)) - 1) * 2 + 1)


@inline
def invalidate_on(a: State, d: StepCost, slot: int, mask: int) -> None:
    """Invalidate one slot's address on the other CPUs of the bit mask, by the action SHOOT_DOWN of this step.

    None of these CPUs may use the slot until the action is complete.
    """
    d.cpu_mask = mask
    for other in range(d.cpus):
        if other != d.cpu and (mask >> other) & 1 != 0:
            a.tlb[slot * d.cpus + other].loaded = 0


@inline
def may_hold_since(a: State, d: StepCost, process: int, moment: int) -> int:
    """Bit mask of the CPUs that may hold non-global translations from `moment` (a `d.moment`) or before.

    Only CPUs in the address space of `process` count (see `forget_outside` for the others); -1: in any.
    """
    mask = 0
    for c in range(d.cpus):
        space = a.spaces[c]
        there = space.process >= 0 if process < 0 else space.process == process
        if there and space.emptied <= moment:
            mask |= wrap64(1 << c)
    return mask


@inline
def forget_outside(a: State, d: StepCost, process: int) -> None:
    """End the translations of a process on CPUs outside its address space, without interrupting them.

    If a switch keeps translations on this machine, a CPU that still holds some empties its TLB when it enters
    the address space again.
    """
    a.processes[process].forgotten = d.moment


@inline
def flush_range(d: StepCost, first: int, slots: int) -> None:
    """Limit FLUSH_ALL or FLUSH_MASK of this step to the addresses of consecutive slots, from `first` on.

    Machines invalidate these addresses one by one if that is cheaper; the rest of the TLBs remains valid.
    """
    d.special = 1
    d.range_first = first
    d.range_slots = slots


@inline
def change_atomically(a: State, d: StepCost, line: int) -> None:
    """Change an entry in a shared cache line by one atomic operation.

    The CPU owns the line during the operation. It waits for its turn, and then for the transfer of the line
    if another CPU had it last.
    """
    d.special = 1
    shared = a.lines[line]
    begin = max(d.now_ns + d.lines_ns, shared.free_ns)
    if shared.owner != d.cpu + 1:
        begin += d.line_transfer_ns
        shared.owner = d.cpu + 1
    shared.free_ns = begin + d.atomic_ns
    d.lines_ns = shared.free_ns - d.now_ns


@inline
def pin(d: StepCost) -> None:
    """Bind the task to its CPU until the same number of calls of `unpin`."""
    d.special = 1
    d.pin += 1


@inline
def unpin(d: StepCost) -> None:
    """Undo one `pin`."""
    d.special = 1
    d.pin -= 1


@inline
def forbid_sleep(d: StepCost) -> None:
    """Keep the task on its CPU until the same number of calls of `allow_sleep`.

    Its time slice does not end meanwhile. Leaving the CPU to wait is a finding, after which the task returns
    to the same CPU.
    """
    d.special = 1
    d.atomic += 1
    d.pin += 1


@inline
def allow_sleep(d: StepCost) -> None:
    """Undo one `forbid_sleep`."""
    d.special = 1
    d.atomic -= 1
    d.pin -= 1


@inline
def report_finding(d: StepCost, finding: int) -> None:
    """Report a hazard: COUNT_UNDERFLOW, NESTING_OVERFLOW or UNMAP_OUT_OF_ORDER."""
    d.special = 1
    d.finding = finding
