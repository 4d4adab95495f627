"""A run's directory: whole, named by what determines it, found again, and not disturbed by what was left."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest

from pipeline.errors import InputError
from pipeline.report.report import report
from pipeline.schema.log import LOG_TABLES
from pipeline.schema.manifest import KEPT_TABLES, MANIFEST_FILE, SUMS_FOLDER, Manifest
from pipeline.sql.query import sql
from tests.runs.made import build_trace, contents, replayed, rows_of

OPERATIONS = "operations.parquet"

CHANGES = [
    {"seed": 1},
    {"jitter_percent": 0.5},
    {"options": {"slots": "512"}},
    {"cpus": 3},
    {"loop": "timed"},
    {"events": "none"},
    {"machine": "smp8-2002"},
    {"allocator": "direct_map"},
    {"costs": {"switch_ns": 7}},
]


@pytest.fixture
def trace(tmp_path):
    return build_trace(tmp_path, 500)


def test_a_run_is_a_manifest_its_sums_and_two_tables_of_the_documented_schemas(tmp_path, trace):
    run = replayed(trace, tmp_path / "runs", "percpu_pinned")
    assert contents(tmp_path / "runs") == [run.manifest.id]
    assert run.manifest.tables == {"operations": [OPERATIONS], "events": ["events.parquet"]}
    assert contents(run.path) == ["events.parquet", MANIFEST_FILE, OPERATIONS, SUMS_FOLDER]
    assert Manifest.model_validate_json((run.path / MANIFEST_FILE).read_text()) == run.manifest
    for table in (LOG_TABLES[name].without_areas() for name in KEPT_TABLES["full"]):
        assert pq.read_schema(run.path / f"{table.name}.parquet").remove_metadata() == table.stored_schema
    assert rows_of(run, OPERATIONS) == run.manifest.totals.operations == 500
    operations = pq.read_table(run.path / OPERATIONS)
    assert sorted(operations["op"].to_pylist()) == list(range(500))
    assert operations["done_ns"].to_pylist() == sorted(operations["done_ns"].to_pylist())


def test_the_same_again_is_there_already_and_fresh_makes_it_anew(tmp_path, trace):
    first = replayed(trace, tmp_path / "runs")
    file = first.path / MANIFEST_FILE
    made = file.stat()
    again = replayed(trace, tmp_path / "runs")
    assert (first.cached, again.cached) == (False, True)
    assert again.manifest == first.manifest
    # Reading it may change the time of the last access.
    now = file.stat()
    assert (now.st_ino, now.st_mtime_ns, now.st_size) == (made.st_ino, made.st_mtime_ns, made.st_size)
    fresh = replayed(trace, tmp_path / "runs", fresh=True)
    assert not fresh.cached
    assert file.stat().st_ino != made.st_ino
    assert fresh.manifest.fingerprint == first.manifest.fingerprint
    assert contents(tmp_path / "runs") == [first.manifest.id]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_what_changes_the_result_changes_the_name(tmp_path, trace, change):
    first, other = replayed(trace, tmp_path / "runs"), replayed(trace, tmp_path / "runs", **change)
    assert not other.cached
    assert other.path != first.path


def test_the_name_of_the_trace_does_not_change_the_runs(tmp_path, trace):
    first = replayed(trace, tmp_path / "runs")
    moved = trace.rename(tmp_path / "other.parquet")
    assert replayed(moved, tmp_path / "runs").path == first.path


def test_a_damaged_manifest_is_not_taken_for_a_run(tmp_path, trace):
    run = replayed(trace, tmp_path / "runs")
    (run.path / MANIFEST_FILE).write_text((run.path / MANIFEST_FILE).read_text()[:100])
    again = replayed(trace, tmp_path / "runs")
    assert not again.cached
    assert again.manifest.fingerprint == run.manifest.fingerprint


def test_a_failure_inside_leaves_nothing(tmp_path, trace, monkeypatch):
    def fail(*_):
        raise InputError("broken")

    monkeypatch.setattr("pipeline.runs.manifest.read_totals", fail)
    with pytest.raises(InputError, match="broken"):
        replayed(trace, tmp_path / "runs")
    assert contents(tmp_path / "runs") == []


def test_a_failure_leaves_the_run_that_was_there(tmp_path, trace, monkeypatch):
    run = replayed(trace, tmp_path / "runs")
    monkeypatch.setattr("pipeline.runs.manifest.read_totals", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        replayed(trace, tmp_path / "runs", fresh=True)
    assert contents(tmp_path / "runs") == [run.manifest.id]
    assert replayed(trace, tmp_path / "runs").cached


def test_what_a_killed_run_left_is_passed_over(tmp_path, trace):
    run = replayed(trace, tmp_path / "runs")
    left = tmp_path / "runs" / f".{run.manifest.id}.0000.partial"
    left.mkdir()
    (left / OPERATIONS).write_bytes(b"PAR1")
    (left / MANIFEST_FILE).write_text("{}")
    assert sql([tmp_path / "runs"], "SELECT run FROM runs").rows() == [("global_pool",)]
    assert report([tmp_path / "runs"], tmp_path / "report.html").exists()
    assert replayed(trace, tmp_path / "runs").cached


def test_the_recorded_command_makes_the_same_run(tmp_path, trace):
    run = replayed(trace, tmp_path / "runs", "percpu_pinned", options={"wait_pinned": "no"}, seed=3)
    words = run.manifest.command.split()
    assert words[:3] == ["pipeline", "replay", str(trace)]
    given = list(zip(words[3::2], words[4::2], strict=True))
    assert {word: value for word, value in given if word != "--set"} == {
        "--allocator": "percpu_pinned", "--machine": "numaq16", "--cpus": "4", "--seed": "3",
        "--loop": "closed", "--events": "full", "-o": str(tmp_path / "runs"),
    }  # fmt: skip
    options = dict(value.split("=") for word, value in given if word == "--set")
    assert options.keys() == run.manifest.allocator.options.keys()
    assert options["wait_pinned"] == "false"


def test_the_manifest_says_what_was_replayed_on_what(tmp_path, trace):
    found = json.loads((replayed(trace, tmp_path / "runs").path / MANIFEST_FILE).read_text())
    assert found["trace"]["metadata"]["source"]["name"] == "kernel_build"
    assert found["allocator"]["options"] == {
        "slots": 1024, "flush_if_any": False, "wake": "all", "colours": 1, "reserve": 0,
    }  # fmt: skip
    assert found["machine"]["costs"]["ipi_send_ns"]["source"]
    assert found["versions"].keys() >= {"pipeline", "python", "numba"}
