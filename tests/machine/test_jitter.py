"""Jitter scales think and wait times within its bounds, alike for every design, and arrivals go with them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pipeline.machine.engine.records import CLOSED, TIMED
from pipeline.machine.in_memory import Outcome, Rows, free_machine
from pipeline.machine.profile import load_profile
from pipeline.schema.codes import E_FINDING
from tests.machine.runs import rows, simulate

TASKS = 8
PERCENT = 5.0
LOOPS = pytest.mark.parametrize("loop", [CLOSED, TIMED], ids=["closed", "timed"])


def sparse_trace(count: int = 2_000, **given: object) -> Rows:
    """Tasks that take turns, so far apart that none is ever late."""
    chance = np.random.default_rng(3)
    columns = {
        "time_ns": 1_000_000 + 100_000 * np.arange(count),
        "task": np.arange(count) % TASKS,
        "page": chance.integers(0, 100, count),
        "think_ns": chance.integers(0, 40_000, count),
        "wait_ns": chance.integers(0, 400_000, count),
        "hold_ns": 500,
    }
    return rows(count, **columns | given)


def gaps_ns(outcome: Outcome) -> np.ndarray:
    """From the end of a task's operation to its next request, for each row but each task's first."""
    asked, done = outcome.operations["asked_ns"], outcome.operations["done_ns"]
    return asked[TASKS:] - done[:-TASKS]


def replay(allocator: str, trace: Rows, **how: object) -> Outcome:
    """On a machine where everything is free and every task has a CPU."""
    return simulate(allocator, free_machine(TASKS), trace, **how)


def test_a_time_is_scaled_by_a_factor_that_is_uniform_within_the_jitter():
    trace = sparse_trace(wait_ns=0, think_ns=1_000_000)
    factors = gaps_ns(replay("direct_map", trace, jitter_percent=PERCENT)) / 1e6 - 1
    limit = PERCENT / 100
    assert abs(factors).max() <= limit
    # Of n uniform draws the mean has the standard deviation limit / sqrt(3 n), and the largest is near limit.
    assert abs(factors.mean()) < 4 * limit / math.sqrt(3 * len(factors))
    assert factors.max() > 0.99 * limit
    assert factors.min() < -0.99 * limit
    assert np.std(factors) == pytest.approx(limit / math.sqrt(3), rel=0.05)


def test_think_and_wait_are_scaled_apart_and_nothing_stays_nothing():
    for still, moved in (("think_ns", "wait_ns"), ("wait_ns", "think_ns")):
        trace = sparse_trace(**{still: 0})
        found = gaps_ns(replay("direct_map", trace, jitter_percent=PERCENT))
        recorded = trace[moved][TASKS:]
        assert (abs(found - recorded) <= recorded * PERCENT / 100 + 0.5).all()
        assert (found[recorded == 0] == 0).all()
        assert (found != recorded).mean() > 0.9


@LOOPS
def test_designs_meet_the_same_times_with_one_seed_and_others_with_another(loop):
    trace = sparse_trace()
    by_seed = []
    for seed in (1, 2):
        how = {"seed": seed, "jitter_percent": 0.5, "loop": loop}
        first, other = (gaps_ns(replay(design, trace, **how)) for design in ("direct_map", "global_pool"))
        assert (first == other).all()
        by_seed.append(first)
    assert (by_seed[0] != by_seed[1]).any()


def test_a_timed_row_comes_when_its_own_think_and_wait_let_it():
    trace = sparse_trace()
    outcome = replay("direct_map", trace, jitter_percent=PERCENT, loop=TIMED)
    early_ns = trace.time_ns - outcome.operations["asked_ns"]
    assert (abs(early_ns) <= (trace.think_ns + trace.wait_ns) * PERCENT / 100 + 1).all()
    assert early_ns.max() > 1_000
    assert early_ns.min() < -1_000


def test_no_time_becomes_negative_at_the_most_jitter_there_is():
    trace = sparse_trace(time_ns=np.arange(2_000))
    outcome = replay("direct_map", trace, jitter_percent=100.0, loop=TIMED)
    assert outcome.operations["asked_ns"].min() >= 0


@LOOPS
def test_neither_reading_ahead_nor_compiling_changes_what_jitter_does(loop):
    chance = np.random.default_rng(4)
    trace = sparse_trace(time_ns=np.sort(chance.integers(0, 20_000_000, 2_000)))
    how = {"jitter_percent": 20.0, "seed": 7, "loop": loop, "options": {"slots": "16"}}
    profile = load_profile("smp4-2002")
    whole = simulate("global_pool", profile, trace, **how)
    assert simulate("global_pool", profile, trace, chunk_rows=16, **how).fingerprint == whole.fingerprint
    nested = nested_trace()
    whole_nested = simulate("global_pool", profile, nested, levels=2, **how)
    parts = simulate("global_pool", profile, nested, levels=2, chunk_rows=7, **how)
    assert parts.fingerprint == whole_nested.fingerprint
    assert simulate("global_pool", profile, trace, compiled=True, **how).fingerprint == whole.fingerprint


def nested_trace(pairs: int = 400) -> Rows:
    """Mappings in which the task computes, waits and maps a second page; nothing else is within the first."""
    inner = np.arange(2 * pairs) % 2 == 1
    return rows(
        2 * pairs,
        task=np.repeat(np.arange(pairs) % TASKS, 2),
        time_ns=1_000_000 + 100_000 * np.repeat(np.arange(pairs), 2) + 13_000 * inner,
        page=np.arange(2 * pairs),
        depth=inner,
        think_ns=np.where(inner, 3_000, 20_000),
        wait_ns=10_000,
        hold_ns=np.where(inner, 500, 3_500),
        block_ns=np.where(inner, 0, 10_000),
    )


@LOOPS
@pytest.mark.parametrize("design", ["direct_map", "atomic"])
def test_what_is_nested_in_a_mapping_moves_with_it(loop: int, design: str) -> None:
    trace = nested_trace()
    still, moved = (
        replay(design, trace, jitter_percent=percent, loop=loop, levels=2) for percent in (0.0, 100.0)
    )
    assert not len(moved.of_kind(E_FINDING))
    order = np.argsort(moved.operations["op"])
    asked = moved.operations["asked_ns"][order]
    recorded = still.operations["asked_ns"][np.argsort(still.operations["op"])]
    assert (asked != recorded).mean() > 0.9
    assert (asked[1::2] - asked[::2] == recorded[1::2] - recorded[::2]).all()
