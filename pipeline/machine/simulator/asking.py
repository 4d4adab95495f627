"""Asking a design for its next step: the one place where a design is called."""

from __future__ import annotations

from typing import Any

from pipeline.machine.simulator.design import map_step, unmap_step
from pipeline.machine.simulator.kernel import entry, kernel
from pipeline.machine.simulator.records import MAP


@kernel
def ask_design(w: Any, a: Any, i: int, c: int) -> int:
    """Call the design for request `i` on CPU `c`; return its action. What it did is in the deed."""
    r = w.requests[i]
    d = w.deed[0]
    d.cpu = c
    d.lock = 0
    d.queue = 0
    d.pin = 0
    d.atomic = 0
    d.finding = -1
    d.shared_entries = 0
    d.recent_entries = 0
    d.local_entries = 0
    d.probes = 0
    d.scans = 0
    d.scanned = 0
    d.freed = 0
    d.evicted = 0
    d.in_use = 0
    d.pte_writes = 0
    d.invalidations = 0
    d.everywhere = 0
    return map_step(a, r, d) if r.unmapping == MAP else unmap_step(a, r, d)


@entry
def step(w: Any, a: Any, i: int, c: int) -> int:
    """Take one step of request `i` outside a simulation, for whoever decides the order of steps himself."""
    return ask_design(w, a, i, c)
