"""Sums that a run is written with say what its log says."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from pipeline.jit.entries import compiled_entry
from pipeline.jit.tables import records
from pipeline.runs import add_up, sums
from pipeline.schema.log import OPERATION_RECORD
from pipeline.schema.manifest import SUMS_FOLDER
from pipeline.schema.names import KINDS
from pipeline.sql.session import open_session
from pipeline.sql.views import VIEWS
from tests.machine.runs import mutate_allocator
from tests.runs.made import build_trace, contents, replayed, storm_trace
from tests.runs.test_lost_wakeup import NOBODY_IS_WOKEN

SUMMED = [view for view in VIEWS.values() if view.summed]
# With locks taken again after sleeps; without a lock; with holds and waits on many CPUs.
RUNS = {
    "sleeping": (storm_trace, {"options": {"slots": "20"}}),
    "lockless": (build_trace, {"allocator": "kmap_local"}),
    "contended": (build_trace, {"options": {"slots": "64"}, "cpus": 16}),
    "timed": (build_trace, {"loop": "timed", "allocator": "percpu_cached"}),
}


def asked(run: Path, name: str) -> pl.DataFrame:
    """A summed view, its rows of one value added up and sorted."""
    keys = {"task_totals": 2, "page_gaps": 2, "trace_blocks": 1}.get(name, 2)
    columns = [column.name for column in VIEWS[name].columns][1:]
    chosen = [f"{'max' if c == 'map_max_ns' else 'sum'}({c}) AS {c}" for c in columns[keys:]]
    by = ", ".join(columns[:keys])
    with open_session([run]) as session:
        return session.query(f"SELECT {by}, {', '.join(chosen)} FROM {name} GROUP BY {by} ORDER BY {by}")


@pytest.fixture(scope="module", params=RUNS)
def run(request, tmp_path_factory) -> Path:
    make_trace, changes = RUNS[request.param]
    directory = tmp_path_factory.mktemp("sums")
    return replayed(make_trace(directory, 2_000), directory / "runs", compiled=False, **changes).path


@pytest.fixture(scope="module")
def without(run, tmp_path_factory) -> Path:
    """The same run as a copy of its log alone."""
    copy = tmp_path_factory.mktemp("copy") / "run"
    shutil.copytree(run, copy, ignore=shutil.ignore_patterns(SUMS_FOLDER))
    return copy


@pytest.mark.parametrize("name", [view.name for view in SUMMED])
def test_a_sum_is_what_the_log_adds_up_to(run, without, name):
    assert f"{name}.parquet" in contents(run / SUMS_FOLDER)
    from_sums, from_log = asked(run, name), asked(without, name)
    assert from_sums.equals(from_log)
    assert not from_sums.is_empty() or "histogram" in name


def test_with_sums_the_log_is_not_read(run, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    with open_session([copy]) as session:
        for file in copy.glob("*.parquet"):
            file.write_bytes(b"")
        for view in SUMMED:
            session.query(f"SELECT count(*) FROM {view.name}")


def test_a_run_with_sums_and_one_without_are_asked_together(run, without):
    with open_session([run, without]) as session:
        for view in SUMMED:
            halves = session.query(f"SELECT run, count(*) AS n FROM {view.name} GROUP BY run")["n"]
            if "histogram" not in view.name:
                assert len(halves) == 2
                assert halves[0] == halves[1]


def test_of_too_many_different_values_there_is_no_histogram_but_an_answer(tmp_path, monkeypatch):
    monkeypatch.setattr(sums, "MOST_VALUES", 50)
    trace = build_trace(tmp_path, 2_000)
    run = replayed(trace, tmp_path / "runs", compiled=False, cpus=16, options={"slots": "64"}).path
    assert "wait_histogram.parquet" not in contents(run / SUMS_FOLDER)
    with open_session([run]) as session:
        counted = session.query("SELECT sum(n) FROM wait_histogram").item()
        assert counted == session.query("SELECT sum(contended) FROM lock_totals").item() > 0


def test_a_trace_that_was_not_replayed_to_its_end_has_no_sums_by_its_progress(tmp_path):
    broken = mutate_allocator(tmp_path, "forgetful", NOBODY_IS_WOKEN, "global_pool")
    trace = storm_trace(tmp_path)
    run = replayed(
        trace, tmp_path / "runs", str(broken.path), compiled=False, options={"slots": "32"}, cpus=8
    )
    assert run.manifest.findings[0].finding == "deadlock"
    assert contents(run.path / SUMS_FOLDER) == [
        "hold_histogram.parquet", "task_totals.parquet", "wait_histogram.parquet",
    ]  # fmt: skip


def test_compiled_loops_do_what_plain_ones_do():
    rng = np.random.default_rng(3)
    rows = records(500, OPERATION_RECORD)
    for name in rows.dtype.names:
        wide = rows[name].itemsize == 8
        rows[name] = rng.integers(0, 40_000 if wide else 4, len(rows))
    rows.op = rng.permutation(len(rows))
    ends = np.arange(1, 601) * len(rows) // 600 + 1
    keys, counts, pages = rng.integers(0, 300, 400), np.ones(400, np.int64), rng.integers(0, 50, 400)

    def add_all(loop):
        tasks, blocks = records(4 * len(KINDS), sums._TASK_RECORD), records(600, sums._BLOCK_RECORD)
        short, long = np.zeros(4 * add_up.SHORT_NS, np.int64), np.zeros(4 * len(rows), np.int64)
        table, table_counts = np.full(1024, add_up.NO_KEY), np.zeros(1024, np.int64)
        latest, gaps = np.zeros(50, np.int64), records(3 * 64, sums._GAP_RECORD)
        found = (
            loop(add_up.add_operations)(rows, 500, len(KINDS), tasks, short, long, blocks, ends),
            loop(add_up.count_keys)(keys, counts, 400, table, table_counts, 1024),
            loop(add_up.add_gaps)(pages, 400, 0, latest, gaps) or 0,
        )
        filled = (tasks, blocks, short, long, table, table_counts, latest, gaps)
        return found, [array.tobytes() for array in filled]

    plain = add_all(lambda function: function)
    assert plain == add_all(compiled_entry)
    assert plain[0][1] == len(set(keys.tolist()))
