"""Sweeps: every run is made once, by any number of processes, and nothing that was done is lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections import deque
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.errors import FindingError, OutputError, UsageError
from pipeline.runs.execute import replay
from pipeline.sweeps import plan as planning
from pipeline.sweeps.directory import create_sweep, open_sweep
from pipeline.sweeps.job import Job
from pipeline.sweeps.maker import Settings
from pipeline.sweeps.pool import Pool
from pipeline.sweeps.rerun import make_again
from pipeline.sweeps.status import explain_run, read_status
from tests.cli.command import PIPELINE
from tests.runs.made import generated
from tests.sweeps.made import (
    FAILS,
    KILLS,
    SLEEPS,
    children,
    design,
    grid,
    lines,
    start,
    states,
    swept,
    wait_until,
)

FOUR = {"machine": ["modern-x86-64", "numaq16"], "cpus": [1, 2]}


def results(output: Path) -> list[dict]:
    return pq.read_table(output / "results.parquet").to_pylist()


def test_a_sweep_gives_what_single_replays_give(tmp_path):
    swept(tmp_path / "sweep", **FOUR)
    trace = generated(tmp_path, "kernel_build", 100)
    rows = results(tmp_path / "sweep")
    assert len(rows) == 4
    for row in rows:
        run = replay(
            trace, allocator="direct_map", machine=row["machine"], cpus=row["cpus"], events="none",
            compiled=False, output=tmp_path / "runs",
        ).manifest  # fmt: skip
        assert row["fingerprint"] == run.fingerprint
        assert row["wall_ns"] == run.totals.wall_ns
        assert row["cpu_idle_ns"] == sum(cpu.idle_ns for cpu in run.totals.cpu_time)
        assert row["map_lock_acquisitions"] == run.totals.locks[0].acquisitions


def test_the_same_again_makes_nothing(tmp_path):
    first = swept(tmp_path, **FOUR)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*")}
    again = swept(tmp_path, **FOUR)
    assert (first.made, again.made, again.done) == (4, 0, 4)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*")} == before


def test_a_changed_grid_makes_only_what_is_new_and_keeps_the_rest(tmp_path):
    swept(tmp_path, **FOUR)
    changed = swept(tmp_path, **FOUR | {"cpus": [2, 4]})
    assert (changed.runs, changed.made) == (4, 2)
    status = read_status(tmp_path)
    assert (status.stale, status.others) == (0, 2)
    assert "2 runs not in this grid" in status.text()
    found = [(row["cpus"], row["state"]) for row in results(tmp_path)]
    assert sorted(found) == [(1, "other")] * 2 + [(2, "done")] * 2 + [(4, "done")] * 2


def test_runs_of_another_engine_are_stale(tmp_path, monkeypatch):
    swept(tmp_path, **FOUR)
    monkeypatch.setattr(planning, "simulator_sha256", lambda _: "another")
    swept(tmp_path, **FOUR)
    assert (read_status(tmp_path).stale, read_status(tmp_path).others) == (4, 0)
    assert sorted(row["state"] for row in results(tmp_path)) == ["done"] * 4 + ["stale"] * 4


def test_the_command_that_explain_gives_makes_the_same_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    swept(Path("sweep"), costs={"switch_ns": [7]}, jitter="1%", seed=3)
    (row,) = results(tmp_path / "sweep")
    command = explain_run("sweep", row["key"]).splitlines()[-1].split()
    done = subprocess.run(
        [PIPELINE, *command[1:], "--no-compile"], capture_output=True, text=True, check=True
    )
    manifest = json.loads((tmp_path / done.stdout.strip() / "manifest.json").read_text())
    assert manifest["fingerprint"] == row["fingerprint"]


def test_shards_make_every_run_once_between_them(tmp_path):
    parts = [swept(tmp_path, settings={"shard": (i, 3)}, cpus="1..32") for i in (1, 2, 3)]
    assert sum(part.made for part in parts) == 6
    assert sum(part.runs for part in parts) == 6
    assert {row["state"] for row in results(tmp_path)} == {"done"}


def test_a_run_that_fails_is_named_and_made_again_only_when_asked(tmp_path):
    bad = design(tmp_path, "bad", FAILS)
    change = {"allocator": ["direct_map", bad]}
    first = swept(tmp_path / "sweep", **change)
    assert (first.done, first.failed) == (1, 1)
    text = read_status(tmp_path / "sweep").text()
    assert "1 done, 1 failed" in text
    assert f"{bad}, line 7: ValueError: this design fails" in text
    count = len(lines(tmp_path / "sweep"))
    assert swept(tmp_path / "sweep", **change).made == 0
    assert len(lines(tmp_path / "sweep")) == count
    swept(tmp_path / "sweep", settings={"only_failed": True}, **change)
    assert [json.loads(line)["state"] for line in lines(tmp_path / "sweep")].count("failed") == 2


def test_a_run_that_kills_its_process_is_poison_and_the_others_are_made(tmp_path):
    bad = design(tmp_path, "bad", KILLS)
    result = swept(tmp_path / "sweep", allocator=[bad, "direct_map"], cpus=[1, 2])
    assert (result.done, result.poison, result.failed) == (2, 2, 0)
    found = [json.loads(line) for line in lines(tmp_path / "sweep")]
    assert [line["state"] for line in found].count("lost") == 6
    assert "poison" in read_status(tmp_path / "sweep").text()
    assert "its process was ended by SIGKILL" in read_status(tmp_path / "sweep").text()
    assert not list((tmp_path / "sweep" / "claims").glob("[!.]*"))


def test_a_worker_that_is_killed_costs_its_run_one_attempt(tmp_path):
    once = f"if not Path('{tmp_path}/killed').exists(): Path('{tmp_path}/killed').touch(); {KILLS}"
    result = swept(tmp_path / "sweep", allocator=design(tmp_path, "once", once), cpus=[1, 2])
    assert (result.done, result.poison) == (2, 0)
    assert sorted(state.facts["attempt"] for state in states(tmp_path / "sweep").values()) == [1, 2]


@pytest.fixture
def sleeping(tmp_path):
    """A sweep of slow runs that has begun two of them."""
    slow = design(tmp_path, "slow", SLEEPS)
    words = ["kernel_build", "-a", slow, "-m", "modern-x86-64", "--ops", 100, "--cpus", "1,2,4"]
    process = start(tmp_path, *words, "--workers", 2, "-o", "sweep")
    wait_until(lambda: len(list((tmp_path / "sweep" / "claims").glob("[!.t]*"))) == 2, process)
    yield tmp_path / "sweep", process, words
    process.kill()
    process.wait()


def test_ctrl_c_stops_within_two_seconds_and_leaves_only_whole_runs(sleeping):
    output, process, _ = sleeping
    workers = children(process.pid)
    assert len(workers) == 2
    begun_s = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert time.monotonic() - begun_s < 2
    assert (process.returncode, out) == (130, "")
    assert err == ("pipeline: interrupted; 0 of 3 runs are in sweep; the same command makes the others\n")
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]
    assert [path.name for path in (output / "claims").iterdir()] in ([], [".lock"])
    assert not list((output / "runs").iterdir())
    assert not list((output / "tmp").rglob("*"))
    assert read_status(output).text() == f"{output}: 3 runs of the grid: 0 done, 3 planned\n"


def test_a_sweep_that_is_interrupted_before_it_hears_from_a_worker_gives_its_claim_back(tmp_path):
    """A worker is ended right after its claim is made, and nobody has read a word from it."""
    runs = planning.Planner(grid(allocator=design(tmp_path, "slow", SLEEPS))).runs
    directory = create_sweep(tmp_path / "sweep")
    with Pool(Settings(directory, compiled=False), 1) as pool:
        pool._hand_out(deque(Job(run) for run in runs))
        wait_until(lambda: list(directory.claims.glob("[!.]*")))
    assert not list(directory.claims.glob("[!.]*"))
    assert not list((directory.path / "tmp").rglob("*"))


def test_status_tells_what_runs_and_a_copy_runs_nothing(sleeping, tmp_path):
    output, process, _ = sleeping
    status = read_status(output)
    assert len(status.running) == 2
    assert "2 running, 1 planned" in status.text()
    assert f"pid {children(process.pid)[0]}" in status.text()
    shutil.copytree(output, tmp_path / "copy")
    assert "0 done, 3 planned" in read_status(tmp_path / "copy").text()
    key = next(iter(status.running))
    assert "attempt 1 in progress" in explain_run(output, key[:8])


def test_two_processes_share_a_sweep_and_leave_each_other_alone(sleeping):
    output, process, words = sleeping
    other = start(output.parent, *words, "--workers", 1, "-o", "sweep")
    wait_until(lambda: len(read_status(output).running) == 3, other)
    assert {claim.attempt for claim in read_status(output).running.values()} == {1}
    other.send_signal(signal.SIGINT)
    other.communicate(timeout=60)
    assert len(read_status(output).running) == 2
    assert process.poll() is None


def test_the_claims_of_a_dead_process_are_taken_over(sleeping):
    output, process, words = sleeping
    workers = children(process.pid)
    process.kill()
    process.wait()
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    assert len(list((output / "claims").glob("[!.]*"))) == 2
    wait_until(lambda: not read_status(output).running)
    other = start(output.parent, *words, "--workers", 2, "-o", "sweep")
    wait_until(lambda: len(read_status(output).running) == 2, other)
    assert {claim.attempt for claim in read_status(output).running.values()} == {2}
    other.kill()
    other.wait()


def test_a_run_that_appeared_before_its_process_died_is_kept(tmp_path):
    swept(tmp_path, **FOUR)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*.json")}
    shutil.rmtree(tmp_path / "journal")
    again = swept(tmp_path, **FOUR)
    assert again.done == 4
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*.json")} == before


def test_a_torn_last_line_is_passed_over(tmp_path):
    swept(tmp_path, **FOUR)
    for file in (tmp_path / "journal").glob("*.jsonl"):
        file.write_bytes(file.read_bytes()[:-5])
    again = swept(tmp_path, **FOUR)
    assert again.done == 4
    assert {row["state"] for row in results(tmp_path)} == {"done"}


def test_rerun_compares_a_run_that_is_done_and_tries_a_poison_one_again(tmp_path):
    once = f"if not Path('{tmp_path}/mended').exists(): {KILLS}"
    swept(tmp_path / "sweep", allocator=design(tmp_path, "once", once), means={"most_attempts": 1})
    (key,) = states(tmp_path / "sweep")
    assert states(tmp_path / "sweep")[key].state == "poison"
    (tmp_path / "mended").touch()
    assert make_again(tmp_path / "sweep", key[:6], compiled=False) == str(tmp_path / "sweep" / "runs" / key)
    assert "same fingerprint as the original" in make_again(tmp_path / "sweep", key, compiled=False)
    journal = next((tmp_path / "sweep" / "journal").glob("*.states.jsonl"))
    for file in (tmp_path / "sweep" / "journal").glob("*.states.jsonl"):
        file.write_text(file.read_text().replace('"fingerprint":"', '"fingerprint":"0'))
    assert journal.exists()
    with pytest.raises(FindingError, match="the new run has the fingerprint"):
        make_again(tmp_path / "sweep", key, compiled=False)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("unlink()", "kernel_build.parquet: expected a Parquet file, found no such file"),
        ("write_bytes(Path('{other}').read_bytes())", "has changed since the sweep was planned"),
    ],
    ids=["vanishes", "changes"],
)
def test_a_trace_that_is_not_what_was_planned_fails_its_runs_alone(tmp_path, change, said):
    trace = generated(tmp_path, "kernel_build", 100)
    other = generated(tmp_path, "laptop", 100)
    once = f"if not Path('{tmp_path}/o').exists(): Path('{tmp_path}/o').touch(); Path('{trace}')." + change
    name = design(tmp_path, "first", once.format(other=other))
    result = swept(
        tmp_path / "sweep", means={"workers": 1},
        trace=[str(trace), "laptop"], allocator=[name, "direct_map"], cpus=[1, 2],
    )  # fmt: skip
    assert (result.done, result.failed) == (5, 3)
    failed = [row for row in results(tmp_path / "sweep") if row["state"] == "failed"]
    assert {row["trace"] for row in failed} == {"kernel_build"}
    assert all(said in row["problem"] for row in failed)


@pytest.fixture
def small_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no permission to mount a small disk")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_is_one_line_and_what_was_done_stays(tmp_path, small_disk):
    words = ["kernel_build", "-a", "direct_map", "-m", "modern-x86-64", "--ops", 100, "--cpus", "1..64"]
    words += ["--cost", "switch_ns=1,2,3", "-o", small_disk / "sweep"]
    process = start(tmp_path, *words)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (4, "")
    assert len(err.splitlines()) == 1
    assert "cannot be written (No space left on device)" in err
    done = len(list((small_disk / "sweep" / "runs").iterdir()))
    assert 0 < done < 21
    subprocess.run(["mount", "-o", "remount,size=5m", str(small_disk)], check=True)
    process = start(tmp_path, *words)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (0, f"{small_disk}/sweep\n")
    assert err.splitlines()[-1].startswith("21 of 21 runs are done")
    assert {row["state"] for row in results(small_disk / "sweep")} == {"done"}


def test_other_files_are_not_taken_for_a_sweep(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="found other files in it"):
        swept(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_key_that_is_not_there_is_one_line(tmp_path):
    swept(tmp_path, **FOUR)
    with pytest.raises(UsageError, match="has no run 'zzz'"):
        explain_run(tmp_path, "zzz")
    with pytest.raises(UsageError, match="has no run ''"):
        explain_run(tmp_path, "")
    assert open_sweep(tmp_path).grid.exists()
