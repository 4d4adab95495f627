"""Sweeps on workers of dask.distributed: the same rows as here, whatever happens to workers and scheduler."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import InputError
from pipeline.sql.query import sql
from pipeline.sweeps import distributed as on_dask
from pipeline.sweeps.status import read_status
from tests.sweeps.made import KILLS, design, lines, start, swept, wait_until

distributed = pytest.importorskip("distributed")

SIX = {"machine": ["modern-x86-64", "numaq16"], "cpus": [1, 2, 4]}
ROWS = "SELECT * EXCLUDE (sweep, directory, elapsed_s, attempts) FROM results ORDER BY key"


@pytest.fixture
def cluster() -> Iterator[Any]:
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as made:
        yield made


def attempts(output: Path) -> list[int]:
    found = [json.loads(line) for line in lines(output)]
    return sorted(line["attempt"] for line in found if line["state"] == "done")


def test_workers_make_the_rows_that_a_serial_sweep_makes(tmp_path, cluster):
    result = swept(tmp_path / "there", means={"scheduler": cluster.scheduler_address}, **SIX)
    assert (result.done, result.made) == (6, 6)
    swept(tmp_path / "here", means={"workers": 1}, **SIX)
    assert sql([tmp_path / "there"], ROWS).equals(sql([tmp_path / "here"], ROWS))
    again = swept(tmp_path / "there", means={"scheduler": cluster.scheduler_address}, **SIX)
    assert (again.done, again.made) == (6, 0)


def test_a_worker_killed_in_the_middle_of_a_run_costs_one_attempt(tmp_path, cluster):
    slow = design(tmp_path, "slow", "time.sleep(0.02)")
    change = SIX | {"allocator": slow}
    output = tmp_path / "there"
    killed: list[str] = []

    def kill() -> None:
        wait_until(lambda: (output / "claims").is_dir() and read_status(output).running)
        claim = next(iter(read_status(output).running.values()))
        os.kill(claim.process.pid, signal.SIGKILL)
        killed.append(claim.key)

    killer = threading.Thread(target=kill)
    killer.start()
    result = swept(output, means={"scheduler": cluster.scheduler_address}, **change)
    killer.join()
    assert (result.done, result.poison, len(killed)) == (6, 0, 1)
    assert attempts(output) == [1, 1, 1, 1, 1, 2]
    made = Counter(json.loads(line)["key"] for line in lines(output) if '"done"' in line)
    assert set(made.values()) == {1}
    swept(tmp_path / "here", **change)
    assert sql([output], ROWS).equals(sql([tmp_path / "here"], ROWS))


def test_a_run_that_kills_every_worker_is_poison_and_the_others_are_made(tmp_path, cluster):
    bad = design(tmp_path, "bad", KILLS)
    means = {"scheduler": cluster.scheduler_address}
    change = {"allocator": [bad, "direct_map"], "costs": {"wake_ns": [1, 2, 3]}}
    result = swept(tmp_path / "sweep", means=means, **change)
    assert (result.done, result.poison) == (3, 3)


def start_cluster(directory: Path) -> tuple[list[subprocess.Popen[bytes]], str]:
    """A scheduler and a worker, each a process of its own."""
    file = directory / "scheduler.json"
    log = (directory / "dask.log").open("wb")
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", "0", "--no-dashboard"]
    scheduler = subprocess.Popen([*command, "--scheduler-file", file], stdout=log, stderr=log)
    wait_until(file.exists)
    address = json.loads(file.read_text())["address"]
    command = [
        sys.executable,
        "-m",
        "distributed.cli.dask_worker",
        address,
        "--nthreads",
        "1",
        "--no-dashboard",
    ]
    worker = subprocess.Popen([*command, "--no-nanny", "--death-timeout", "2"], stdout=log, stderr=log)
    return [scheduler, worker], address


def test_when_the_scheduler_is_killed_the_same_command_does_the_rest(tmp_path):
    slow = design(tmp_path, "slow", "time.sleep(0.01)")
    words = ["kernel_build", "-a", slow, "-m", "modern-x86-64", "--ops", 100, "--cpus", "1..32", "-o", "s"]
    processes, address = start_cluster(tmp_path)
    try:
        process = start(tmp_path, *words, "--on", address)
        wait_until(lambda: (tmp_path / "s" / "journal").is_dir() and len(lines(tmp_path / "s")) >= 2, process)
        processes[0].kill()
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (3, "")
        assert err == (
            f"pipeline: {address}: the scheduler is gone; finished runs are kept, and the same command "
            "continues\n"
        )
    finally:
        for one in processes:
            one.kill()
            one.wait()
    before = Counter(json.loads(line)["key"] for line in lines(tmp_path / "s") if '"done"' in line)
    assert 0 < len(before) < 6
    process = start(tmp_path, *words, "--workers", 2)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert err.startswith(f"{len(before)} of 6 runs exist\n")
    after = Counter(json.loads(line)["key"] for line in lines(tmp_path / "s") if '"done"' in line)
    assert len(after) == 6
    assert set(after.values()) == {1}


def test_no_scheduler_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(on_dask, "_CONNECT_S", 1)
    begun_s = time.monotonic()
    with pytest.raises(InputError, match=r"tcp://127.0.0.1:1: found no scheduler of dask.distributed"):
        swept(tmp_path, means={"scheduler": "tcp://127.0.0.1:1"})
    assert time.monotonic() - begun_s < 10


OURS = on_dask.Engine("sources", "0.68", "a CPU", directory=True, threads=1)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"threads": 8}, "has 8 threads, but a run requires a process; start workers with --nthreads 1"),
        ({"numba": "0.1"}, "has numba 0.1, but this process has 0.68; install the same version"),
        ({"sources": "other"}, "has different sources of engine or designs"),
        ({"cpu": "other"}, "has a CPU with different features"),
        ({"directory": False}, "does not have the sweep's directory"),
        ({"problem": "unknown allocator 'mine'"}, "cannot load a design: unknown allocator 'mine'"),
    ],
    ids=lambda change: next(iter(change)) if isinstance(change, dict) else "",
)
def test_a_worker_that_differs_is_told_why(change, said):
    assert on_dask._misfit(OURS, OURS) == ""
    assert on_dask._misfit(OURS, replace(OURS, **change)).startswith(said)


def test_workers_that_are_not_fit_are_refused_before_anything_is_submitted(tmp_path):
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=2, processes=True, dashboard_address=None
        ) as cluster,
        pytest.raises(InputError, match="has 2 threads, but a run requires a process"),
    ):
        swept(tmp_path, means={"scheduler": cluster.scheduler_address})
    assert not lines(tmp_path)
