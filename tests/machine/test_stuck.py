"""An allocator under which no operation ends is stopped, however it goes on; a long computation is not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.allocators.registry import load_allocator
from pipeline.errors import InputError
from tests.machine.runs import machine, rows, simulate

NEVER_DONE = """\
from pipeline.allocators.api.actions import STEP
from pipeline.allocators.api.effects import touch

SUMMARY = "one that never ends a map"


def map_step(a, r, d):
    touch(d, 1)
    return STEP


def unmap_step(a, r, d):
    return STEP
"""

# Within one event: nothing that they do takes time.
FREE_STEPS = NEVER_DONE.replace("    touch(d, 1)\n", "")
FREE_WAKES = FREE_STEPS.replace("STEP", "WAKE_ALL")
FREE_FINDINGS = NEVER_DONE.replace("touch", "report_finding")
UNKNOWN_ACTION = FREE_STEPS.replace("return STEP", "return 99")
# Its log fills a buffer more often than a budget of events passes.
FILLS_THE_LOG = NEVER_DONE.replace("touch(d, 1)", "scan(d, 1, 0)").replace("touch", "scan")


@pytest.mark.parametrize("budget_events", [None, 1])
def test_an_allocator_that_never_ends_an_operation_is_stopped_in_memory_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, budget_events: int | None
) -> None:
    path = tmp_path / "never.py"
    path.write_text(NEVER_DONE)
    monkeypatch.setattr("pipeline.machine.drive.STUCK_BUDGETS", 2)
    free = machine(tmp_path, 1, shared_entry_ns=5)
    said = f"^{re.escape(str(path))}: no operation was completed in the last 4,000 events; "
    with pytest.raises(InputError, match=said):
        simulate(load_allocator(str(path)), free, rows(3), budget_events=budget_events)


@pytest.mark.parametrize("source", [FREE_STEPS, FREE_WAKES, FREE_FINDINGS, UNKNOWN_ACTION, FILLS_THE_LOG])
def test_an_allocator_that_goes_on_at_no_cost_or_fills_the_log_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    path = tmp_path / "never.py"
    path.write_text(source)
    monkeypatch.setattr("pipeline.machine.drive.STUCK_BUDGETS", 2)
    free = machine(tmp_path, 1, scan_slot_ns=5)
    with pytest.raises(
        InputError, match=r"never\.py: no operation was completed in the last \d,\d+ events; "
    ):
        simulate(load_allocator(str(path)), free, rows(3), log_rows=512)


def test_steps_without_cost_may_be_many_and_end(tmp_path: Path) -> None:
    path = tmp_path / "patient.py"
    counts_steps = "    r.step += 1\n    return DONE if r.step > 1000 else STEP\n"
    path.write_text(
        FREE_STEPS.replace("import STEP", "import DONE, STEP").replace("    return STEP\n", counts_steps)
    )
    patient = load_allocator(str(path))
    whole, bit_by_bit = (
        simulate(patient, machine(tmp_path, 2), rows(4, task=[0, 1, 0, 1]), budget_events=budget)
        for budget in (None, 1)
    )
    assert whole.totals["operations"] == 4
    assert whole.fingerprint == bit_by_bit.fingerprint


def test_a_computation_of_many_time_slices_and_interrupts_is_not_taken_for_an_endless_map(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.machine.drive.STUCK_BUDGETS", 2)
    slow = machine(
        tmp_path,
        2,
        timeslice_ns=1000,
        interrupt_gap_ns=5000,
        interrupt_ns=10,
        interrupt_max_ns=100,
        switch_ns=10,
    )
    out = simulate("direct_map", slow, rows(4, task=[0, 1, 2, 3], think_ns=20_000_000, hold_ns=9_000_000))
    assert out.totals["operations"] == 4
