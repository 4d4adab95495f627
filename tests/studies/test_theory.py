"""Every comparison with theory holds, and each can fail if the engine is wrong."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.allocators.registry import load_allocator
from pipeline.machine import compose, in_memory
from pipeline.machine.engine import records
from pipeline.machine.profile import load_profile
from pipeline.studies.theory import arbitration, experiments, irm, laws, ties
from pipeline.studies.theory.check import Check, statistical_tolerance
from pipeline.studies.theory.closed_queues import (
    asymptotic_bound,
    constant_service,
    machine_repairman,
)
from pipeline.studies.theory.runs import mixed_rows, replay_rows
from pipeline.studies.theory.theory_page import EXPERIMENTS, describe_checks
from tests.mutate import count, mutate


@pytest.fixture(scope="module", params=EXPERIMENTS)
def found(request: pytest.FixtureRequest) -> list[Check]:
    return list(EXPERIMENTS[request.param]())


def failing(checks: Iterator[Check]) -> set[str]:
    """Quantities of the checks that fail."""
    return {check.what for check in checks if not check.holds}


def test_what_was_simulated_is_what_theory_says(found: list[Check]) -> None:
    assert found
    assert failing(iter(found)) == set()


def test_a_prediction_that_is_off_by_an_eighth_is_refused(found: list[Check]) -> None:
    for check in found:
        if check.at_most:
            assert not replace(check, predicted=check.simulated / 1.125).holds
        elif check.predicted:
            assert not replace(check, predicted=check.predicted * 1.125).holds
            assert not replace(check, predicted=check.predicted / 1.125).holds
        else:
            assert not replace(check, simulated=1).holds


def test_the_section_has_a_line_for_every_quantity_and_names_what_fails(found: list[Check]) -> None:
    text = describe_checks(found)
    assert text.startswith("## Theory\n")
    assert "all of which hold" in text
    quantities = {(check.name, check.what) for check in found}
    assert sum(line.endswith("| holds |") for line in text.splitlines()) == len(quantities)
    wrong = [replace(found[0], simulated=2 * found[0].predicted + 1), *found[1:]]
    assert "of which 1 fails" in describe_checks(wrong)
    assert sum(line.endswith("| FAILS |") for line in describe_checks(wrong).splitlines()) == 1


def check(predicted: float, simulated: float, tolerance: float, **more: bool) -> Check:
    return Check("name", "what", predicted, simulated, "ns", tolerance=tolerance, **more)


def test_a_check_holds_within_its_tolerance_and_only_if_that_is_narrow() -> None:
    assert check(100, 103, 3).holds
    assert not check(100, 103.1, 3).holds
    assert not check(100, 96.9, 3).holds
    assert not check(100, 100, 6).holds, "a tolerance of 6 % would let anything pass"
    assert not check(100, float("nan"), 3).holds
    assert not check(float("nan"), 100, 3).holds
    assert check(0, 0, 0).holds
    assert not check(0, 1, 0).holds


def test_a_bound_holds_from_below_only() -> None:
    assert check(100, 10, 1, at_most=True).holds
    assert not check(100, 101.1, 1, at_most=True).holds


# The formulas, where they can be worked out by hand.


def test_one_customer_never_waits() -> None:
    for exact in (constant_service(1, 700, 300), machine_repairman(1, 1, 700, 300)):
        assert exact.throughput == pytest.approx(1 / 1_000)
        assert exact.wait_ns == pytest.approx(0, abs=1e-9)
    assert asymptotic_bound(1, 700, 300) == 1 / 1_000


def test_two_machines_and_a_repairman_as_worked_out_by_hand() -> None:
    # States 0, 1, 2 down have weights 1, 2, 2 where repairs take as long as machines last.
    exact = machine_repairman(2, 1, 100, 100)
    assert exact.throughput == pytest.approx(4 / 5 / 100)
    assert exact.waiting == pytest.approx(2 / 5)
    # With fixed repairs the other machine asks before the end with probability 1 - 1/e.
    exact = constant_service(2, 100, 100)
    assert exact.throughput == pytest.approx(1 / (100 + np.exp(-1) * 50))


def references_by_brute_force(probability: np.ndarray, slots: int) -> float:
    """Mean references of a cycle, from the chain of all sets of pages that can be cached."""
    pages = range(len(probability))
    states = [frozenset(s) for k in range(1, slots + 1) for s in itertools.combinations(pages, k)]
    number = {state: k for k, state in enumerate(states)}
    chain = np.zeros((len(states), len(states)))
    for state in states:
        for page in pages:
            grown = state | {page}
            after = grown if len(grown) <= slots else frozenset({page})
            chain[number[state], number[after]] += probability[page]
    balance = np.vstack([chain.T - np.eye(len(states)), np.ones(len(states))])
    stationary = np.linalg.lstsq(balance, np.r_[np.zeros(len(states)), 1], rcond=None)[0]
    missed = sum(p * (1 - sum(probability[list(s)])) for s, p in zip(states, stationary, strict=True))
    return slots / missed


@pytest.mark.parametrize(("pages", "slots", "skew"), [(6, 3, 1.0), (8, 4, 0.7), (9, 2, 1.2), (8, 4, 0.0)])
def test_a_cycle_is_as_long_as_the_chain_of_all_cached_sets_says(pages: int, slots: int, skew: float) -> None:
    probability = irm.zipf(pages, skew)
    exact = references_by_brute_force(probability, slots)
    assert irm.mean_references(probability, slots) == pytest.approx(exact, rel=1e-5)
    # The usual approximation is far off in pools as small as these.
    assert abs(irm.characteristic_references(probability, slots) / exact - 1) > 0.05


def test_pages_that_all_fit_have_no_cycle() -> None:
    with pytest.raises(ValueError, match="8 pages fit into 8 slots"):
        irm.mean_references(irm.zipf(8, 1.0), 8)


# Wrong theory, and wrong inputs.


def test_theory_of_another_hold_or_of_random_holds_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiments, "LOCKS", ((8, 7_000),))
    monkeypatch.setattr(experiments, "constant_service", lambda n, z, s: machine_repairman(n, 1, z, s))
    monkeypatch.setattr(experiments, "machine_repairman", lambda n, c, z, s: constant_service(n, z, s))
    monkeypatch.setattr(experiments, "asymptotic_bound", lambda n, z, s: asymptotic_bound(n, z, 1.2 * s))
    refused = failing(experiments.lock_checks())
    assert refused == {
        f"{what}, P = 8, Z = 7 µs" for what in ("throughput", "mean wait", "upper bound of throughput")
    }


def test_a_pool_of_one_slot_more_and_one_wrap_more_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiments, "CACHES", ((16, 1.0), (64, 0.7)))
    monkeypatch.setattr(experiments, "mean_references", lambda p, n: irm.mean_references(p, n + 1))
    assert len(failing(experiments.hit_rate_checks())) == 2
    monkeypatch.setattr(experiments, "average_cost_of", lambda m, n, f: 1 + (m // n + 1) * (1 + f) / m)
    assert len(failing(experiments.cost_checks())) == len(experiments.WRAPPED_SLOTS)


# Broken engines.

Break = Callable[[str, str], None]


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Break:
    """A function that replaces a snippet of the engine, for this test and uncompiled runs."""
    copy = tmp_path / "engine"
    shutil.copytree(Path(records.__file__).parent, copy)
    original = compose._file_of

    def file_in_copy(module: str) -> Path:
        package, _, name = module.rpartition(".")
        return copy / f"{name}.py" if package == compose._ENGINE else original(module)

    monkeypatch.setattr(compose, "_file_of", file_in_copy)
    # Sources are read once for each allocator elsewhere.
    monkeypatch.setattr(compose, "_sources", compose._sources.__wrapped__)
    monkeypatch.setattr(compose, "_facts", compose._facts.__wrapped__)
    monkeypatch.setattr(in_memory, "compose", compose.compose.__wrapped__)

    def replace_in_engine(old: str, new: str) -> None:
        (path,) = (path for path in copy.glob("*.py") if count(path.read_text(), old))
        path.write_text(mutate(path.read_text(), {old: new}))

    return replace_in_engine


def watched(allocator: str, **sizes: str) -> laws.Watched:
    trace = mixed_rows(8, 6, nested=False)
    return laws.watch_run(load_allocator(allocator), load_profile("smp4-2002"), trace, sizes, compiled=False)


def test_the_sound_engine_passes_where_broken_ones_are_refused(broken: Break) -> None:
    run = watched("global_pool", slots="3")
    assert failing(laws.little_checks_of(run)) == failing(laws.conservation_checks_of(run)) == set()
    assert orders_that_change_nothing() == 3


def test_a_sleep_booked_too_long_breaks_littles_law(broken: Break) -> None:
    broken("slept_ns = t - tk.since_ns", "slept_ns = t - tk.since_ns + 1")
    assert failing(laws.little_checks_of(watched("global_pool", slots="3"))) == {laws.ASLEEP}


def test_a_spin_that_is_booked_too_short_breaks_littles_law(broken: Break) -> None:
    broken("wait = t - cpu.asked_ns", "wait = (t - cpu.asked_ns) // 2")
    assert laws.SPINNING in failing(laws.little_checks_of(watched("global_pool", slots="3")))


def test_a_task_ready_that_is_timed_wrongly_breaks_littles_law(broken: Break) -> None:
    broken("    tk.state = records.T_READY\n    tk.since_ns = t\n", "    tk.state = records.T_READY\n")
    assert laws.READY in failing(laws.little_checks_of(watched("direct_map")))


def test_a_pinned_wait_that_is_not_counted_breaks_littles_law(broken: Break) -> None:
    broken("m.pin_wait_ns += waited", "m.pin_wait_ns += waited // 2")
    refused = failing(laws.little_checks_of(watched("percpu_pinned", slots_per_cpu="1")))
    assert refused == {"pinned and ready time: totals and tasks"}


def test_time_that_is_booked_twice_or_to_the_wrong_category_breaks_conservation(broken: Break) -> None:
    broken("        spent -= parts\n", "")
    assert "sum of a CPU's categories" in failing(
        laws.conservation_checks_of(watched("global_pool", slots="3"))
    )
    broken("_stretch(w, c, records.P_USE, codes.C_IN_USE", "_stretch(w, c, records.P_USE, codes.C_COMPUTE")
    assert {"time in category compute", "time in category in_use"} <= failing(
        laws.conservation_checks_of(watched("global_pool", slots="3"))
    )


def test_a_flush_without_its_refill_breaks_the_average_cost(
    broken: Break, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(experiments, "WRAPPED_SLOTS", (64,))
    monkeypatch.setattr(experiments, "replay_rows", partial(replay_rows, compiled=False))
    assert failing(experiments.cost_checks()) == set()
    broken("end = max(last, sent + flush_ns) + refill_ns", "end = max(last, sent + flush_ns)")
    assert len(failing(experiments.cost_checks())) == 2


def orders_that_change_nothing() -> int:
    """Number of three row orders, read row by row, with which a plain run of a lock gives the same log."""
    trace = ties.rows_on_a_grid()[: 10 * ties.TASKS]
    run = partial(ties.run, *ties.ALLOCATORS[0], loop=records.CLOSED, compiled=False)
    base = run(trace)
    orders = [ties.shuffle_ties(trace, seed) for seed in range(3)]
    return sum(ties.same_log(base, run(trace[order], chunk_rows=1), order) for order in orders)


def test_timers_that_go_by_creation_where_times_are_equal_are_refused(broken: Break) -> None:
    broken("    _play(w.timers, w.machine[0].timer_leaves + task, (t <<", "    _play_timer(w, task, (t <<")
    broken(
        "    tree[at] = key\n    while at > 1:\n",
        """    tree[at] = key
    while at > 1:
        key = min(key, tree[at ^ 1])
        at >>= 1
        tree[at] = key


