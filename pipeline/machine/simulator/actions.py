"""The words a design says what it does with: actions it returns, and deeds it records before returning.

A design's step does its own book-keeping, records in the deed `d` what that took (entries touched, slots
probed, PTEs written, addresses invalidated ...), and returns one action. The machine prices the deed from its
profile, lets that time pass on the CPU, then carries the action out and calls the design again.

    LOCK          take lock `d.lock`, spinning while it is busy; the next step runs with it held
    UNLOCK        release the lock
    FLUSH_ALL     interrupt every other CPU, flush every TLB, wait for the slowest answer
    FLUSH_MASK    the same for the CPUs of the bit mask `d.cpu_mask` only
    FLUSH_LOCAL   flush the whole TLB of this CPU
    REPEAT_ALL    interrupt every other CPU, let each make this step's scan and its invalidations again, wait
                  for the slowest answer; needs no interrupt where hardware broadcasts invalidations
    SLEEP         join wait queue `d.queue`, release the lock if one is held, leave the CPU until woken
    WAKE_ALL      wake every sleeper of wait queue `d.queue`
    WAKE_ONE      wake the first sleeper of wait queue `d.queue`
    PREFAULT      before the mapping, with no lock held: what would block while it is mapped (`block_ns`, with
                  that of nested operations) happens now, off the CPU; what is then left is asked for anew
    ATTEMPT       use the mapping in vain: its CPU time passes and remains to be done
    STEP          nothing; call the next step when the deed's time has passed
    DONE          the map or unmap is complete
"""

from __future__ import annotations

from typing import Any

from pipeline.machine.simulator.kernel import kernel

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

# How a mapping was served, as in runs.schema.SERVED.
HIT = 0
MISS = 1
DIRECT = 2
FALLBACK = 3


@kernel
def touch(d: Any, entries: int) -> None:
    """Read or change `entries` entries that all CPUs share: a slot's count, a page's slot."""
    d.shared_entries += entries


@kernel
def touch_again(d: Any, entries: int) -> None:
    """Read or change `entries` shared entries that this task touched shortly before.

    They are still in its CPU's cache, as a rule: no other CPU has to give them up.
    """
    d.recent_entries += entries


@kernel
def touch_local(d: Any, entries: int) -> None:
    """Read or change `entries` entries that only this CPU uses."""
    d.local_entries += entries


@kernel
def probe(d: Any, slots: int) -> None:
    """Look at `slots` slots in search of a free one."""
    d.probes += slots


@kernel
def scan(d: Any, slots: int, freed: int, in_use: int) -> None:
    """Make a pass over `slots` slots that freed `freed` of them and found `in_use` mapped by users."""
    d.scans += 1
    d.scanned += slots
    d.freed += freed
    d.in_use += in_use


@kernel
def evict(a: Any, d: Any, page: int) -> None:
    """Forget the mapping that a slot kept of `page`; pages are listed in the order of these calls."""
    a.evicted[d.evicted].page = page
    d.evicted += 1


@kernel
def write_pte(d: Any) -> None:
    """Write or clear one page-table entry."""
    d.pte_writes += 1


@kernel
def invalidate(a: Any, d: Any, slot: int) -> None:
    """Invalidate one slot's address in the TLB of the CPU that runs the task (invlpg)."""
    d.invalidations += 1
    a.tlb[slot * d.cpus + d.cpu].loaded = 0


@kernel
def invalidate_everywhere(a: Any, d: Any, slot: int) -> None:
    """Invalidate one slot's address here, and on the other CPUs by the action REPEAT_ALL of this step."""
    invalidate(a, d, slot)
    a.invalidated[d.everywhere].slot = slot
    d.everywhere += 1


@kernel
def pin(d: Any) -> None:
    """Bind the task to the CPU it runs on, until as many `unpin`."""
    d.pin += 1


@kernel
def unpin(d: Any) -> None:
    """Undo one `pin`."""
    d.pin -= 1


@kernel
def forbid_sleep(d: Any) -> None:
    """Keep the task on the CPU it runs on, until as many `allow_sleep`.

    Its time slice does not end meanwhile. Leaving the CPU to wait for something is a finding, after which it
    comes back to the same CPU.
    """
    d.atomic += 1
    d.pin += 1


@kernel
def allow_sleep(d: Any) -> None:
    """Undo one `forbid_sleep`."""
    d.atomic -= 1
    d.pin -= 1


@kernel
def found(d: Any, finding: int) -> None:
    """Report a hazard; `finding` is its position in runs.schema.FINDINGS."""
    d.finding = finding
