"""Check that the order of simultaneous events does not depend on the order of their creation.

With times and costs on a coarse grid, most events are simultaneous with others. The following may change the
order of creation, but must not change the results:

- the number of rows read together, because the first timer of a task is set when its row is read
- the order of simultaneous rows in the trace
- the points at which the log is emptied, or at which the engine is left and entered again
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pipeline.allocators.api.allocator import Allocator
from pipeline.allocators.registry import load_allocator
from pipeline.machine.engine.records import CLOSED, TIMED
from pipeline.machine.in_memory import Outcome, Rows, free_machine, rows
from pipeline.studies.theory.check import Check
from pipeline.studies.theory.runs import ONE_LOCK, replay_rows

GRID_NS = 1_000
TASKS = 12
CPUS = 4
OPERATIONS_EACH = 60
# Ways to make the same run: rows read together, rows of the log, events before the engine is left.
WAYS: tuple[dict[str, Any], ...] = (
    {"chunk_rows": 1},
    {"chunk_rows": 7},
    {"chunk_rows": 640},
    {"log_rows": 1},
    {"log_rows": 10, "chunk_rows": 5},
    {"budget_events": 1},
    {"budget_events": 13, "chunk_rows": 3},
)
ORDERS = range(5)
LOOPS = {"closed": CLOSED, "timed": TIMED}
_PRICES = (
    "shared_entry_ns", "local_entry_ns", "probe_ns", "pte_write_ns", "invalidate_ns", "tlb_flush_ns",
    "tlb_refill_ns", "ipi_send_ns", "ipi_latency_ns", "ipi_handler_ns", "handoff_local_ns", "switch_ns",
    "wake_ns", "walk_ns",
)  # fmt: skip


# A lock, a small pool on which tasks sleep, and a pool on which tasks wait pinned, with their options.
ALLOCATORS: tuple[tuple[Allocator, dict[str, str]], ...] = (
    (ONE_LOCK, {}),
    (load_allocator("global_pool"), {"slots": "5"}),
    (load_allocator("percpu_pinned"), {"slots_per_cpu": "1"}),
)


def rows_on_a_grid(seed: int = 5) -> Rows:
    """Rows whose times are small multiples of GRID_NS; the rows of a turn have the same recorded time."""
    random = np.random.default_rng(seed)
    count = TASKS * OPERATIONS_EACH

    def some_ns(most: int, share: float = 1.0) -> np.ndarray:
        return np.where(random.random(count) < share, random.integers(0, most + 1, count) * GRID_NS, 0)

    return rows(
        count, task=np.arange(count) % TASKS, time_ns=np.arange(count) // TASKS * 12 * GRID_NS,
        page=random.integers(0, 20, count), think_ns=some_ns(4), wait_ns=some_ns(6, 0.5), hold_ns=some_ns(2),
        block_ns=some_ns(5, 0.3),
    )  # fmt: skip


def shuffle_ties(trace: Rows, seed: int) -> np.ndarray:
    """Positions of the rows in an order that exchanges only simultaneous rows."""
    luck = np.random.default_rng(seed).random(len(trace))
    return np.lexsort((luck, trace.time_ns))


def run(allocator: Allocator, options: dict[str, str], trace: Rows, loop: int, **way: Any) -> Outcome:
    """Replay on a machine with all costs on the grid."""
    prices: dict[str, Any] = dict.fromkeys(_PRICES, GRID_NS)
    machine = free_machine(CPUS, **prices)
    return replay_rows(allocator, machine, trace, options, loop=loop, **way)


def same_log(one: Outcome, other: Outcome, number: np.ndarray) -> bool:
    """Whether two logs are equal; `number[k]` is the row in the first trace of row k in the other."""
    operations, events = other.operations.copy(), other.events.copy()
    for column in (operations["op"], operations["flush_op"], events["op"]):
        column[:] = np.where(column >= 0, number[column], -1)
    operations.sort(order="op")
    return bool(
        np.array_equal(one.operations, operations)
        and np.array_equal(one.events, events)
        and np.array_equal(one.spent, other.spent)
    )


def measure_tied_share(outcome: Outcome) -> float:
    """Share of operations that are requested at the same time as another."""
    _, times = np.unique(outcome.operations["asked_ns"], return_counts=True)
    return float(times[times > 1].sum() / times.sum())


def ties_checks() -> Iterator[Check]:
    """Count the ways to make the same run that give the same log, for each design and loop."""
    trace = rows_on_a_grid()
    unchanged = np.arange(len(trace))
    for allocator, options in ALLOCATORS:
        for name, loop in LOOPS.items():
            base = run(allocator, options, trace, loop)
            others = [run(allocator, options, trace, loop, **way) for way in WAYS]
            same = sum(
                other.fingerprint == base.fingerprint and same_log(base, other, unchanged) for other in others
            )
            orders = [shuffle_ties(trace, seed) for seed in ORDERS]
            same_in_order = sum(
                same_log(base, run(allocator, options, trace[order], loop, chunk_rows=chunk), order)
                for order in orders
                for chunk in (1, 5)
            )
            case = f"{allocator.name}, {name} loop, {100 * measure_tied_share(base):.0f} % tied requests"
            for what, expected, simulated in (
                ("different chunks, logs and budgets", len(WAYS), same),
                ("different order of simultaneous rows", 2 * len(orders), same_in_order),
            ):
                yield Check(
                    "order of simultaneous events", f"equal logs, {what}, {case}", expected, simulated
                )
