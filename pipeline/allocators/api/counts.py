"""The counted work of a step: one function for each kind of work with a cost, which adds `number` to `d`.

This module only counts. A composed simulator replaces it by a module generated from the table of
`pipeline.machine.costs`, which adds the cost immediately. An allocator says what it did, never what it costs.
"""

from __future__ import annotations

from pipeline.allocators.api.protocols import StepCost
from pipeline.jit.marks import inline


@inline
def shared_entries(d: StepCost, number: int) -> None:
    """Count entries shared by all CPUs that the step reads or changes."""
    d.shared_entries += number


@inline
def recent_entries(d: StepCost, number: int) -> None:
    """Count shared entries that this task touched shortly before."""
    d.recent_entries += number


@inline
def local_entries(d: StepCost, number: int) -> None:
    """Count entries that only this CPU uses."""
    d.local_entries += number


@inline
def probes(d: StepCost, number: int) -> None:
    """Count slots examined in search of a free one."""
    d.probes += number


@inline
def scanned(d: StepCost, number: int) -> None:
    """Count slots examined in a scan."""
    d.scanned += number


@inline
def freed(d: StepCost, number: int) -> None:
    """Count slots that the scan made free."""
    d.freed += number


@inline
def pte_writes(d: StepCost, number: int) -> None:
    """Count page-table entries written or cleared."""
    d.pte_writes += number


@inline
def invalidations(d: StepCost, number: int) -> None:
    """Count addresses invalidated in the local TLB."""
    d.invalidations += number
