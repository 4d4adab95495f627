"""`pipeline compare`, on runs and on designs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.compare.compare import compare
from pipeline.compare.making import Conditions, make, parse_design
from pipeline.compare.render import render
from pipeline.compare.sides import Designs, find_sides
from pipeline.errors import InputError, UsageError
from pipeline.runs.execute import replay
from pipeline.runs.metrics import METRICS, select_metrics
from pipeline.sweeps.sweep import Means, Observer
from tests.cli.command import pipeline
from tests.runs.made import generated
from tests.sweeps.made import KILLS, design

ALL = select_metrics(None)
PLAIN = Means(workers=2, compiled=False)
FEW = Conditions("kernel_build", "modern-x86-64", 8, cpus=2, operations=60)


def compared(a: str, b: str, conditions: Conditions = FEW, **how):
    of_a, of_b = make([a, b], conditions, means=PLAIN)
    return compare((a, of_a), (b, of_b), how.pop("metrics", ALL), **how)


def test_a_design_against_itself_is_identical():
    found = compared("global_pool", "global_pool")
    assert found.verdict == "identical"
    assert found.exit_status() == 0
    assert "B does exactly what A does" in render(found, "text")
    assert "recorded settings are equal" in render(found, "text")


def test_a_price_that_rose_by_a_fifth_is_found_and_told_why():
    found = compared("kmap_local", "kmap_local:costs.invalidate_ns=180")
    (setting,) = found.settings
    assert setting.judgements["cpu"].verdict == "same", "a share of what an operation takes besides"
    strict = compared("kmap_local", "kmap_local:costs.invalidate_ns=180", margin=0.00001)
    assert strict.settings[0].judgements["cpu"].verdict == "worse"
    assert strict.exit_status() == 6
    text = render(strict, "text")
    assert "invalidate_ns 150 and 180" in text
    assert "flush 0.15 -> 0.18" in text


def test_options_without_effect_are_noted_once():
    notes: list[str] = []
    designs = ["percpu_pinned:slots=9", "percpu_pinned:slots=9:costs.invalidate_ns=180"]
    make(designs, replace(FEW, replications=1), means=PLAIN, observer=Observer(note=notes.append))
    assert notes == ["option slots of percpu_pinned has no effect: it requires overflow=global"]


def test_designs_are_paired_by_trace_and_seed_and_their_difference_is_told():
    found = compared("direct_map", "global_pool:slots=8", metrics=select_metrics(["map", "flushes"]))
    (setting,) = found.settings
    assert (setting.pairs, found.pairing.unpaired) == (8, 0)
    assert {j.verdict for j in setting.judgements.values()} == {"worse"}
    assert list(found.pairing.differ) == ["design", "source"]
    content = json.loads(render(found, "json"))
    assert content["verdict"] == "worse"
    assert content["settings"][0]["metrics"]["flushes"]["ratio"] is None
    assert content["settings"][0]["metrics"]["map"]["p_value"] == 2 / 2**8
    assert "| flushes |" in render(found, "md")


def runs(directory: Path, allocator: str, name: str = "kernel_build", **how) -> Path:
    trace = generated(directory, name, how.pop("operations", 60))
    for cpus in how.pop("cpus", [2]):
        replay(
            trace, allocator=allocator, machine=how.get("machine", "modern-x86-64"), cpus=cpus, events="none",
            compiled=False, output=directory / (how.get("output") or allocator),
        )  # fmt: skip
    return directory / (how.get("output") or allocator)


def sides(a: Path, b: Path, **how):
    return find_sides(str(a), str(b), Designs(**how))


def test_settings_that_both_have_are_judged_apart_and_one_decides(tmp_path):
    a = runs(tmp_path, "direct_map", cpus=[1, 2, 4])
    b = runs(tmp_path, "global_pool", cpus=[2, 4, 8])
    found = compare(*sides(a, b), ALL)
    assert [setting.name for setting in found.settings] == ["2 CPUs", "4 CPUs"]
    assert found.pairing.unpaired == 2
    assert found.exit_status() == 7
    assert found.exit_status(undecided_passes=True) == 0
    text = render(found, "text")
    assert "2 runs without a counterpart" in text
    assert "pairs of different runs are needed" in text


@pytest.mark.parametrize(
    ("b", "said"),
    [
        ({"allocator": "global_pool", "name": "zipf_bench"}, "replayed different traces"),
        ({"allocator": "global_pool", "operations": 80}, "replayed different traces"),
        ({"allocator": "global_pool", "cpus": [4, 8]}, "no CPUs in common"),
    ],
)
def test_runs_that_cannot_be_compared_are_refused_with_what_differs(b, said, tmp_path):
    a = runs(tmp_path, "direct_map")
    with pytest.raises(InputError, match=said):
        compare(*sides(a, runs(tmp_path / "b", output="b", **b)), ALL)


def test_a_run_with_findings_is_refused(tmp_path):
    trace = generated(tmp_path, "kernel_build", 60)
    for name in ("a", "b"):
        replay(trace, allocator="direct_map", machine="modern-x86-64", compiled=False, output=tmp_path / name)
    (manifest,) = (tmp_path / "b").glob("*/manifest.json")
    content = json.loads(manifest.read_text())
    content["findings"] = [{"finding": "stale_translation", "time_ns": 1, "message": "task 1 used it"}]
    manifest.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"B: direct_map .* ended with stale_translation"):
        compare(*sides(tmp_path / "a", tmp_path / "b"), ALL)


def test_what_is_no_side_is_named(tmp_path):
    a = runs(tmp_path, "direct_map")
    with pytest.raises(UsageError, match="nowhere: found no run"):
        find_sides(str(a), "nowhere", Designs())
    with pytest.raises(UsageError, match="give --trace and --machine"):
        find_sides("global_pool", "atomic", Designs())
    with pytest.raises(UsageError, match="give --machine"):
        find_sides("global_pool", "atomic", Designs(trace="kernel_build"))
    with pytest.raises(UsageError, match="expected NAME:OPTION=VALUE, found 'slots'"):
        parse_design("global_pool:slots")
    with pytest.raises(UsageError, match="cost walk_ns must be a whole number"):
        parse_design("global_pool:costs.walk_ns=much")
    with pytest.raises(UsageError, match="unknown option of global_pool 'nosuch'"):
        make(["global_pool:nosuch=1"], FEW, means=PLAIN)
    with pytest.raises(UsageError, match="--ops is supported for workloads only"):
        make(["global_pool"], Conditions("local", "numaq16", 1, operations=50), means=PLAIN)
    with pytest.raises(UsageError, match="omit --machine and --cpus"):
        find_sides(str(a), str(a), Designs(machine="numaq16", cpus=2))
    with pytest.raises(UsageError, match="did you mean 'throughput'"):
        select_metrics(["thruput"])


def test_a_design_whose_runs_fail_is_an_error_and_no_verdict(tmp_path):
    bad = design(tmp_path, "bad", KILLS)
    with pytest.raises(InputError, match="runs failed"):
        make(["direct_map", bad], Conditions("kernel_build", "modern-x86-64", 1, operations=20), means=PLAIN)


def test_a_recording_is_scaled_at_random_or_every_replication_would_be_the_same_run():
    designs = Designs("local", "modern-x86-64", replications=2, means=PLAIN)
    _, (_, b) = find_sides("direct_map", "direct_map:machine=laptop-up-2002", designs)
    assert [m.jitter_percent for m in b] == [0.5, 0.5]
    assert len({m.fingerprint for m in b}) == 2


def test_every_metric_says_which_way_is_better():
    assert [name for name, metric in METRICS.items() if metric.more_is_better] == ["throughput"]


def test_the_command_ends_with_the_verdicts_status(tmp_path):
    common = ["-t", "kernel_build", "-m", "modern-x86-64", "--ops", "400", "--cpus", "2", "-n", "8"]
    same = pipeline("compare", "direct_map", "direct_map", *common, cwd=tmp_path)
    assert (same.returncode, same.stderr) == (0, "")
    worse = pipeline(
        "compare", "direct_map", "global_pool", *common, "--metric", "map", "-o", "kept", cwd=tmp_path
    )
    assert worse.returncode == 6
    assert worse.stdout.startswith("B is worse than A in request to mapped: -")
    again = pipeline("compare", "kept", "kept", "--format", "json", cwd=tmp_path)
    assert json.loads(again.stdout)["verdict"] == "identical"
    missing = pipeline("compare", "kept", "other", cwd=tmp_path)
    assert (missing.returncode, missing.stdout) == (2, "")


def test_two_traces_are_compared_by_what_they_ask_for(tmp_path):
    a, b = (generated(tmp_path, name, 500) for name in ("kernel_build", "zipf_bench"))
    done = pipeline("compare", str(a), str(b), cwd=tmp_path)
    assert done.returncode == 0
    assert "there is no verdict" in done.stdout
    assert "share of page_fault" in done.stdout
    same = json.loads(pipeline("compare", str(a), str(a), "--format", "json", cwd=tmp_path).stdout)
    assert same["identical"]
    assert all(x == y for x, y in same["figures"].values())
    other = pipeline("compare", str(a), "global_pool", cwd=tmp_path)
    assert (other.returncode, other.stdout) == (2, "")
