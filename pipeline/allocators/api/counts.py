"""What of a step has a price: one function for each sort, which counts `number` more of it in `d`.

As imported they count. In a composed simulator what follows from the table of `pipeline.machine.costs` stands
in this module's place, which adds the price at once: an allocator says what it did, and never what it costs.
"""

from __future__ import annotations

from pipeline.allocators.api.protocols import StepCost
from pipeline.jit.marks import inline


@inline
def shared_entries(d: StepCost, number: int) -> None:
    """Entries that all CPUs share, read or changed."""
    d.shared_entries += number


@inline
def recent_entries(d: StepCost, number: int) -> None:
    """The same, touched by this task shortly before."""
    d.recent_entries += number


@inline
def local_entries(d: StepCost, number: int) -> None:
    """Entries that only this CPU uses."""
    d.local_entries += number


@inline
def probes(d: StepCost, number: int) -> None:
    """Slots looked at in search of a free one."""
    d.probes += number


@inline
def scanned(d: StepCost, number: int) -> None:
    """Slots looked at in a scan."""
    d.scanned += number


@inline
def freed(d: StepCost, number: int) -> None:
    """Those of them that it made free."""
    d.freed += number


@inline
def pte_writes(d: StepCost, number: int) -> None:
    """Page-table entries written or cleared."""
    d.pte_writes += number


@inline
def invalidations(d: StepCost, number: int) -> None:
    """Addresses invalidated in the own TLB."""
    d.invalidations += number
