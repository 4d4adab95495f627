"""Device and timer interrupts: however many reach a CPU that waits, no event is long, and work gets on."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import InputError, UsageError
from pipeline.machine.engine import records
from pipeline.machine.engine.accounting import draw
from pipeline.machine.in_memory import free_machine
from pipeline.machine.interrupt_load import mean_interrupt_ns
from tests.machine.runs import machine, rows, simulate

PRICES = {"interrupt_gap_ns": 5_000, "interrupt_ns": 100, "interrupt_max_ns": 20_000, "switch_ns": 10}
FLUSHES = {"ipi_send_ns": 10, "ipi_latency_ns": 300, "ipi_handler_ns": 300, "shared_entry_ns": 50}


@pytest.mark.parametrize("allocator", ["global_pool", "direct_map"])
def test_when_waiting_cpus_take_their_interrupts_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allocator: str
) -> None:
    number = np.arange(60)
    trace = rows(
        60,
        task=number % 8,
        think_ns=number * 7_777 % 90_000,
        wait_ns=number * 17_777 % 900_000 * (number % 3),
        hold_ns=9_000,
        page=number * number % 50,
    )
    found = []
    for bits in (0, 3, 30):
        monkeypatch.setattr(records, "CATCH_UP_BITS", bits)
        options = {"slots": "16"} if allocator == "global_pool" else {}
        how = PRICES | FLUSHES
        out = simulate(allocator, machine(tmp_path, 4, **how), trace, options=options, compiled=False)
        found.append((out.fingerprint, out.wall_ns, out.spent.tolist()))
    assert all(one == other for one, other in pairwise(found))


def test_a_wait_of_an_hour_is_simulated_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "CATCH_UP_BITS", 4)
    calls: list[object] = []
    trace = rows(4, task=[0, 1, 0, 1], wait_ns=100 * 16 * 5_000)
    simulate("direct_map", machine(tmp_path, 2, **PRICES), trace, compiled=False, observe=calls.append)
    assert len(calls) > 90


def test_the_mean_length_is_that_of_what_is_drawn() -> None:
    drawn = [min((100 << 16) // (draw(1, 3, 0, turn) + 1), 20_000) for turn in range(4_000)]
    assert mean_interrupt_ns(100, 20_000) == pytest.approx(np.mean(drawn), rel=0.1)


@pytest.mark.parametrize(
    ("prices", "said"),
    [
        ({"interrupt_gap_ns": 999}, "cost interrupt_gap_ns: expected 0 or at least 1,000 ns, found 999"),
        (
            {"interrupt_gap_ns": 1_000, "interrupt_ns": 901, "interrupt_max_ns": 901},
            "at most 90% of a CPU's time, found one every 1,000 ns that takes 901 ns on average",
        ),
        (
            {"interrupt_gap_ns": 5_000, "interrupt_ns": 1_000, "interrupt_max_ns": 1_000_000},
            "found one every 5,000 ns that takes 7,9",
        ),
    ],
)
def test_interrupts_that_leave_no_time_for_work_are_refused(
    tmp_path: Path, prices: dict[str, int], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        free_machine(2).with_costs(prices)
    with pytest.raises(InputError, match=f"machine.toml: .*{said}"):
        machine(tmp_path, 2, **prices)


def test_interrupts_that_leave_some_time_are_not(tmp_path: Path) -> None:
    half = {"interrupt_gap_ns": 1_000, "interrupt_ns": 900, "interrupt_max_ns": 900}
    out = simulate("direct_map", machine(tmp_path, 2, **half), rows(2, think_ns=100_000), compiled=False)
    assert 500_000 < out.wall_ns < 4_000_000
