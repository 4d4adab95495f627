"""What a wrap costs each map on the mean, where no map ever hits: Bligh's 1 + (1 + F)/N.

In a pool of N slots without hits every N maps pay, on top of N maps, one pass over the pool and one flush.
Taking the cost of a map that finds a clean slot as the unit, the pass as another unit and the flush as F of
them, that is (N + 1 + F)/N on the mean. Of M maps from an empty pool exactly floor(M/N) wrap, so their mean
is 1 + floor(M/N) (1 + F)/M.

The run's prices: a map touches two shared entries, looks at one slot and writes one PTE, together one unit.
The pass is given 1/N unit a slot. The flush is what the engine makes of its parts, on a machine of P CPUs:
F = (P - 1) sends + latency + handler + refill.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pipeline.allocators.registry import load_allocator
from pipeline.machine.in_memory import Outcome, free_machine, rows, simulate
from pipeline.studies.theory.check import Check

CPUS = 4
UNIT_NS = 8_192
FLUSH_UNITS = 40
SLOTS = (64, 256, 1_024, 4_096)
# Whole cycles, and half a one, so that the last maps have paid no wrap.
CYCLES = 20
BLIGH = "M. J. Bligh, linux-kernel, March 2002"

_MAP = {"shared_entry_ns": 2_048, "probe_ns": 1_024, "pte_write_ns": 3_072}
_FLUSH = {
    "ipi_send_ns": 2 * UNIT_NS,
    "ipi_latency_ns": 4 * UNIT_NS,
    "ipi_handler_ns": 10 * UNIT_NS,
    "tlb_refill_ns": 20 * UNIT_NS,
}


def average_cost(slots: int, flush_units: float) -> float:
    """Bligh's average cost of a map, in units of a map that finds a clean slot."""
    return 1 + (1 + flush_units) / slots


def average_cost_of(maps: int, slots: int, flush_units: float) -> float:
    """The same of the first `maps` maps of an empty pool, exactly."""
    return 1 + maps // slots * (1 + flush_units) / maps


def never_hits(slots: int, maps: int) -> Outcome:
    """Replay one task that maps `maps` pages, each once."""
    prices: dict[str, Any] = _MAP | _FLUSH | {"scan_slot_ns": UNIT_NS // slots}
    return simulate(
        load_allocator("global_pool"), free_machine(CPUS, **prices), rows(maps, page=np.arange(maps)),
        options={"slots": str(slots)}, compiled=True,
    )  # fmt: skip


def cost_checks() -> Iterator[Check]:
    """The mean cost of a map over a range of N, against the formula and against its exact finite form."""
    for slots in SLOTS:
        maps = CYCLES * slots + slots // 2
        cost = never_hits(slots, maps).totals["map_ns"] / maps / UNIT_NS
        limit = average_cost(slots, FLUSH_UNITS)
        # The half cycle at the end has paid nothing for its wrap.
        yield Check(
            "average cost of a map, no hits", BLIGH, f"1 + (1 + F)/N, F = {FLUSH_UNITS}, N = {slots}",
            "maps", limit, cost, None, (1 + FLUSH_UNITS) / maps,
        )  # fmt: skip
        yield Check(
            "average cost of a map, no hits", BLIGH,
            f"the same of exactly M = {maps:,} maps, F = {FLUSH_UNITS}, N = {slots}", "maps",
            average_cost_of(maps, slots, FLUSH_UNITS), cost, None, 1e-12,
        )  # fmt: skip
