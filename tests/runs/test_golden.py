"""Fingerprints of whole runs, pinned.

A fingerprint that changes means that a result changed: somebody's published run can no longer be repeated.
That is right when the simulation was wrong or the log says more than before, and then the commit says so; it
is never right for a change that was to make something faster or tidier. `make goldens` writes them again.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pipeline.allocators.registry import load_allocator, shipped_allocators
from tests.runs.made import build_trace, recorded_trace, replayed, storm_trace

TRACES = {"build": (build_trace, 16), "storm": (storm_trace, 8), "recorded": (recorded_trace, 4)}
# Few enough slots for the storm to sleep.
ALLOCATORS = {
    "direct_map": {},
    "global_pool": {"slots": "256"},
    "percpu_pinned": {"slots_per_cpu": "4"},
}

GOLDENS = Path(__file__).with_name("goldens.json")
EXPECTED: dict[str, str] = json.loads(GOLDENS.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def fingerprints(tmp_path_factory) -> dict[str, str]:
    directory: Path = tmp_path_factory.mktemp("golden")
    found = {}
    for name, (make, cpus) in TRACES.items():
        trace = make(directory)
        for loop in ("closed", "timed"):
            for allocator, options in ALLOCATORS.items():
                run = replayed(trace, directory / "runs", allocator, options=options, cpus=cpus, loop=loop)
                found[f"{name} {loop} {allocator}"] = run.manifest.fingerprint
            run = replayed(trace, directory / "runs", cpus=cpus, loop=loop, seed=1, jitter_percent=0.5)
            found[f"{name} {loop} global_pool, jitter 0.5 %"] = run.manifest.fingerprint
        if name == "build":
            for allocator in sorted(set(shipped_allocators()) - set(ALLOCATORS)):
                # So few slots that every pool wraps: until then many do the same.
                small = {o.name: "64" for o in load_allocator(allocator).options if o.name == "slots"}
                run = replayed(trace, directory / "runs", allocator, options=small, cpus=cpus)
                found[f"{name} closed {allocator}"] = run.manifest.fingerprint
    return found


def test_results_are_what_they_always_were(fingerprints):
    if os.environ.get("UPDATE_GOLDENS"):
        GOLDENS.write_text(json.dumps(dict(sorted(fingerprints.items())), indent=2) + "\n", encoding="utf-8")
        return
    changed = [name for name in EXPECTED if fingerprints.get(name) != EXPECTED[name]]
    assert changed == [], "if that is meant, say why in the commit, and run 'make goldens'"
    if new := sorted(set(fingerprints) - set(EXPECTED)):
        pytest.skip(f"not pinned yet: {', '.join(new)}; run 'make goldens'")


def test_runs_that_differ_in_anything_have_other_fingerprints(fingerprints):
    assert len(set(fingerprints.values())) == len(fingerprints)
