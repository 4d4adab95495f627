"""Timelines of real replays nest, and their slices add up to the runs' totals, to the nanosecond."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.export.export import export
from pipeline.runs.finished import RunResult
from pipeline.sql.session import open_session
from tests.export.reading import chrome, perfetto
from tests.runs.made import build_trace, replayed, storm_trace
from tests.trace.small import as_arrays, writer

# Slices of one kind on one group of tracks, and the sum that they must come to, in SQL.
SUMS = [
    ("CPUs", "lock wait", "SELECT sum(wait_ns) FROM lock_totals"),
    ("Tasks", "lock wait", "SELECT sum(wait_ns) FROM lock_totals"),
    ("CPUs", "hold", "SELECT sum(hold_ns) FROM lock_totals"),
    ("Lock", "hold", "SELECT sum(hold_ns) FROM lock_totals"),
    ("CPUs", "scan", "SELECT sum(duration_ns) FROM scans"),
    ("CPUs", "flush", "SELECT sum(duration_ns) FROM flushes"),
    ("CPUs", "switch", "SELECT sum(duration_ns) FROM events WHERE event = 'switch'"),
    ("CPUs", "unmap", "SELECT sum(done_ns - unmap_asked_ns) FROM operations"),
    ("CPUs interrupted", "ipi", "SELECT sum(duration_ns) FROM events WHERE event = 'ipi'"),
    ("Tasks", "operation", "SELECT sum(done_ns - asked_ns) FROM operations"),
    ("Tasks", "map", "SELECT map_ns FROM runs"),
    ("Tasks", "asleep", "SELECT asleep_ns FROM runs"),
    ("Tasks", "pin wait", "SELECT pin_wait_ns FROM runs"),
]


def nested_trace(directory: Path) -> Path:
    """Twelve tasks, each with a mapping inside a mapping inside a mapping."""
    path = directory / "nested.parquet"
    count, depths = 12, 3
    rows = {
        "time_ns": [d * 5_000 + t for d in range(depths) for t in range(count)],
        "task": [t for _ in range(depths) for t in range(count)],
        "process": [0] * (count * depths),
        "cpu": [None] * (count * depths),
        "kind": ["copy_to_user"] * (count * depths),
        "page": [100 * d + t for d in range(depths) for t in range(count)],
        "bytes": [None] * (count * depths),
        "think_ns": [5_000] * (count * depths),
        "wait_ns": [0] * (count * depths),
        "hold_ns": [(3 - d) * 10_000 for d in range(depths) for _ in range(count)],
        "block_ns": [20_000] * (count * depths),
        "depth": [d for d in range(depths) for _ in range(count)],
    }
    with writer(path) as out:
        out.write(as_arrays(rows))
    return path


# How a run is made, and what it must have more than twenty of to show what it is here for.
RUNS = {
    "a lock": (lambda d: build_trace(d, 1_500), "global_pool", {"options": {"slots": 32}}, ["ipis"]),
    "a pool per CPU": (lambda d: storm_trace(d, 400), "percpu_pinned", {}, ["pin_waits", "sleeps"]),
    "sleeps": (lambda d: storm_trace(d, 200), "global_pool", {"options": {"slots": 16}}, ["sleeps", "ipis"]),
    "nested maps": (nested_trace, "kmap_local", {}, ["operations"]),
    "nothing to do": (lambda d: build_trace(d, 300), "direct_map", {}, ["operations"]),
}


def plainly(trace: Path, directory: Path, allocator: str, **changes: Any) -> RunResult:
    """A replay that is over before its design would be compiled."""
    settings: dict[str, Any] = {"events": "stretches", "compiled": False} | changes
    return replayed(trace, directory / "runs", allocator, **settings)


@pytest.mark.parametrize("which", RUNS)
def test_slices_of_a_replay_nest_and_add_up(tmp_path, which):
    make_trace, allocator, changes, shows = RUNS[which]
    run = plainly(make_trace(tmp_path), tmp_path, allocator, **changes)
    size = export(run.path, "perfetto", tmp_path / "t.pftrace").timeline
    timeline = perfetto(tmp_path / "t.pftrace")
    totals = run.manifest.totals
    assert all(getattr(totals, shown) > 20 for shown in shows)
    assert size.cut == 0
    with open_session([run.path]) as session:
        for group, category, sql in SUMS:
            assert timeline.sum_ns(group, category) == (session.query(sql).item() or 0), (group, category)
    assert [a.category for a, _ in timeline.arrows].count("flush") == totals.ipis
    assert [a.category for a, _ in timeline.arrows].count("wake") == totals.woken
    assert len(timeline.of("Tasks", "operation")) == totals.operations
    # What happens under map and unmap code lies within it, and only that.
    inner = {"lock wait", "hold", "scan", "flush", "local flush", "wake"}
    assert all((s.depth > 0) == (s.category in inner) for s in timeline.slices if s.group == "CPUs")
    assert max(v for _, v in timeline.counters["mappings in force"]) <= totals.max_mapped
    export(run.path, "chrome", tmp_path / "t.json")
    assert chrome(tmp_path / "t.json").picture() == timeline.picture()


def test_nested_maps_lie_within_the_use_of_the_outer_one(tmp_path):
    run = plainly(nested_trace(tmp_path), tmp_path, "percpu_pinned")
    export(run.path, "perfetto", tmp_path / "t.pftrace")
    timeline = perfetto(tmp_path / "t.pftrace")
    depths = {(s.args["depth"], s.depth) for s in timeline.of("Tasks", "operation")}
    assert depths == {(0, 0), (1, 2), (2, 4)}
    # A CPU's use of a mapping is that alone: the 5 us before each of the 24 nested ones are none.
    in_use_ns = sum(cpu.in_use_ns for cpu in run.manifest.totals.cpu_time)
    assert timeline.sum_ns("CPUs", "use") + 24 * 5_000 == in_use_ns


def test_without_stretches_only_what_the_log_tells_is_on_the_tracks_of_cpus(tmp_path):
    make_trace, allocator, changes, _ = RUNS["sleeps"]
    run = plainly(make_trace(tmp_path), tmp_path, allocator, events="full", **changes)
    said: list[str] = []
    size = export(run.path, "perfetto", tmp_path / "t.pftrace", warn=said.append).timeline
    timeline = perfetto(tmp_path / "t.pftrace")
    assert size.cut == 0
    assert [text.splitlines()[1:] for text in said] == [[f"{run.manifest.command} --events stretches"]]
    assert timeline.sum_ns("CPUs", "use") == 0
    with open_session([run.path]) as session:
        awake = session.query("SELECT sum(mapped_ns - asked_ns) FROM operations WHERE sleeps = 0").item()
        waited = session.query("SELECT sum(wait_ns) FROM lock_totals").item()
    assert timeline.sum_ns("CPUs", "map") == awake
    assert timeline.sum_ns("Tasks", "lock wait") == waited
