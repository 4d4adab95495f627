"""Simulated time has an end, and no sum of times wraps around before it: a run is right, or it is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.allocators.registry import load_allocator, shipped_allocators
from pipeline.machine import in_memory
from pipeline.machine.engine import records
from pipeline.machine.profile import load_profile
from tests.machine.runs import machine, rows, simulate

HOUR_NS = 3600 * 10**9

OVERCOUNTS = """\
from pipeline.allocators.api.actions import DONE
from pipeline.allocators.api.effects import scan, touch

SUMMARY = "one that counts more than anything has"


def map_step(a, r, d):
    for _ in range(3):
        touch(d, 1 << 62)
        scan(d, 1 << 62, 1 << 62)
    return DONE


def unmap_step(a, r, d):
    return DONE
"""


@pytest.mark.parametrize("compiled", [False, True], ids=["plain", "compiled"])
@pytest.mark.parametrize("name", sorted(shipped_allocators()))
def test_tasks_that_block_longer_than_simulated_time_are_refused_or_replayed_right(
    name: str, compiled: bool
) -> None:
    allocator = load_allocator(name)
    has_slots = any(option.name == "slots" for option in allocator.options)
    tasks = np.arange(90)
    out = simulate(
        allocator,
        load_profile("modern-x86-64").with_cpus(4),
        rows(90, task=tasks, page=tasks, block_ns=HOUR_NS),
        options={"slots": "2"} if has_slots else {},
        compiled=compiled,
    )
    assert 0 <= out.wall_ns < records.END_OF_TIME_NS
    assert (
        min(out.totals["asleep_ns"], out.totals["map_ns"], out.spent.min(), out.sites["wait_ns"].min()) >= 0
    )
    if out.status == records.S_FINISHED:
        # Nothing but the blocking takes long.
        assert 0 < out.wall_ns % HOUR_NS < HOUR_NS // 100
    else:
        # Two at a time would take 45 hours.
        assert (out.status, has_slots) == (records.S_TOO_LONG, True)


def test_a_timer_past_the_end_of_time_is_a_timer_for_the_last_task_too(tmp_path: Path) -> None:
    last = (1 << records.TASK_BITS) - 1
    trace = rows(2, task=last, wait_ns=(1 << 46) - 1)
    assert simulate("direct_map", machine(tmp_path, 1), trace).status == records.S_TOO_LONG


def test_more_than_anything_has_is_counted_as_too_long_a_step(tmp_path: Path) -> None:
    path = tmp_path / "overcounts.py"
    path.write_text(OVERCOUNTS)
    dear = machine(tmp_path, 2, **dict.fromkeys(("shared_entry_ns", "scan_slot_ns", "free_slot_ns"), 10**9))
    # Not by `runs.simulate`: what lasts beyond the end is booked in no category yet.
    out = in_memory.simulate(load_allocator(str(path)), dear, rows(2, task=[0, 1]))
    assert out.status == records.S_TOO_LONG
    assert out.totals["scanned"] > 0
