"""One lock and one pool of slots as closed queues: the machine repairman, his repairs fixed or random."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pipeline.allocators.registry import load_allocator
from pipeline.machine.in_memory import Outcome, Rows, free_machine, simulate
from pipeline.studies.theory.check import Check, mean_and_error, statistical_tolerance
from pipeline.studies.theory.closed_queues import (
    Exact,
    asymptotic_bound,
    constant_service,
    first_come_first_served,
    machine_repairman,
)
from pipeline.studies.theory.runs import ONE_LOCK, closed_loop, intervals, with_all_tasks

HOLD_NS = 1_000
OPERATIONS = 300_000
# CPUs and mean think time: a lock seldom busy, at the knee (P - 1) S = Z, and always busy.
LOCKS = ((2, 1_000), (8, 20_000), (8, 7_000), (8, 1_000), (32, 60_000), (32, 31_000))

WAIT_NS = 30_000
BLOCK_NS = 8_000
TASKS = 10
# Slots, and the design that is a station of so many servers.
POOLS = {1: ("percpu_pinned", {"slots_per_cpu": "1"}), 3: ("global_pool", {"slots": "3"})}

_PER_S = 1e9
TAKACS = "Takács 1962; Kleinrock 1975, ch. 5"
COX_SMITH = "Cox and Smith 1961; Jain 1991, ch. 31"
LAZOWSKA = "Lazowska et al. 1984, ch. 5"


def fixed_hold(cpus: int, think_ns: int) -> tuple[Rows, Outcome]:
    """Replay CPUs that compute, exponentially, between acquisitions of one lock with a fixed hold."""
    trace = closed_loop(OPERATIONS, cpus, cpus * think_ns, think_ns=think_ns)
    return trace, simulate(ONE_LOCK, free_machine(cpus, shared_entry_ns=HOLD_NS), trace, compiled=True)


def exponential_hold(cpus: int, think_ns: int) -> Outcome:
    """Replay the same where each hold is drawn: the page says how many entries of 1 ns the hold touches."""
    trace = closed_loop(OPERATIONS, cpus, cpus * think_ns + 1, think_ns=think_ns, page=HOLD_NS)
    return simulate(
        ONE_LOCK, free_machine(cpus, shared_entry_ns=1), trace, options={"hold": "page"}, compiled=True
    )


def pool_of_servers(slots: int) -> Outcome:
    """Replay a pool of c slots as a station of c servers.

    Each task is off CPU for an exponential wait, then holds a slot while it is off CPU for an exponential
    block. CPU work is free, no page is mapped twice, and a freed slot goes to a sleeper at once if there is
    one. So the tasks in want of a slot or with one are an M/M/c//N, whoever of the sleepers is served first,
    since service times are independent of the order.
    """
    allocator, options = POOLS[slots]
    trace = closed_loop(OPERATIONS, TASKS, 2, wait_ns=WAIT_NS, block_ns=BLOCK_NS)
    return simulate(load_allocator(allocator), free_machine(1), trace, options=options, compiled=True)


def throughput_and_error(outcome: Outcome) -> tuple[float, float]:
    """Completions per second while all tasks take part, and the standard error."""
    operations = with_all_tasks(outcome)
    interval_ns, error_ns = mean_and_error(intervals(operations, len(np.unique(operations["task"]))))
    return _PER_S / interval_ns, error_ns / interval_ns**2 * _PER_S


def _compared(
    name: str, source: str, parameters: str, exact: Exact, outcome: Outcome, wait: str
) -> Iterator[Check]:
    """Compare throughput and the mean of the waits in column `wait` of the log."""
    throughput, error = throughput_and_error(outcome)
    predicted = exact.throughput * _PER_S
    yield Check(
        name, source, f"throughput, {parameters}", "1/s", predicted, throughput, error,
        statistical_tolerance(predicted, error),
    )  # fmt: skip
    wait_ns, error_ns = mean_and_error(with_all_tasks(outcome)[wait])
    yield Check(
        name, source, f"mean wait, {parameters}", "ns", exact.wait_ns, wait_ns, error_ns,
        statistical_tolerance(exact.wait_ns, error_ns),
    )  # fmt: skip


def lock_checks() -> Iterator[Check]:
    """One lock and P CPUs: every single wait, throughput and mean wait, and the bound on the throughput."""
    for cpus, think_ns in LOCKS:
        parameters = f"P = {cpus}, Z = {think_ns / 1000:g} µs"
        trace, outcome = fixed_hold(cpus, think_ns)
        waits = outcome.operations["map_wait_ns"]
        told = first_come_first_served([trace.think_ns[cpu::cpus].tolist() for cpu in range(cpus)], HOLD_NS)
        same = sum(int((waits[cpu::cpus] == expected).sum()) for cpu, expected in enumerate(told))
        yield Check(
            "one lock, fixed hold: each wait", "a queue told with a heap",
            f"waits that are equal to the ns, {parameters}", "", OPERATIONS, same, None, 0,
        )  # fmt: skip
        yield from _compared(
            "one lock, fixed hold: M/D/1//P", TAKACS, parameters,
            constant_service(cpus, think_ns, HOLD_NS), outcome, "map_wait_ns",
        )  # fmt: skip
        throughput, error = throughput_and_error(outcome)
        bound = asymptotic_bound(cpus, think_ns, HOLD_NS) * _PER_S
        yield Check(
            "one lock: asymptotic bound", LAZOWSKA, f"throughput at most, {parameters}", "1/s",
            bound, throughput, error, statistical_tolerance(bound, error), at_most=True,
        )  # fmt: skip
        outcome = exponential_hold(cpus, think_ns)
        yield from _compared(
            "one lock, exponential hold: M/M/1//P", COX_SMITH, parameters,
            machine_repairman(cpus, 1, think_ns, HOLD_NS), outcome, "map_wait_ns",
        )  # fmt: skip


def pool_checks() -> Iterator[Check]:
    """A pool of c slots: throughput and mean time asleep against M/M/c//N."""
    for slots in POOLS:
        outcome = pool_of_servers(slots)
        yield from _compared(
            "pool of c slots: M/M/c//N", COX_SMITH, f"c = {slots}, N = {TASKS}",
            machine_repairman(TASKS, slots, WAIT_NS, BLOCK_NS), outcome, "asleep_ns",
        )  # fmt: skip
