"""Results: a row for each run of a sweep, as a file and in SQL."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from pipeline.sql.database import write_database
from pipeline.sql.query import sql
from pipeline.sql.session import open_session
from pipeline.sweeps.results import RESULTS
from tests.sweeps.made import FAILS, design, swept

CHANGE = {
    "allocator": ["direct_map", "global_pool"], "options": {"global_pool.slots": [64, 128]},
    "costs": {"switch_ns": [100, 200]}, "workload": {"tasks": [4, 8]}, "replications": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def output(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("sweep") / "it's a"
    assert swept(path, **CHANGE).done == (1 + 2) * 2 * 2 * 2
    return path


def test_a_factor_within_another_has_a_column_of_its_own(output):
    table = pq.read_table(output / "results.parquet")
    assert table.column_names == [c.name for c in RESULTS] + ["switch_ns", "global_pool_slots", "tasks"]
    frame = sql([output], "SELECT DISTINCT global_pool_slots, allocator FROM results ORDER BY ALL")
    assert frame.rows() == [(64, "global_pool"), (128, "global_pool"), (None, "direct_map")]


def test_results_stand_beside_the_runs(output):
    frame = sql(
        [output],
        "SELECT count(*), bool_and(r.wall_ns = s.wall_ns AND r.fingerprint = s.fingerprint) "
        "FROM runs r JOIN results s USING (directory)",
    )
    assert frame.rows() == [(24, True)]


def test_what_is_asked_of_results_alone_reads_no_manifest(output, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(output, copy)
    for manifest in copy.glob("runs/*/manifest.json"):
        manifest.unlink()
    assert sql([copy], "SELECT count(*) FROM results WHERE state = 'done'").item() == 24


def test_results_are_there_while_the_sweep_is_not_finished(output, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(output, copy)
    (copy / "results.parquet").unlink()
    with open_session([output]) as whole, open_session([copy]) as unfinished:
        statement = "SELECT * EXCLUDE (sweep, directory) FROM results ORDER BY key"
        assert unfinished.query(statement).equals(whole.query(statement))


def test_results_are_written_again_only_if_something_happened(tmp_path):
    swept(tmp_path)
    written_ns = (tmp_path / "results.parquet").stat().st_mtime_ns
    swept(tmp_path)
    assert (tmp_path / "results.parquet").stat().st_mtime_ns == written_ns
    swept(tmp_path, cpus=2)
    assert (tmp_path / "results.parquet").stat().st_mtime_ns > written_ns
    assert sql([tmp_path], "SELECT state, cpus FROM results ORDER BY ALL").rows() == [
        ("done", 2),
        ("other", 64),
    ]


def test_sweeps_with_other_factors_are_one_table(output, tmp_path):
    swept(tmp_path / "other", costs={"wake_ns": [1, 2]})
    frame = sql(
        [output, tmp_path / "other"], "SELECT count(wake_ns), count(switch_ns), count(*) FROM results"
    )
    assert frame.rows() == [(2, 24, 26)]


def test_a_run_that_failed_has_a_row_and_says_why(tmp_path):
    swept(tmp_path / "sweep", allocator=[design(tmp_path, "bad", FAILS), "direct_map"])
    frame = sql(
        [tmp_path / "sweep"], "SELECT label, wall_ns IS NULL, problem FROM results WHERE state = 'failed'"
    )
    ((label, empty, problem),) = frame.rows()
    assert (label, empty) == ("bad", True)
    assert "ValueError: this design fails" in problem


def test_a_database_has_the_results_too(output, tmp_path):
    write_database([output], tmp_path / "x.duckdb")
    with duckdb.connect(str(tmp_path / "x.duckdb"), read_only=True) as connection:
        assert connection.sql("SELECT count(*) FROM results").fetchall() == [(24,)]
