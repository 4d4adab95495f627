"""The words a design says what it does with: actions it returns, and deeds it records before returning.

A design's step does its own book-keeping, records in the deed `d` what that took (entries touched, slots
probed, PTEs written, addresses invalidated ...), and returns one action. The machine prices the deed from its
profile, lets that time pass on the CPU, then carries the action out and calls the design again.

    LOCK          take lock `d.lock`, spinning while it is busy; the next step runs with it held
    UNLOCK        release the lock
    FLUSH_ALL     interrupt every other CPU, flush every TLB, wait for the slowest answer
    FLUSH_MASK    the same for the CPUs of the bit mask `d.cpu_mask` only
    FLUSH_LOCAL   flush the whole TLB of this CPU
    SHOOT_DOWN    interrupt the other CPUs of the bit mask `d.cpu_mask` (one at least), let each invalidate
                  the address that `invalidate_on` named in this step, wait for the slowest answer
    REPEAT_ALL    interrupt every other CPU, let each make this step's scan and its invalidations again, wait
                  for the slowest answer; needs no interrupt where hardware broadcasts invalidations
    SLEEP         join wait queue `d.queue`, release the lock if one is held, leave the CPU until woken
    WAKE_ALL      wake every sleeper of wait queue `d.queue`
    WAKE_ONE      wake the first sleeper of wait queue `d.queue`
    PREFAULT      before the mapping, with no lock held: what would block while it is mapped (`block_ns`, with
                  the waiting of nested operations) happens now, off the CPU; what is then left is asked for
                  anew, and nested operations wait and block that much less
    ATTEMPT       use the mapping in vain: its CPU time passes and remains to be done
    STEP          nothing; call the next step when the deed's time has passed
    DONE          the map or unmap is complete
"""

from __future__ import annotations

from typing import Any

from pipeline.jit.marks import inline, wrap64

STEP = 0
LOCK = 1
UNLOCK = 2
FLUSH_ALL = 3
FLUSH_MASK = 4
FLUSH_LOCAL = 5
SLEEP = 6
WAKE_ALL = 7
WAKE_ONE = 8
DONE = 9
REPEAT_ALL = 10
PREFAULT = 11
ATTEMPT = 12
SHOOT_DOWN = 13

# How a mapping was served, as in runs.schema.SERVED.
HIT = 0
MISS = 1
DIRECT = 2
FALLBACK = 3

# Hazards that only a design can see: their positions in runs.schema.FINDINGS.
COUNT_UNDERFLOW = 2
NESTING_OVERFLOW = 5
UNMAP_OUT_OF_ORDER = 6


@inline
def touch(d: Any, entries: int) -> None:
    """Read or change `entries` entries that all CPUs share: a slot's count, a page's slot."""
    d.shared_entries += entries


@inline
def touch_cached(d: Any, entries: int) -> None:
    """Read or change `entries` shared entries that this task touched shortly before.

    They are still in its CPU's cache, as a rule: no other CPU has to give them up.
    """
    d.recent_entries += entries


@inline
def touch_local(d: Any, entries: int) -> None:
    """Read or change `entries` entries that only this CPU uses."""
    d.local_entries += entries


@inline
def probe(d: Any, slots: int) -> None:
    """Look at `slots` slots in search of a free one."""
    d.probes += slots


@inline
def scan(d: Any, slots: int, freed: int, in_use: int) -> None:
    """Make a pass over `slots` slots that freed `freed` of them and found `in_use` mapped by users."""
    d.scans += 1
    d.scanned += slots
    d.freed += freed
    d.in_use += in_use


@inline
def evict(a: Any, d: Any, page: int) -> None:
    """Forget the mapping that a slot kept of `page`; pages are listed in the order of these calls."""
    a.evicted[d.evicted].page = page
    d.evicted += 1


@inline
def write_pte(d: Any) -> None:
    """Write or clear one page-table entry."""
    d.pte_writes += 1


@inline
def invalidate(a: Any, d: Any, slot: int) -> None:
    """Invalidate one slot's address in the TLB of the CPU that runs the task (invlpg)."""
    d.invalidations += 1
    a.tlb[slot * d.cpus + d.cpu].loaded = 0


@inline
def invalidate_everywhere(a: Any, d: Any, slot: int) -> None:
    """Invalidate one slot's address here, and on the other CPUs by the action REPEAT_ALL of this step."""
    invalidate(a, d, slot)
    a.invalidated[d.everywhere].slot = slot
    d.everywhere += 1


@inline
def this_cpu(d: Any) -> int:
    """The bit mask of the CPU that runs the task."""
    return wrap64(1 << d.cpu)


@inline
def all_cpus(d: Any) -> int:
    """The bit mask of all CPUs."""
    # Not (1 << cpus) - 1: a compiled shift must be less than 64.
    return wrap64(((1 << (d.cpus - 1)) - 1) * 2 + 1)


@inline
def invalidate_on(a: Any, d: Any, slot: int, mask: int) -> None:
    """Invalidate one slot's address on the other CPUs of the bit mask, by the action SHOOT_DOWN of this step.

    The slot must be one that none of them uses until that is done.
    """
    d.cpu_mask = mask
    for other in range(d.cpus):
        if other != d.cpu and (mask >> other) & 1 != 0:
            a.tlb[slot * d.cpus + other].loaded = 0


@inline
def in_space_since(a: Any, d: Any, process: int, moment: int) -> int:
    """The bit mask of the CPUs that have stayed in an address space since `moment` (a `d.moment`).

    Only they can hold non-global translations that were loaded at that moment or before. The address space is
    that of `process`; -1: any.
    """
    mask = 0
    for c in range(d.cpus):
        space = a.spaces[c]
        if space.entered <= moment and (process < 0 or space.process == process):
            mask |= wrap64(1 << c)
    return mask


@inline
def change_atomically(a: Any, d: Any, line: int) -> None:
    """Change an entry of a line of memory that all CPUs share in one atomic operation.

    The CPU has the line to itself meanwhile: it waits until it is its turn, then until the line has come if
    another CPU had it last.
    """
    shared = a.lines[line]
    begin = max(d.now_ns + d.lines_ns, shared.free_ns)
    if shared.owner != d.cpu + 1:
        begin += d.line_transfer_ns
        shared.owner = d.cpu + 1
    shared.free_ns = begin + d.atomic_ns
    d.lines_ns = shared.free_ns - d.now_ns


@inline
def pin(d: Any) -> None:
    """Bind the task to the CPU it runs on, until as many `unpin`."""
    d.pin += 1


@inline
def unpin(d: Any) -> None:
    """Undo one `pin`."""
    d.pin -= 1


@inline
def forbid_sleep(d: Any) -> None:
    """Keep the task on the CPU it runs on, until as many `allow_sleep`.

    Its time slice does not end meanwhile. Leaving the CPU to wait for something is a finding, after which it
    comes back to the same CPU.
    """
    d.atomic += 1
    d.pin += 1


@inline
def allow_sleep(d: Any) -> None:
    """Undo one `forbid_sleep`."""
    d.atomic -= 1
    d.pin -= 1


@inline
def report_finding(d: Any, finding: int) -> None:
    """Report a hazard: COUNT_UNDERFLOW, NESTING_OVERFLOW or UNMAP_OUT_OF_ORDER."""
    d.finding = finding
