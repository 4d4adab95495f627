"""Fingerprints of whole runs, pinned.

A fingerprint that changes means that a result changed: somebody's published run can no longer be repeated.
That is right when the simulation was wrong or the log says more than before, and then the commit says so; it
is never right for a change that was to make something faster or tidier. The failing test prints the table to
paste.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from .made import build_trace, recorded_trace, replayed, storm_trace

TRACES = {"build": (build_trace, 16), "storm": (storm_trace, 8), "recorded": (recorded_trace, 4)}
# Few enough slots for the storm to sleep.
DESIGNS = {
    "direct_map": {},
    "global_pool": {"slots": "256"},
    "percpu_pinned": {"slots_per_cpu": "4"},
}

EXPECTED: dict[str, str] = {
    "build closed direct_map": "ee10695d3bf0966d474a443dc78c0c23",
    "build closed global_pool": "2e88b92b759fe1be959d22cdae9c9023",
    "build closed percpu_pinned": "d379575791556901007065776cd71258",
    "build timed direct_map": "add20cfe2f4e58028677531826edadf9",
    "build timed global_pool": "1bd005abcb5539be8a011399e01cfb04",
    "build timed percpu_pinned": "0076800b8424a9996805ffb74b5ab0c7",
    "storm closed direct_map": "64719657d95114ba25d2731fb516924a",
    "storm closed global_pool": "3b7d63462fa2367362d97a3f79c614a0",
    "storm closed percpu_pinned": "db0a03a2cb52d3601d5fa67f4f1f195e",
    "storm timed direct_map": "df9f53ca51dcd47aa85b6d3f1e8cc329",
    "storm timed global_pool": "6ac1f7bf81dcae019cd28ff1887dd397",
    "storm timed percpu_pinned": "b7e2e4435be1dfe79a765e9109c25a91",
    "recorded closed direct_map": "ea70744f837d61852030d29c9eb5a02e",
    "recorded closed global_pool": "c14456bc2ffd200613b762485212a65c",
    "recorded closed percpu_pinned": "bc5c4472ea5a2d4174bea09b28bfcdcb",
    "recorded timed direct_map": "cfaf359a2023334e16d32855a409f312",
    "recorded timed global_pool": "ef1079df590dfc4ad5218f885b8fe0b9",
    "recorded timed percpu_pinned": "d243d8d68a62ceac883fd7ac355d1f28",
}


@pytest.fixture(scope="module")
def fingerprints(tmp_path_factory) -> dict[str, str]:
    directory: Path = tmp_path_factory.mktemp("golden")
    found = {}
    for name, (make, cpus) in TRACES.items():
        trace = make(directory)
        for loop in ("closed", "timed"):
            for design, options in DESIGNS.items():
                run = replayed(trace, directory / "runs", design, options=options, cpus=cpus, loop=loop)
                found[f"{name} {loop} {design}"] = run.manifest.fingerprint
    return found


def test_results_are_what_they_always_were(fingerprints):
    table = "\n".join(f'    "{name}": "{fingerprint}",' for name, fingerprint in fingerprints.items())
    if fingerprints != EXPECTED:
        changed = [name for name in fingerprints if fingerprints[name] != EXPECTED.get(name)]
        pytest.fail(f"changed: {', '.join(changed)}\nEXPECTED = {{\n{table}\n}}", pytrace=False)


def test_runs_that_differ_in_anything_have_other_fingerprints(fingerprints):
    assert len(set(fingerprints.values())) == len(fingerprints)
