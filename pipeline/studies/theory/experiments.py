"""Runs with known means: one lock and one pool as closed queues, the cost of wraps, and hit rates.

Each function makes its runs and compares them with `closed_queues`, with Bligh's average cost, or with `irm`.

Bligh's average cost (M. J. Bligh, linux-kernel, March 2002) applies if no map hits. In a pool of N slots,
every N maps also pay for one pass over the pool and one flush. The unit is the cost of a map that finds a
clean slot. With a pass of one unit and a flush of F units, the mean is (N + 1 + F)/N. Of M maps from an empty
pool, exactly floor(M/N) wrap, so their mean is 1 + floor(M/N) (1 + F)/M.

The costs of the run are as follows. A map touches two shared entries, probes one slot and writes one PTE,
which together cost one unit. A pass costs 1/N unit per slot. The engine composes the flush from its parts on
a machine with P CPUs: F = (P - 1) sends + latency + handler + refill.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pipeline.machine.in_memory import Outcome, Rows, free_machine, rows
from pipeline.schema.codes import E_FLUSH, MISS
from pipeline.studies.theory.check import Check, mean_and_error
from pipeline.studies.theory.closed_queues import (
    Exact,
    asymptotic_bound,
    constant_service,
    first_come_first_served,
    machine_repairman,
)
from pipeline.studies.theory.irm import characteristic_references, mean_references, zipf
from pipeline.studies.theory.runs import ONE_LOCK, closed_loop, intervals, replay_rows, with_all_tasks

HOLD_NS = 1_000
OPERATIONS = 300_000
# CPUs and mean think times for a lock that is rarely busy, at the knee (P - 1) S = Z, and always busy.
LOCKS = ((2, 1_000), (8, 20_000), (8, 7_000), (8, 1_000), (32, 60_000), (32, 31_000))

WAIT_NS = 30_000
BLOCK_NS = 8_000
TASKS = 10
# Allocators by the number of servers of the station that they form.
STATIONS = {1: ("percpu_pinned", {"slots_per_cpu": "1"}), 3: ("global_pool", {"slots": "3"})}

UNIT_NS = 8_192
FLUSH_UNITS = 40
WRAPPED_SLOTS = (64, 256, 1_024, 4_096)
# Number of whole cycles; half a cycle is added, in which maps do not pay for a wrap.
CYCLES = 20
_WRAP_PRICES: dict[str, Any] = {
    "shared_entry_ns": 2_048, "probe_ns": 1_024, "pte_write_ns": 3_072,
    "ipi_send_ns": 2 * UNIT_NS, "ipi_latency_ns": 4 * UNIT_NS, "ipi_handler_ns": 10 * UNIT_NS,
    "tlb_refill_ns": 20 * UNIT_NS,
}  # fmt: skip

PAGES = 1_000
REFERENCES = 400_000
# Slots and skew.
CACHES = ((16, 1.0), (64, 0.0), (64, 0.7), (64, 1.0), (64, 1.4), (256, 1.0))

_PER_S = 1e9


def lock_checks() -> Iterator[Check]:
    """One lock and P CPUs: each wait, throughput and mean wait, and the bound of the throughput.

    CPUs compute for exponential times between acquisitions of the lock. Holds are fixed in the first run.
    They are exponential in the second, in which the page is the number of entries that a hold touches at 1 ns
    each.
    """
    for cpus, think_ns in LOCKS:
        parameters = f"P = {cpus}, Z = {think_ns / 1000:g} µs"
        trace = closed_loop(OPERATIONS, cpus, cpus * think_ns, think_ns=think_ns)
        outcome = replay_rows(ONE_LOCK, free_machine(cpus, shared_entry_ns=HOLD_NS), trace)
        yield Check(
            "one lock, fixed hold: each wait", f"waits equal to the ns, {parameters}", OPERATIONS,
            _equal_waits(trace, outcome, cpus),
        )  # fmt: skip
        fixed = constant_service(cpus, think_ns, HOLD_NS)
        yield from _station_checks(
            "one lock, fixed hold: M/D/1//P", parameters, fixed, outcome, "map_wait_ns"
        )
        bound = asymptotic_bound(cpus, think_ns, HOLD_NS) * _PER_S
        yield Check.of_mean(
            "one lock: asymptotic bound", f"upper bound of throughput, {parameters}", "1/s", bound,
            throughput_and_error(outcome), at_most=True,
        )  # fmt: skip
        trace = closed_loop(OPERATIONS, cpus, cpus * think_ns + 1, think_ns=think_ns, page=HOLD_NS)
        outcome = replay_rows(ONE_LOCK, free_machine(cpus, shared_entry_ns=1), trace, {"hold": "page"})
        drawn = machine_repairman(cpus, 1, think_ns, HOLD_NS)
        yield from _station_checks(
            "one lock, exponential hold: M/M/1//P", parameters, drawn, outcome, "map_wait_ns"
        )


def _equal_waits(trace: Rows, outcome: Outcome, cpus: int) -> int:
    """Number of waits that equal those of a queue simulated with a heap, to the ns."""
    waits = outcome.operations["map_wait_ns"]
    expected = first_come_first_served([trace.think_ns[cpu::cpus].tolist() for cpu in range(cpus)], HOLD_NS)
    return sum(int((waits[cpu::cpus] == told).sum()) for cpu, told in enumerate(expected))


def pool_checks() -> Iterator[Check]:
    """A pool of c slots: throughput and mean time asleep, compared with M/M/c//N.

    Each task is off CPU for an exponential wait, then holds a slot while it is off CPU for an exponential
    block. CPU work is free, no page is mapped twice, and a freed slot goes to a sleeper immediately. The
    tasks that hold or need a slot therefore form an M/M/c//N queue. The order of sleepers does not matter,
    because service times are independent of it.
    """
    for slots, (allocator, options) in STATIONS.items():
        trace = closed_loop(OPERATIONS, TASKS, 2, wait_ns=WAIT_NS, block_ns=BLOCK_NS)
        outcome = replay_rows(allocator, free_machine(1), trace, options)
        exact = machine_repairman(TASKS, slots, WAIT_NS, BLOCK_NS)
        yield from _station_checks(
            "pool of c slots: M/M/c//N", f"c = {slots}, N = {TASKS}", exact, outcome, "asleep_ns"
        )


def throughput_and_error(outcome: Outcome) -> tuple[float, float]:
    """Completions per second while all tasks are active, and the standard error."""
    operations = with_all_tasks(outcome)
    interval_ns, error_ns = mean_and_error(intervals(operations, len(np.unique(operations["task"]))))
    return _PER_S / interval_ns, error_ns / interval_ns**2 * _PER_S


def _station_checks(name: str, parameters: str, exact: Exact, outcome: Outcome, wait: str) -> Iterator[Check]:
    """Compare throughput and the mean of column `wait` of the log."""
    yield Check.of_mean(
        name, f"throughput, {parameters}", "1/s", exact.throughput * _PER_S, throughput_and_error(outcome)
    )
    waits = mean_and_error(with_all_tasks(outcome)[wait])
    yield Check.of_mean(name, f"mean wait, {parameters}", "ns", exact.wait_ns, waits)


def average_cost(slots: int, flush_units: float) -> float:
    """Bligh's average cost of a map, in units of a map that finds a clean slot."""
    return 1 + (1 + flush_units) / slots