def _play_timer(w, task, key):
    tree = w.timers
    at = w.machine[0].timer_leaves + task
    tree[at] = key
    while at > 1:
        key = min(key, tree[at ^ 1], key=lambda timer: timer >> records.TASK_BITS)
        at >>= 1
        tree[at] = key
    while at > 1:
""",
    )
    assert orders_that_change_nothing() < 3


def test_a_lock_that_forgets_its_last_waiter_is_refused(broken: Break) -> None:
    trace = mixed_rows(arbitration.TASKS, 3, nested=False)
    prices = arbitration.EXTREMES["interrupts while waiting"]
    sound = arbitration.unfair_run("one_lock", trace, prices, 0, compiled=False)
    assert arbitration.served(sound) == len(trace)
    assert sound.sites["contended"].sum() > len(trace) // 10
    broken("    if lock.spinners > 0:\n", "    if lock.spinners > 1:\n")
    outcome = arbitration.unfair_run("one_lock", trace, prices, 0, compiled=False)
    assert arbitration.served(outcome) == 0


PRICE_NS = st.integers(0, 10_000)
PERCENT = st.integers(0, 100)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    allocator=st.sampled_from(("one_lock", "global_pool")),
    seed=st.integers(0, (1 << 63) - 1),
    rows_seed=st.integers(0, 3),
    prices=st.fixed_dictionaries(
        {
            "shared_entry_ns": PRICE_NS, "handoff_local_ns": PRICE_NS, "handoff_remote_ns": PRICE_NS,
            "handoff_per_spinner_ns": PRICE_NS, "hold_per_spinner_ns": PRICE_NS,
            "handoff_spread_percent": PERCENT, "barging_percent": PERCENT, "switch_ns": PRICE_NS,
        }
    ),
)  # fmt: skip
def test_an_unfair_lock_serves_every_waiter_whatever_its_prices(
    allocator: str, seed: int, rows_seed: int, prices: dict[str, int]
) -> None:
    trace = mixed_rows(arbitration.TASKS, 6, nested=False, seed=rows_seed)
    outcome = arbitration.unfair_run(allocator, trace, prices, seed)
    assert arbitration.served(outcome) == len(trace)
    got = int(outcome.sites["acquisitions"].sum())
    assert got == arbitration.expected_acquisitions(allocator, trace, outcome)
    assert not outcome.unbooked_ns.any()


def test_a_run_without_chance_is_compared_to_a_billionth() -> None:
    assert statistical_tolerance(1e6, 0.0) == 1e-3
