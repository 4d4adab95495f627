"""The same inputs give the same log: the pinned fingerprints, however a run is made.

A try draws one of the fingerprints that are committed, and so were found on another machine, and makes that
run again in a process of its own: compiled or plain, with another seed of Python's hashes, on one CPU, from a
trace that is cut into row groups of another size, with all of the log, with stretches too, or with none.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq

from pipeline.allocators.registry import load_allocator
from pipeline.schema.trace_metadata import METADATA_KEY
from tests.campaigns.result import CampaignResult
from tests.runs.test_golden import ALLOCATORS, EXPECTED, TRACES

_REPLAY = """\
import json, os, sys
from pathlib import Path
from tests.runs.made import replayed

asked = json.loads(sys.argv[1])
if asked.pop("one_cpu"):
    os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1])
print(replayed(Path(asked.pop("trace")), Path(asked.pop("runs")), **asked).manifest.fingerprint)
"""
# Of an hour for all campaigns.
MINUTES = 4
_ROW_GROUPS = (None, 1, 7, 1_000_000)


def run(budget_s: float, seed: int, keep: Path) -> CampaignResult:
    """Make pinned runs in other ways until the time is over."""
    result = CampaignResult("determinism", seed)
    end_s = time.monotonic() + budget_s
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="determinism-") as scratch:
        directory = Path(scratch)
        while time.monotonic() < end_s:
            name = draw.choice(sorted(EXPECTED))
            asked = _draw_run(name, draw, directory)
            hashes = str(draw.randrange(1 << 32))
            found = _replay(asked, hashes)
            result.tries[_label(asked)] += 1
            if found != EXPECTED[name]:
                keep.mkdir(parents=True, exist_ok=True)
                kept = keep / f"run-{seed}-{result.tries.total()}.json"
                kept.write_text(json.dumps({"of": name, "PYTHONHASHSEED": hashes} | asked, indent=2) + "\n")
                result.fail(f"{name}: expected {EXPECTED[name]}, found {found}", kept)
    return result


def _draw_run(name: str, draw: random.Random, directory: Path) -> dict[str, object]:
    """The settings of the pinned run `name`, as `test_golden` has them, and a way to make it."""
    trace, loop, allocator = name.split(" ", 2)
    make, cpus = TRACES[trace]
    allocator, _, jitter = allocator.partition(", ")
    options = ALLOCATORS.get(allocator)
    if options is None:
        options = {o.name: "64" for o in load_allocator(allocator).options if o.name == "slots"}
    settings: dict[str, object] = {"allocator": allocator, "options": options, "cpus": cpus, "loop": loop}
    if jitter:
        settings |= {"options": {}, "seed": 1, "jitter_percent": 0.5}
    return settings | {
        "trace": str(_cut(make(directory), draw.choice(_ROW_GROUPS))),
        "runs": str(directory / "runs"),
        "fresh": True,
        "compiled": draw.random() < 0.7,
        "events": draw.choice(["full", "stretches", "none"]),
        "one_cpu": draw.random() < 0.5,
    }


def _cut(trace: Path, rows: int | None) -> Path:
    """The same trace in row groups of so many rows; None: as it was written."""
    if rows is None:
        return trace
    path = trace.with_name(f"{trace.stem}-{rows}.parquet")
    if not path.exists():
        table = pq.read_table(trace)
        with pq.ParquetWriter(path, table.schema) as out:
            out.write_table(table, rows)
            out.add_key_value_metadata({METADATA_KEY: pq.read_metadata(trace).metadata[METADATA_KEY]})
    return path


def _replay(asked: dict[str, object], hashes: str) -> str:
    """The fingerprint of one run, or what went wrong."""
    done = subprocess.run(
        [sys.executable, "-c", _REPLAY, json.dumps(asked)],
        capture_output=True, text=True, check=False, env=os.environ | {"PYTHONHASHSEED": hashes},
    )  # fmt: skip
    if done.returncode < 0:
        return f"an end by signal {-done.returncode}"
    lines = (done.stderr if done.returncode else done.stdout).strip().splitlines()
    return lines[-1] if lines else f"exit status {done.returncode}"


def _label(asked: dict[str, object]) -> str:
    how = "compiled" if asked["compiled"] else "plain"
    return f"{how}, events {asked['events']}"
