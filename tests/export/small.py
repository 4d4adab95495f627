"""A run of two operations that shows everything: task 0 flushes while task 1 spins; then task 1 sleeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.sql.handmade import make_run

OPERATIONS: list[dict[str, Any]] = [
    {
        "op": 0, "task": 0, "page": 7, "slot": 3, "cpu_map": 0, "cpu_unmap": 0, "served": "miss",
        "asked_ns": 10, "locked_ns": 10, "map_hold_ns": 50, "mapped_ns": 65, "scanned": 4, "probed": 2,
        "unmap_asked_ns": 100, "unmap_hold_ns": 12, "done_ns": 115,
    },
    {
        "op": 1, "task": 1, "page": 8, "slot": 3, "cpu_map": 0, "cpu_unmap": 0, "served": "hit",
        "kind": "copy_to_user", "asked_ns": 15, "locked_ns": 62, "map_wait_ns": 47, "map_hold_ns": 8,
        "mapped_ns": 130, "unmap_asked_ns": 150, "unmap_hold_ns": 3, "done_ns": 154, "sleeps": 1,
        "asleep_ns": 41, "holder": 0, "flush_op": 0,
    },
]  # fmt: skip
# Task 1 asks on CPU 1 and, after its sleep, runs on CPU 0.
EVENTS: list[dict[str, Any]] = [
    {"event": "switch", "time_ns": 0, "duration_ns": 5, "cpu": 0, "task": 0, "op": 0},
    {"event": "switch", "time_ns": 0, "duration_ns": 5, "cpu": 1, "task": 1, "op": 1},
    {"event": "scan", "time_ns": 10, "duration_ns": 20, "cpu": 0, "task": 0, "op": 0, "value": 4, "other": 3},
    {"event": "flush", "time_ns": 30, "duration_ns": 25, "cpu": 0, "task": 0, "op": 0, "value": 1},
    {"event": "ipi", "time_ns": 35, "duration_ns": 9, "cpu": 1, "task": 1, "op": 0, "other": 0},
    {"event": "sleep", "time_ns": 68, "duration_ns": 41, "cpu": 1, "task": 1, "op": 1, "value": 0,
     "other": 0},
    {"event": "wake", "time_ns": 109, "duration_ns": 2, "cpu": 0, "task": 0, "op": 0, "value": 1, "other": 0},
    {"event": "switch", "time_ns": 115, "duration_ns": 5, "cpu": 0, "task": 1, "op": 1, "other": 0},
    {"event": "relock", "time_ns": 122, "duration_ns": 6, "cpu": 0, "task": 1, "op": 1, "site": 0,
     "wait_ns": 0, "lock": 0},
]  # fmt: skip


def _stretches() -> list[dict[str, Any]]:
    rows = [
        (0, "switch", 0, 5, 0, 0), (0, "compute", 5, 10, 0, 0), (0, "scan", 10, 30, 0, 0),
        (0, "flush", 30, 55, 0, 0), (0, "critical", 55, 65, 0, 0), (0, "in_use", 65, 100, 0, 0),
        (0, "critical", 100, 115, 0, 0), (0, "switch", 115, 120, 1, 1), (0, "critical", 120, 122, 1, 1),
        (0, "critical", 122, 130, 1, 1), (0, "in_use", 130, 150, 1, 1), (0, "critical", 150, 154, 1, 1),
        (1, "switch", 0, 5, 1, 1), (1, "compute", 5, 15, 1, 1), (1, "spin", 15, 62, 1, 1),
        (1, "critical", 62, 70, 1, 1), (1, "idle", 70, 154, -1, -1),
    ]  # fmt: skip
    names = ("cpu", "category", "begin_ns", "end_ns", "task", "op")
    return [dict(zip(names, row, strict=True)) for row in rows]


STRETCHES = _stretches()
"""What its two CPUs did."""


def small_run(directory: Path, label: str = "a", **changes: Any) -> Path:
    return make_run(directory, label, OPERATIONS, EVENTS, **{"stretches": STRETCHES} | changes)
