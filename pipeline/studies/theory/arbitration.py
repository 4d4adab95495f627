"""Check that every waiter of an unfair lock eventually gets the lock.

Runs end when the last operation is done. A lost waiter, or a lock released without a successor, would leave
operations undone and a CPU spinning.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipeline.machine.engine.records import S_FINISHED
from pipeline.machine.in_memory import Outcome, Rows, free_machine
from pipeline.studies.theory.check import Check
from pipeline.studies.theory.runs import ONE_LOCK, mixed_rows, replay_rows

CPUS = 16
NODES = 4
TASKS = 24
OPERATIONS_EACH = 20
SEEDS = range(8)
# Extreme costs: duration and spread of a hand-off, and CPUs that overtake it.
EXTREMES: dict[str, dict[str, Any]] = {
    "everything free": {},
    "free hand-off": {"shared_entry_ns": 5_000},
    "long hand-off, equal for all CPUs": {
        "shared_entry_ns": 1, "handoff_local_ns": 9_000, "handoff_remote_ns": 9_000,
    },
    "hand-off from 0 to twice its cost": {
        "shared_entry_ns": 2_000, "handoff_local_ns": 3_000, "handoff_remote_ns": 9_000,
        "handoff_spread_percent": 100, "handoff_per_spinner_ns": 500,
    },
    "every new requester barges": {
        "shared_entry_ns": 2_000, "handoff_local_ns": 3_000, "handoff_remote_ns": 9_000,
        "handoff_spread_percent": 100, "barging_percent": 100,
    },
    "half of the new requesters barge, spinners slow the holder": {
        "shared_entry_ns": 2_000, "handoff_local_ns": 3_000, "handoff_remote_ns": 9_000,
        "handoff_spread_percent": 50, "barging_percent": 50, "hold_per_spinner_ns": 1_000,
    },
    "interrupts while waiting": {
        "shared_entry_ns": 3_000, "handoff_local_ns": 2_000, "handoff_remote_ns": 2_000,
        "handoff_spread_percent": 30, "barging_percent": 10, "interrupt_gap_ns": 20_000,
        "interrupt_ns": 1_000, "interrupt_max_ns": 100_000, "ipi_latency_ns": 1_000, "ipi_handler_ns": 4_000,
    },
}  # fmt: skip


def unfair_run(
    allocator: str, trace: Rows, prices: dict[str, Any], seed: int, compiled: bool = True
) -> Outcome:
    """Replay `trace` with unfair locks, using "one_lock" or a shipped design with few slots."""
    machine = free_machine(CPUS, nodes=NODES, arbitration="unfair", **prices)
    if allocator == "one_lock":
        return replay_rows(ONE_LOCK, machine, trace, seed=seed, compiled=compiled)
    return replay_rows(allocator, machine, trace, {"slots": "12"}, seed=seed, compiled=compiled)


def served(outcome: Outcome) -> int:
    """Number of completed operations; 0 if a CPU still holds a lock or waits for one."""
    locks = outcome.locks
    left = (locks["holder"] >= 0).any() or (locks["heir"] >= 0).any() or locks["spinners"].any()
    return 0 if left or outcome.status != S_FINISHED else len(outcome.operations)


def expected_acquisitions(allocator: str, trace: Rows, outcome: Outcome) -> int:
    """Expected lock acquisitions: for a pool, one per map, unmap and sleep."""
    return len(trace) if allocator == "one_lock" else 2 * len(trace) + outcome.totals["sleeps"]


def arbitration_checks() -> Iterator[Check]:
    """Check that all operations are done and all acquisitions counted, for many seeds and extreme costs."""
    trace = mixed_rows(TASKS, OPERATIONS_EACH, nested=False)
    for case, prices in EXTREMES.items():
        for allocator in ("one_lock", "global_pool"):
            outcomes = [unfair_run(allocator, trace, prices, seed) for seed in SEEDS]
            where = f"{len(SEEDS)} seeds, {case}"
            got = sum(int(outcome.sites["acquisitions"].sum()) for outcome in outcomes)
            expected = sum(expected_acquisitions(allocator, trace, outcome) for outcome in outcomes)
            for what, predicted, simulated in (
                ("operations done", len(SEEDS) * len(trace), sum(map(served, outcomes))),
                ("lock acquisitions", expected, got),
            ):
                yield Check(
                    "unfair arbitration loses no waiter", f"{allocator}: {what}", predicted, simulated,
                    case=where,
                )  # fmt: skip
