"""Fingerprints of whole runs, pinned.

A fingerprint that changes means that a result changed: somebody's published run can no longer be repeated.
That is right when the simulation was wrong or the log says more than before, and then the commit says so; it
is never right for a change that was to make something faster or tidier. The failing test prints the table to
paste.
"""

from __future__ import annotations

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

EXPECTED: dict[str, str] = {
    "build closed direct_map": "fc159a17058834dfa152a7c6f357fbc5",
    "build closed global_pool": "642fa9e43c3ea036944aabb0997a3fa2",
    "build closed percpu_pinned": "7ba6ee478d6cc8c7ad5857e67ff30b37",
    "build timed direct_map": "31cef1e2cc154dc86d98c0faa0e1d189",
    "build timed global_pool": "7a2574cf0b55b4778b4edacf622bcab6",
    "build timed percpu_pinned": "583e8fa6b6476bc6342d0b75df1c96b3",
    "build closed always_flush": "7b86ca54f9dc8d4094049da480a16757",
    "build closed atomic": "0d424aab73ea52e1847bf81ebc169982",
    "build closed clairvoyant": "60a2eae630178f54bb7ab714fab45556",
    "build closed deferred_flush": "f549b3f2deb08313f842eb8fc74f1775",
    "build closed epoch_pool": "037ab3ffce99bb54e2fd011bc3b98768",
    "build closed global_pool_invlpg": "a5e080ef8dad066d37d2a9e55e9d6aba",
    "build closed kmap_local": "3067b3eb86398b6406eade7f0f84b8b0",
    "build closed lockless_pool": "28e5fac18173ac38135e35071ff139ba",
    "build closed per_process": "fa3c812b5da1a4a9e3c960259624137c",
    "build closed percpu_cached": "8f7f949c1756b88c0fb482956789f9af",
    "build closed series_pool": "6b4179c17256cb54f90e482328001455",
    "build closed sf_buf": "866cc28b60e0b60693b61f61537aac6d",
    "build closed split_pool": "a1767d66e19d7664cc729295af14d7a5",
    "storm closed direct_map": "cb7066115900b60e5ab1f89f1881303c",
    "storm closed global_pool": "30fb247fc2ec02079f54d3814122c92e",
    "storm closed percpu_pinned": "af0104e3d56ae9f2e93ce81c932584fb",
    "storm timed direct_map": "73cff337c62cb76594a357f3df86d3cf",
    "storm timed global_pool": "119e06aaa3ce105dd03b9d6eb9bdc109",
    "storm timed percpu_pinned": "7e9211f344fed27421f237e5c7c79da1",
    "recorded closed direct_map": "227385d7af2d0ba8ba8e405be94278a4",
    "recorded closed global_pool": "2b9664cef8cd0e84f85370eadfd84e64",
    "recorded closed percpu_pinned": "cee2dd7d044bd7d0de671ecafec6413b",
    "recorded timed direct_map": "18a96d299503769bb3cd410c2bc37a82",
    "recorded timed global_pool": "32b63ece603b52ca7c3eb3908abc92dd",
    "recorded timed percpu_pinned": "b238bdcea5d1cb6e86862ca2d37fe791",
}


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
        if name == "build":
            for allocator in sorted(set(shipped_allocators()) - set(ALLOCATORS)):
                # So few slots that every pool wraps: until then many do the same.
                small = {o.name: "64" for o in load_allocator(allocator).options if o.name == "slots"}
                run = replayed(trace, directory / "runs", allocator, options=small, cpus=cpus)
                found[f"{name} closed {allocator}"] = run.manifest.fingerprint
    return found


def test_results_are_what_they_always_were(fingerprints):
    table = "\n".join(f'    "{name}": "{fingerprint}",' for name, fingerprint in fingerprints.items())
    if fingerprints != EXPECTED:
        changed = [name for name in fingerprints if fingerprints[name] != EXPECTED.get(name)]
        pytest.fail(f"changed: {', '.join(changed)}\nEXPECTED = {{\n{table}\n}}", pytrace=False)


def test_runs_that_differ_in_anything_have_other_fingerprints(fingerprints):
    assert len(set(fingerprints.values())) == len(fingerprints)
