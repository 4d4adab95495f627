"""Replays of workloads and of several designs, their summaries, and the directory of runs as a collection."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from pipeline.errors import InputError, UsageError
from pipeline.io.numbers import format_duration
from tests.cli.command import answer, pipeline, refusal

USAGE, INPUT = UsageError.exit_status, InputError.exit_status
ON = ("-m", "smp4-2002", "--no-compile")


@pytest.fixture(scope="module")
def replayed(tmp_path_factory):
    """A directory with runs of three designs over one workload, and what the command printed."""
    directory = tmp_path_factory.mktemp("house")
    words = ("-a", "direct_map,global_pool", "-a", "atomic", "-s", "global_pool.slots=64", *ON)
    return directory, pipeline("replay", "laptop", "--ops", "0.4k", *words, cwd=directory)


@pytest.fixture
def house(replayed, tmp_path):
    """A copy of these runs."""
    shutil.copytree(replayed[0], tmp_path / "house")
    return tmp_path / "house"


def run_of(house: Path, design: str) -> str:
    return str(next((house / "runs").glob(f"{design}-*")).relative_to(house))


def test_every_design_is_replayed_and_they_are_put_side_by_side(replayed):
    _, done = replayed
    assert [line.split("/")[1].split("-")[0] for line in done.stdout.splitlines()] == [
        "direct_map", "global_pool", "atomic",
    ]  # fmt: skip
    head, *rows = done.stderr.splitlines()[-4:]
    assert head.split() == ["design", "op/s", "map", "p99", "flushes", "sleeps"]
    assert {row.split()[0] for row in rows} == {"direct_map", "global_pool", "atomic"}
    assert rows[0].count("█" if "█" in rows[0] else "#") == 24


def test_a_workload_is_generated_once_and_kept_by_content(house):
    (trace,) = house.glob("runs/traces/laptop-*/laptop.parquet")
    made = trace.stat().st_mtime_ns
    again = pipeline("replay", "laptop", "--ops", 400, "-a", "direct_map", *ON, cwd=house)
    assert "(existing run)" in again.stderr
    assert trace.stat().st_mtime_ns == made
    words = ("replay", str(trace), "--ops", 5, "-a", "atomic", *ON)
    assert "operations is supported for workloads only" in refusal(*words, cwd=house, status=USAGE)


def test_an_option_goes_to_the_designs_that_have_it(house):
    labels = {json.loads(p.read_text())["label"] for p in house.glob("runs/*/manifest.json")}
    assert labels == {"direct_map", "global_pool (slots=64)", "atomic"}
    words = ("replay", "laptop", "--ops", 400, "-a", "direct_map,atomic", "-s", "slotz=1", *ON)
    assert "unknown option 'slotz'" in refusal(*words, cwd=house, status=USAGE)


def test_an_option_without_effect_says_so(house):
    words = ("replay", "laptop", "--ops", 400, "-a", "percpu_pinned", *ON, "-s", "slots=512")
    idle = "pipeline: option slots of percpu_pinned has no effect: it requires overflow=global\n"
    assert pipeline(*words, cwd=house).stderr.startswith(idle)
    assert idle not in pipeline(*words, "-s", "overflow=global", cwd=house).stderr


def test_means_have_the_99th_percentile_beside_them(house):
    done = pipeline("replay", "laptop", "--ops", 400, "-a", "global_pool", "-s", "slots=64", *ON, cwd=house)
    asked = (
        "SELECT (SELECT quantile_disc(mapped_ns - asked_ns, 0.99) FROM operations) AS map, "
        "(SELECT quantile_disc(hold_ns, 0.99) FROM lock_holds) AS hold"
    )
    (row,) = json.loads(
        answer("sql", asked, "-r", run_of(house, "global_pool"), "--format", "json", cwd=house)
    )
    assert f"(p99 {format_duration(row['map'])})\n" in done.stderr
    assert f"(p99 {format_duration(row['hold'])}), wait" in done.stderr


def test_runs_are_labelled(house):
    run = run_of(house, "atomic")
    assert answer("runs", "label", run, "mine", cwd=house) == f"{run}: mine\n"
    words = ("replay", "laptop", "--ops", 400, "-a", "direct_map", *ON, "--label", "the bound")
    assert pipeline(*words, cwd=house).stderr.startswith("the bound on smp4-2002")
    listed = answer("sql", "SELECT run FROM runs ORDER BY run", "--format", "csv", cwd=house)
    assert {"mine", "the bound"} < set(listed.splitlines())
    assert "a label must be one line" in refusal("runs", "label", run, "a\nb", cwd=house, status=USAGE)


def test_runs_are_listed_and_removed(house):
    run = run_of(house, "atomic")
    assert answer("runs", cwd=house) == answer("runs", "list", "runs", cwd=house)
    assert run in answer("runs", cwd=house)
    assert "nothing was removed" in refusal("runs", "rm", run, "runs/traces", cwd=house, status=INPUT)
    assert answer("runs", "rm", run, run, cwd=house).startswith(f"{run}: removed, ")
    assert run not in answer("runs", cwd=house)


def test_pruning_removes_what_nothing_needs(house):
    left, fresh = house / "runs" / ".x.1.partial", house / "runs" / ".y.2.partial"
    for path in (left, fresh):
        path.mkdir()
    os.utime(left, (time.time() - 7200,) * 2)
    assert "would be removed, left by an interrupted run" in answer("runs", "prune", "--dry-run", cwd=house)
    assert left.exists()
    answer("runs", "prune", cwd=house)
    assert (left.exists(), fresh.exists()) == (False, True)
    assert len(list(house.glob("runs/traces/*"))) == 1
    answer("runs", "prune", "--older-than", 0, cwd=house)
    assert list(house.glob("runs/[!.]*/manifest.json")) == []
    assert list(house.glob("runs/traces/*")) == []
