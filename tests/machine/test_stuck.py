"""An allocator under which no operation ends is stopped, however its rows come to the engine."""

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
