"""A long replay in both loops: memory stays flat while operations go by, a hundred million in ten minutes.

The length follows from the time that there is. Resident memory is read several times a second; in the last
third of the time it may exceed what it was before by a few buffers and no more, however long the trace.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pipeline.workload.generate import generate
from tests.campaigns.result import CampaignResult

# Of an hour for all campaigns.
MINUTES = 10
# Generating and replaying twice takes some 4 us an operation on a slow machine of two CPUs.
_OPERATIONS_A_SECOND = 170_000
_MOST_OPERATIONS = 100_000_000
_LEAST_OPERATIONS = 1_000_000
_BYTES_AN_OPERATION = 60
_REPLAYS = {"closed": "none", "timed": "full"}
# Memory that a replay touches late: parts of the log and what the reader has ahead.
MOST_GROWTH_BYTES = 64 << 20
_BEFORE_FLAT = 0.2
# Of the readings, about so many are printed.
_SHOWN = 12


def run(budget_s: float, seed: int, keep: Path) -> CampaignResult:
    """Replay one trace in both loops; it is kept if something is wrong."""
    result = CampaignResult("soak", seed)
    operations = min(max(int(budget_s * _OPERATIONS_A_SECOND), _LEAST_OPERATIONS), _MOST_OPERATIONS)
    with tempfile.TemporaryDirectory(prefix="soak-") as scratch:
        directory = Path(scratch)
        operations = min(operations, shutil.disk_usage(directory).free // _BYTES_AN_OPERATION)
        trace = directory / "soak.parquet"
        generate("zipf_bench", trace, operations=operations, seed=seed)
        for loop, events in _REPLAYS.items():
            command = [
                str(Path(sys.executable).with_name("pipeline")), "replay", str(trace),
                "-a", "global_pool", "-m", "modern-x86-64", "--cpus", "16", "--seed", str(seed),
                "--loop", loop, "--events", events, "-o", str(directory / loop),
            ]  # fmt: skip
            status, resident = _watch(command)
            result.tries[f"operations, {loop} loop"] += operations
            growth = growth_of(resident)
            over_time = ", ".join(str(size >> 20) for size in resident[:: len(resident) // _SHOWN or 1])
            print(
                f"  {loop}: {max(resident, default=0) >> 20} MB at most, grew by {growth >> 20} MB; "
                f"over time: {over_time} MB",
                flush=True,
            )
            if status != 0 or growth > MOST_GROWTH_BYTES:
                keep.mkdir(parents=True, exist_ok=True)
                what = f"exit status {status}" if status else f"memory grew by {growth >> 20} MB"
                result.fail(
                    f"{loop} loop, {operations:,} operations of zipf_bench, seed {seed}: {what}", keep
                )
            shutil.rmtree(directory / loop, ignore_errors=True)
    return result


def growth_of(resident: list[int]) -> int:
    """By how much the most memory of the last third exceeds that of the part before it, without the start."""
    first, last = int(len(resident) * _BEFORE_FLAT), len(resident) * 2 // 3
    return max(resident[last:], default=0) - max(resident[first:last], default=0)


def _watch(command: list[str]) -> tuple[int, list[int]]:
    """Run a command to its end; return its status, and its resident memory in bytes from time to time."""
    resident: list[int] = []
    page = os.sysconf("SC_PAGE_SIZE")
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            try:
                words = Path(f"/proc/{process.pid}/statm").read_text(encoding="ascii").split()
            except (OSError, ValueError):
                break
            if len(words) > 1:
                resident.append(int(words[1]) * page)
            time.sleep(0.1)
        status = process.wait()
    return status, resident
