"""The totals that the simulator counts, against the log added up by DuckDB, straight from the files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipeline.runs.finished import RunResult
from pipeline.runs.store import find_runs
from pipeline.schema.names import CPU_CATEGORIES
from pipeline.sql.session import define_views
from tests.runs.made import build_trace, replayed, storm_trace

CASES: dict[str, dict[str, Any]] = {
    "pool, contended": {"allocator": "global_pool", "cpus": 16},
    "pool, sleeping": {"allocator": "global_pool", "options": {"slots": "256"}, "storm": True},
    "pool, waking one, timed": {
        "allocator": "global_pool", "options": {"slots": "128", "wake": "one"}, "storm": True,
        "loop": "timed",
    },
    "per CPU, pinned": {"allocator": "percpu_pinned", "options": {"slots_per_cpu": "4"}, "storm": True},
    "per CPU, nobody sleeps": {"allocator": "percpu_pinned", "cpus": 2},
    "direct": {"allocator": "direct_map"},
}  # fmt: skip

# Each total, and the same from the two tables.
FROM_LOG = {
    "wall_ns": "SELECT max(done_ns) FROM operations",
    "operations": "SELECT count(*) FROM operations",
    "hits": "SELECT count(*) FROM operations WHERE served = 'hit'",
    "misses": "SELECT count(*) FROM operations WHERE served = 'miss'",
    "fallbacks": "SELECT count(*) FROM events WHERE event = 'fallback'",
    "probed": "SELECT sum(probed) FROM operations",
    "scans": "SELECT count(*) FROM events WHERE event = 'scan'",
    "scanned": "SELECT sum(scanned) FROM operations",
    "freed": "SELECT sum(other) FROM events WHERE event = 'scan'",
    "flushes": "SELECT count(*) FROM events WHERE event = 'flush'",
    "ipis": "SELECT count(*) FROM events WHERE event = 'ipi'",
    "local_flushes": "SELECT sum(local_flushes) FROM operations",
    "full_local_flushes": "SELECT count(*) FROM events WHERE event = 'local_flush'",
    "sleeps": "SELECT sum(sleeps) FROM operations",
    "asleep_ns": "SELECT sum(asleep_ns) FROM operations",
    "sleep_max_ns": "SELECT max(duration_ns) FROM events WHERE event = 'sleep'",
    "wakes": "SELECT count(*) FROM events WHERE event = 'wake'",
    "woken": "SELECT sum(value) FROM events WHERE event = 'wake'",
    "pin_waits": "SELECT count(*) FROM events WHERE event = 'pin_wait'",
    "pin_wait_ns": "SELECT sum(duration_ns) FROM events WHERE event = 'pin_wait'",
    "switches": "SELECT count(*) FROM events WHERE event = 'switch'",
    "map_ns": "SELECT sum(mapped_ns - asked_ns) FROM operations",
    "map_max_ns": "SELECT max(mapped_ns - asked_ns) FROM operations",
}

# Totals that both tables tell: the second telling.
TOLD_TWICE = {
    "scanned": "SELECT sum(value) FROM events WHERE event = 'scan'",
    "ipis": "SELECT sum(value) FROM events WHERE event = 'flush'",
    "sleeps": "SELECT count(*) FROM events WHERE event = 'sleep'",
    "asleep_ns": "SELECT sum(duration_ns) FROM events WHERE event = 'sleep'",
    "pin_wait_ns": "SELECT sum(pin_wait_ns) FROM operations",
}

LOCK_SITES = """
WITH takings AS (
    SELECT 'map' AS site, map_hold_ns AS hold_ns, map_wait_ns AS wait_ns FROM operations WHERE map_hold_ns > 0
    UNION ALL
    SELECT 'unmap', unmap_hold_ns, unmap_wait_ns FROM operations WHERE unmap_hold_ns > 0
    UNION ALL
    SELECT CASE site WHEN 0 THEN 'map' WHEN 1 THEN 'unmap' END, duration_ns, wait_ns FROM events
    WHERE event = 'relock'
)
SELECT site, count(*), count(*) FILTER (WHERE wait_ns > 0), sum(hold_ns)::BIGINT, max(hold_ns),
    sum(wait_ns)::BIGINT, max(wait_ns)
FROM takings GROUP BY site ORDER BY site
"""


def replay_case(case: str, directory: Path, **changes: Any) -> RunResult:
    settings = dict(CASES[case])
    trace = storm_trace(directory) if settings.pop("storm", False) else build_trace(directory)
    return replayed(trace, directory / "runs", **settings, **changes)


@pytest.fixture(scope="module", params=CASES)
def run(request, tmp_path_factory) -> RunResult:
    return replay_case(request.param, tmp_path_factory.mktemp("totals"))


def log_of(run: RunResult) -> duckdb.DuckDBPyConnection:
    log = duckdb.connect()
    log.execute("SET enable_progress_bar = false")
    define_views(log, find_runs([run.path]))
    return log


def test_every_total_is_what_the_log_adds_up_to(run):
    totals = run.manifest.totals.model_dump()
    log = log_of(run)
    for told in (FROM_LOG, TOLD_TWICE):
        expected = {name: int(log.sql(query).fetchall()[0][0] or 0) for name, query in told.items()}
        assert {name: totals[name] for name in told} == expected


def test_lock_totals_are_sums_and_maxima_by_site(run):
    rows = log_of(run).sql(LOCK_SITES).fetchall()
    taken = [lock for lock in run.manifest.totals.locks if lock.acquisitions]
    assert [tuple(lock.model_dump().values()) for lock in taken] == rows


def test_time_of_each_cpu_adds_up_to_the_wall_time(run):
    totals = run.manifest.totals
    assert [cpu.cpu for cpu in totals.cpu_time] == list(range(run.manifest.machine.cpus))
    for cpu in totals.cpu_time:
        assert sum(getattr(cpu, f"{category}_ns") for category in CPU_CATEGORIES) == totals.wall_ns


def test_spinning_is_what_waiters_waited_less_the_interrupts_they_answered(run):
    totals = run.manifest.totals
    spin, interrupted = (sum(getattr(c, f) for c in totals.cpu_time) for f in ("spin_ns", "interrupted_ns"))
    waited = sum(lock.wait_ns for lock in totals.locks)
    assert waited - interrupted <= spin <= waited
    assert spin == waited or interrupted


def test_the_cases_meet_what_they_are_there_for(tmp_path):
    contended = replay_case("pool, contended", tmp_path).manifest.totals
    assert contended.hits and contended.locks[0].contended and contended.locks[1].contended
    sleeping = replay_case("pool, sleeping", tmp_path).manifest.totals
    assert sleeping.sleeps and sleeping.flushes and sleeping.locks[0].acquisitions > sleeping.operations
    pinned = replay_case("per CPU, pinned", tmp_path).manifest.totals
    assert pinned.sleeps and pinned.pin_waits and pinned.local_flushes


@pytest.mark.parametrize("case", CASES)
def test_totals_and_fingerprint_are_the_same_without_a_log(case, tmp_path):
    full = replay_case(case, tmp_path)
    bare = replay_case(case, tmp_path, events="none")
    assert [p.name for p in bare.path.iterdir()] == ["manifest.json"]
    assert bare.manifest.totals == full.manifest.totals
    assert bare.manifest.fingerprint == full.manifest.fingerprint
    assert bare.manifest.id != full.manifest.id
