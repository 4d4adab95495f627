"""What a step does to the machine: each function records it in `d`, and the machine has the price.

So an allocator contains no nanosecond, and a price no policy.
"""

from __future__ import annotations

from pipeline.allocators.api import counts
from pipeline.allocators.api.protocols import State, StepCost
from pipeline.jit.marks import inline, wrap64


@inline
def touch(d: StepCost, entries: int) -> None:
    """Read or change `entries` entries that all CPUs share: a slot's count, a page's slot."""
    counts.shared_entries(d, entries)


@inline
def touch_cached(d: StepCost, entries: int) -> None:
    """Read or change `entries` shared entries that this task touched shortly before.

    They are still in its CPU's cache, as a rule: no other CPU has to give them up.
    """
    counts.recent_entries(d, entries)


@inline
def touch_local(d: StepCost, entries: int) -> None:
    """Read or change `entries` entries that only this CPU uses."""
    counts.local_entries(d, entries)


@inline
def probe(d: StepCost, slots: int) -> None:
    """Look at `slots` slots in search of a free one."""
    counts.probes(d, slots)


@inline
def scan(d: StepCost, slots: int, freed: int) -> None:
    """Make a pass over `slots` slots that freed `freed` of them: their PTEs and pages forget each other."""
    d.special = 1
    d.scans += 1
    counts.scanned(d, slots)
    counts.freed(d, freed)


@inline
def evict(a: State, d: StepCost, page: int) -> None:
    """Forget the mapping that a slot kept of `page`; pages are listed in the order of these calls."""
    d.special = 1
    a.evicted[d.evicted].page = page
    d.evicted += 1


@inline
def write_pte(d: StepCost) -> None:
    """Write or clear one page-table entry."""
    counts.pte_writes(d, 1)


@inline
def invalidate(a: State, d: StepCost, slot: int) -> None:
    """Invalidate one slot's address in the TLB of the CPU that runs the task (invlpg)."""
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
    """The bit mask of the CPU that runs the task."""
    return wrap64(1 << d.cpu)


@inline
def all_cpus(d: StepCost) -> int:
    """The bit mask of all CPUs."""
    # Not (1 << cpus) - 1: a compiled shift must be less than 64.
    return wrap64(((1 << (d.cpus - 1)) - 1) * 2 + 1)


@inline
def invalidate_on(a: State, d: StepCost, slot: int, mask: int) -> None:
    """Invalidate one slot's address on the other CPUs of the bit mask, by the action SHOOT_DOWN of this step.

    The slot must be one that none of them uses until that is done.
    """
    d.cpu_mask = mask
    for other in range(d.cpus):
        if other != d.cpu and (mask >> other) & 1 != 0:
            a.tlb[slot * d.cpus + other].loaded = 0


@inline
def may_hold_since(a: State, d: StepCost, process: int, moment: int) -> int:
    """The bit mask of the CPUs that may hold non-global translations from `moment` (a `d.moment`) or before.

    Only CPUs in the address space of `process` count (`forget_outside` is for the others); -1: in any.
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

    One that still has any, because a switch leaves them on this machine, empties its TLB when it enters the
    address space again.
    """
    a.processes[process].forgotten = d.moment


@inline
def flush_range(d: StepCost, first: int, slots: int) -> None:
    """Let FLUSH_ALL or FLUSH_MASK of this step be of the addresses of some slots in a row, from `first` on.

    Where that is cheaper, machines invalidate them one after another, and the rest of the TLBs stays.
    """
    d.special = 1
    d.range_first = first
    d.range_slots = slots


@inline
def change_atomically(a: State, d: StepCost, line: int) -> None:
    """Change an entry of a line of memory that all CPUs share in one atomic operation.

    The CPU has the line to itself meanwhile: it waits until it is its turn, then until the line has come if
    another CPU had it last.
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
    """Bind the task to the CPU it runs on, until as many `unpin`."""
    d.special = 1
    d.pin += 1


@inline
def unpin(d: StepCost) -> None:
    """Undo one `pin`."""
    d.special = 1
    d.pin -= 1


@inline
def forbid_sleep(d: StepCost) -> None:
    """Keep the task on the CPU it runs on, until as many `allow_sleep`.

    Its time slice does not end meanwhile. Leaving the CPU to wait for something is a finding, after which it
    comes back to the same CPU.
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
