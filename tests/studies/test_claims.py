"""The conditions of the shipped claims, with figures of runs that nobody made."""

from __future__ import annotations

from tests.studies.made import outcome


def storm(tasks: int, passes: int, freed: int) -> dict[str, int]:
    """Faults of so many tasks over 10 slots; each pass frees `freed`."""
    return {"tasks": tasks, "misses": 1000, "scans": passes, "scanned": 10 * passes, "freed": freed * passes}


def test_each_step_to_more_tasks_must_make_passes_more_frequent_and_less_useful():
    first, most = storm(64, 50, 9), storm(1536, 400, 1)
    assert outcome("pinned_slots", [first, storm(512, 70, 6), most]) == "holds"
    assert outcome("pinned_slots", [first, storm(512, 40, 6), most]) == "depends"
    assert outcome("pinned_slots", [first, storm(512, 70, 9), most]) == "depends"
    assert outcome("pinned_slots", [storm(64, 400, 6), storm(1536, 50, 9)]) == "does not hold"
    assert outcome("pinned_slots", [first, storm(1536, 400, 5)]) == "depends"