def average_cost_of(maps: int, slots: int, flush_units: float) -> float:
    """Exact average cost of the first `maps` maps of an empty pool."""
    return 1 + maps // slots * (1 + flush_units) / maps


def cost_checks() -> Iterator[Check]:
    """Compare the mean cost of a map for several N with the formula and its exact finite form."""
    for slots in WRAPPED_SLOTS:
        maps = CYCLES * slots + slots // 2
        machine = free_machine(4, **_WRAP_PRICES, scan_slot_ns=UNIT_NS // slots)
        pages = rows(maps, page=np.arange(maps))
        outcome = replay_rows("global_pool", machine, pages, {"slots": str(slots)})
        cost = outcome.totals["map_ns"] / maps / UNIT_NS
        parameters = f"F = {FLUSH_UNITS}, N = {slots}"
        # The half cycle at the end does not pay for a wrap.
        yield Check(
            "average cost of a map, no hits", f"1 + (1 + F)/N, {parameters}",
            average_cost(slots, FLUSH_UNITS), cost, "maps", tolerance=(1 + FLUSH_UNITS) / maps,
        )  # fmt: skip
        yield Check(
            "average cost of a map, no hits", f"exact for M = {maps:,} maps, {parameters}",
            average_cost_of(maps, slots, FLUSH_UNITS), cost, "maps", tolerance=1e-12,
        )  # fmt: skip


def hit_rate_checks() -> Iterator[Check]:
    """Compare the hit rate over whole cycles with its exact value and the usual approximation.

    One task maps and unmaps pages drawn independently from a Zipf distribution. Operations before the first
    wrap and after the last are ignored.
    """
    for slots, skew in CACHES:
        parameters = f"N = {slots}, {PAGES:,} pages, skew {skew:g}"
        probability = zipf(PAGES, skew)
        page = np.random.default_rng(slots).choice(PAGES, REFERENCES, p=probability)
        trace = rows(REFERENCES, page=page)
        outcome = replay_rows("global_pool", free_machine(1), trace, {"slots": str(slots)})
        flushes = outcome.of_kind(E_FLUSH)["op"]
        mean, error = mean_and_error(np.diff(flushes))
        found = 100 * (1 - slots / mean), error * 100 * slots / mean**2
        exact = 100 * (1 - slots / mean_references(probability, slots))
        yield Check.of_mean(
            "hit rate, independent references", f"1 - N/E[T], {parameters}", "%", exact, found
        )
        near = 100 * (1 - slots / characteristic_references(probability, slots))
        yield Check(
            "hit rate, characteristic time", f"1 - N/t with E[D(t)] = N, {parameters}", near, found[0], "%",
            standard_error=found[1], tolerance=0.05 * near,
        )  # fmt: skip
        per_cycle = np.diff(np.cumsum(outcome.operations["served"] == MISS)[flushes])
        yield Check(
            "misses from wrap to wrap", f"cycles of exactly N misses, {parameters}", len(per_cycle),
            int((per_cycle == slots).sum()),
        )  # fmt: skip
