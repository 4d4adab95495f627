"""Runs that end before their time: killed, interrupted, or with no room left."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.sql.query import sql
from pipeline.workload.generate import generate
from tests.runs.made import build_trace, contents

PIPELINE = Path(sys.executable).with_name("pipeline")
# Large enough to be met at work, small enough to wait for once.
LONG = 2_000_000


@pytest.fixture(scope="module")
def long_trace(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("long") / "long.parquet"
    generate("kernel_build", path, operations=LONG)
    return path


def start(trace: Path, output: Path, **options) -> subprocess.Popen[str]:
    command = [PIPELINE, "replay", trace, "-a", "global_pool", "-m", "numaq16", "-o", output]
    return subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def met_at_work(trace: Path, output: Path) -> subprocess.Popen[str]:
    """A replay that has begun to write its log."""
    process = start(trace, output)
    deadline = time.monotonic() + 60
    while not any(path.stat().st_size > 1000 for path in output.glob(".*/operations.parquet")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return process


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out, "".join(line for line in err.splitlines(True) if "compiling" not in line)


def cpu_seconds(pid: int) -> float:
    """CPU time of a process that runs, from what proc(5) says after its name."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpu_seconds_since(before: resource.struct_rusage) -> float:
    """CPU time of the children that have ended since."""
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    return now.ru_utime + now.ru_stime - before.ru_utime - before.ru_stime


def test_a_killed_run_leaves_nothing_that_looks_finished_and_the_next_one_clears_up(tmp_path, long_trace):
    process = met_at_work(long_trace, tmp_path)
    process.kill()
    ended(process)
    (left,) = contents(tmp_path)
    assert left.startswith(".") and left.endswith(".partial")
    status, out, _ = ended(start(long_trace, tmp_path))
    assert status == 0
    assert contents(tmp_path) == [Path(out.strip()).name]
    assert sql([tmp_path], "SELECT count(*) FROM operations").item() == LONG


def test_ctrl_c_ends_a_replay_at_once_and_leaves_nothing(tmp_path, long_trace):
    process = met_at_work(long_trace, tmp_path)
    done_s = cpu_seconds(process.pid)
    ended_before_s = resource.getrusage(resource.RUSAGE_CHILDREN)
    process.send_signal(signal.SIGINT)
    status, out, err = ended(process)
    # Not by the clock: other tests may keep the CPUs busy.
    assert cpu_seconds_since(ended_before_s) - done_s < 1
    assert (status, out) == (130, "")
    assert err == f"pipeline: interrupted; nothing of this run was kept in {tmp_path}\n"
    assert contents(tmp_path) == []


def assert_no_room(ended_as: tuple[int, str, str], output: Path, reason: str) -> None:
    status, out, err = ended_as
    assert (status, out) == (4, "")
    assert len(err.splitlines()) == 1
    assert err.startswith(f"pipeline: {output}/global_pool-")
    assert f"cannot be written ({reason})" in err
    assert contents(output) == []


@pytest.mark.parametrize("operations", [2_000, 100_000], ids=["at the end", "at work"])
def test_a_file_that_may_not_grow_is_one_line_and_leaves_nothing(tmp_path, operations):
    trace = build_trace(tmp_path, operations)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    output = tmp_path / "runs"
    assert_no_room(ended(start(trace, output, preexec_fn=limit)), output, "File too large")


@pytest.fixture
def small_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no permission to mount a small disk")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.parametrize("operations", [80_000, LONG], ids=["at the end", "at work"])
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, small_disk, long_trace, operations):
    trace = long_trace if operations == LONG else build_trace(tmp_path, operations)
    output = small_disk / "runs"
    assert_no_room(ended(start(trace, output)), output, "No space left on device")
