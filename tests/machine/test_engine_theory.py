"""Runs of which theory says what must come out, on machines where everything else is free.

A statistical comparison allows 4 standard errors, from batch means: with fixed seeds it either holds for good
or shows a difference that chance makes once in 15,000 times.
"""

import numpy as np
import pytest

from pipeline.machine.engine.records import S_FINISHED
from pipeline.schema.codes import E_SLEEP
from pipeline.studies.theory.check import mean_and_error
from pipeline.studies.theory.closed_queues import (
    constant_service,
    first_come_first_served,
    machine_repairman,
)
from pipeline.studies.theory.runs import ONE_LOCK, closed_loop, intervals, with_all_tasks
from tests.machine.runs import Outcome, Rows, machine, simulate

HOLD_NS = 1_000
CPUS = 8


Locked = tuple[int, Rows, Outcome]


@pytest.fixture(scope="module", params=[20_000, 7_000, 1_000], ids=["light", "knee", "saturated"])
def locked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Locked:
    """A lock with a constant hold and 8 CPUs that compute between acquisitions, mean think time given."""
    profile = machine(tmp_path_factory.mktemp("machine"), CPUS, shared_entry_ns=HOLD_NS)
    trace = closed_loop(200_000, CPUS, 1, think_ns=request.param)
    return request.param, trace, simulate(ONE_LOCK, profile, trace, compiled=True)


def test_a_fifo_lock_makes_every_single_wait_that_a_heap_makes(locked: Locked) -> None:
    _, trace, outcome = locked
    expected = first_come_first_served([trace.think_ns[cpu::CPUS].tolist() for cpu in range(CPUS)], HOLD_NS)
    for cpu in range(CPUS):
        assert outcome.operations["map_wait_ns"][cpu::CPUS].tolist() == expected[cpu]


def test_the_throughput_of_one_lock_is_that_of_m_d_1_n(locked: Locked) -> None:
    think_ns, _, outcome = locked
    interval, error = mean_and_error(intervals(with_all_tasks(outcome), CPUS))
    exact = constant_service(CPUS, think_ns, HOLD_NS)
    assert error < 0.004 * interval
    # A lock that is never free leaves nothing to chance: there the error is of the arithmetic.
    assert abs(interval - 1 / exact.throughput) <= max(4 * error, 1e-9 * interval)
    assert 1 / interval <= min(CPUS / (think_ns + HOLD_NS), 1 / HOLD_NS) * (1 + 4 * error / interval)


def test_the_cpus_that_spin_are_as_many_as_m_d_1_n_says(locked: Locked) -> None:
    think_ns, _, outcome = locked
    wait, error = mean_and_error(outcome.operations["map_wait_ns"])
    exact = constant_service(CPUS, think_ns, HOLD_NS)
    assert abs(wait - exact.waiting / exact.throughput) <= 4 * error
    # Little's law, from books that are kept apart: CPU time, the lock's own totals, and the log.
    assert (
        outcome.time_in("spin") == outcome.sites["wait_ns"].sum() == outcome.operations["map_wait_ns"].sum()
    )
    assert outcome.time_in("critical") == outcome.sites["hold_ns"].sum() == len(outcome.operations) * HOLD_NS


POOLS = {
    1: ("percpu_pinned", {"slots_per_cpu": "1"}),
    3: ("global_pool", {"slots": "3"}),
}


@pytest.fixture(scope="module", params=POOLS)
def pooled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, Outcome]:
    """A pool of c slots as a station of c servers.

    Each of 10 tasks is off CPU for an exponential wait, then holds a slot while it is off CPU for an
    exponential block. CPU work is free, no page is mapped twice, and a freed slot goes to a sleeper at once
    if there is one. So the tasks in want of a slot or with one are an M/M/c//10, whoever of the sleepers is
    served first, since service times are independent of the order.
    """
    allocator, options = POOLS[request.param]
    profile = machine(tmp_path_factory.mktemp("machine"), 1)
    trace = closed_loop(200_000, 10, 2, wait_ns=30_000, block_ns=8_000)
    return request.param, simulate(allocator, profile, trace, options=options, compiled=True)


def test_the_throughput_of_a_pool_of_slots_is_that_of_m_m_c_n(pooled: tuple[int, Outcome]) -> None:
    slots, outcome = pooled
    interval, error = mean_and_error(intervals(with_all_tasks(outcome), 10))
    exact = machine_repairman(10, slots, 30_000, 8_000)
    assert error < 0.006 * interval
    assert abs(interval - 1 / exact.throughput) <= 4 * error


def test_the_sleepers_of_a_pool_are_as_many_as_m_m_c_n_says(pooled: tuple[int, Outcome]) -> None:
    slots, outcome = pooled
    asleep, error = mean_and_error(outcome.operations["asleep_ns"])
    exact = machine_repairman(10, slots, 30_000, 8_000)
    assert abs(asleep - exact.waiting / exact.throughput) <= 4 * error


def test_time_asleep_is_the_number_of_sleepers_added_up_over_time(pooled: tuple[int, Outcome]) -> None:
    _, outcome = pooled
    sleep = outcome.of_kind(E_SLEEP)
    moments = np.concatenate([sleep["time_ns"], sleep["time_ns"] + sleep["duration_ns"]])
    order = np.argsort(moments, kind="stable")
    sleepers = np.cumsum(np.repeat([1, -1], len(sleep))[order])
    area = int((sleepers[:-1] * np.diff(moments[order])).sum())
    assert sleepers.max() > 3
    assert area == outcome.totals["asleep_ns"] == outcome.operations["asleep_ns"].sum()
    assert outcome.status == S_FINISHED
