"""A run in which a task is left asleep beside a slot it could have says so, and ends."""

from __future__ import annotations

from pathlib import Path

from tests.machine.runs import mutate_allocator
from tests.runs.made import replayed, storm_trace

NOBODY_IS_WOKEN = {"WAKE if slot.count == 1 and a.queues[s].sleepers > 0 else END": "END"}


def test_a_lost_wakeup_is_a_finding_of_the_run(tmp_path: Path) -> None:
    broken = mutate_allocator(tmp_path, "forgetful", NOBODY_IS_WOKEN, "global_pool")
    trace, how = storm_trace(tmp_path), {"options": {"slots": "32"}, "cpus": 8}
    findings = replayed(trace, tmp_path / "runs", str(broken.path), **how).manifest.findings
    assert [finding.finding for finding in findings] == ["deadlock", "lost_wakeup"]
    assert "slots are not in use" in findings[1].message
    sound = replayed(trace, tmp_path / "runs", **how).manifest
    assert sound.findings == []
    assert sound.totals.sleeps > 0
