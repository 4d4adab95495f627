"""Plans: which runs a grid asks for, and what their keys depend on."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

from pipeline.allocators.registry import shipped_allocators
from pipeline.errors import InputError, UsageError
from pipeline.io.resources import shipped_files
from pipeline.sweeps import plan as planning
from pipeline.sweeps.grid import make_grid
from pipeline.sweeps.plan import PlannedRun, Planner

BASE: dict[str, Any] = {
    "trace": "kernel_build", "operations": 1000, "allocator": "global_pool", "machine": "modern-x86-64",
}  # fmt: skip


def planned(most: int = 1000, **change: Any) -> list[PlannedRun]:
    return Planner(make_grid(BASE | change), most).runs


def keys(**change: Any) -> list[str]:
    return [run.key for run in planned(**change)]


def test_every_combination_is_a_run():
    runs = planned(machine=["numaq16", "smp4-2002"], cpus=[1, 2, 4], options={"slots": "128..512"})
    assert len({run.key for run in runs}) == len(runs) == 2 * 3 * 3
    assert [run.options["slots"] for run in runs[:3]] == ["128", "256", "512"]


def test_a_factor_varies_only_where_it_means_something():
    runs = planned(
        trace=["local", "kernel_build"], allocator=["global_pool", "direct_map"],
        operations=[100, 200], options={"global_pool": {"slots": [128, 256]}},
    )  # fmt: skip
    found = sorted((run.trace.name, run.allocator, len(run.factors)) for run in runs)
    assert found == sorted(
        [("kernel_build", "global_pool", 1)] * 4 + [("kernel_build", "direct_map", 0)] * 2
        + [("local", "global_pool", 1)] * 2 + [("local", "direct_map", 0)]
    )  # fmt: skip


def test_a_product_of_options_of_other_designs_is_not_multiplied():
    names = ["global_pool", "percpu_pinned", "sf_buf", "lockless_pool"]
    options = {f"{name}.slots": "32..4096" for name in ("global_pool", "percpu_pinned")}
    assert Planner(make_grid(BASE | {"allocator": names, "options": options})).count == 8 + 8 + 1 + 1


def test_replications_are_other_traces_and_other_seeds_where_there_is_chance():
    fair = planned(replications=3)
    assert [(run.trace.seed, run.seed) for run in fair] == [(0, 0), (1, 0), (2, 0)]
    unfair = planned(replications=3, machine="numaq16", seed=5)
    assert [(run.trace.seed, run.seed) for run in unfair] == [(5, 5), (6, 6), (7, 7)]


def test_replications_of_a_recording_want_chance():
    recording = {name: value for name, value in BASE.items() if name != "operations"} | {"trace": "local"}
    with pytest.raises(UsageError, match="several replications of local: every seed gives this run"):
        Planner(make_grid(recording | {"replications": 2})).runs  # noqa: B018
    runs = Planner(make_grid(recording | {"replications": 2, "jitter": "0.5%"})).runs
    assert [run.seed for run in runs] == [0, 1]


def test_a_key_never_depends_on_a_name_or_path(tmp_path):
    shutil.copy(shipped_files("traces", ".parquet")["local"], tmp_path / "other.parquet")
    recording = {"trace": ["local", str(tmp_path / "other.parquet")], "operations": ()}
    grid = make_grid({name: value for name, value in (BASE | recording).items() if value})
    assert len(Planner(grid).runs) == 1
    shutil.copy(shipped_files("traces", ".toml")["kernel_build"], tmp_path / "mine.toml")
    assert keys(trace=str(tmp_path / "mine.toml")) == keys()


def test_a_value_given_as_it_is_anyway_is_the_same_run():
    assert keys(options={"slots": 1024}, cpus=64, costs={}, loop="closed") == keys(cpus=64)


@pytest.mark.parametrize(
    "change",
    [
        {"operations": 1001}, {"seed": 1}, {"workload": {"tasks": 7}}, {"options": {"slots": 64}},
        {"costs": {"switch_ns": 3}}, {"cpus": 3}, {"loop": "timed"}, {"lowmem": "page_fault"},
        {"jitter": "1%"}, {"events": "full"}, {"allocator": "atomic"}, {"machine": "numaq16"},
        {"trace": "laptop"},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_whatever_determines_a_run_is_in_its_key_and_its_point(change):
    (before,), (after,) = planned(), planned(**change)
    assert before.key != after.key
    assert before.point != after.point


def test_another_engine_gives_another_key_for_the_same_point(monkeypatch):
    (before,) = planned()
    monkeypatch.setattr(planning, "simulator_sha256", lambda _: "another")
    (after,) = planned()
    assert before.point == after.point
    assert before.key != after.key


def test_another_source_of_a_design_gives_another_key(tmp_path):
    path = tmp_path / "mine.py"
    text = shipped_allocators()["atomic"].read_text()
    path.write_text(text)
    (before,) = planned(allocator=str(path))
    path.write_text(text + "\n# changed\n")
    (after,) = planned(allocator=str(path))
    assert before.point == after.point
    assert before.key != after.key


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"trace": "kernel_bild"}, "unknown trace 'kernel_bild' (did you mean 'kernel_build'"),
        ({"allocator": "globl_pool"}, "unknown allocator 'globl_pool' (did you mean 'global_pool'"),
        ({"options": {"slos": 1}}, "unknown option 'slos'"),
        ({"options": {"slots": 1}}, "option slots expects 2..1048576, found '1'"),
        ({"machine": "numaq"}, "unknown machine 'numaq' (did you mean 'numaq16'"),
        ({"costs": {"switch": 1}}, "unknown cost 'switch' (did you mean 'switch_ns'"),
        ({"costs": {"switch_ns": "x"}}, "factor costs.switch_ns must be a whole number, found 'x'"),
        (
            {"lowmem": "page_fult"},
            "lowmem must be none or kinds joined by +, found 'page_fult' (did you mean",
        ),
        ({"loop": "open"}, "unknown loop 'open'"),
        ({"trace": "local"}, "factor operations applies to generated traces only"),
        ({"replications": 1001}, "the grid has 1,001 runs, more than 1,000; remove values, or allow them"),
    ],
)
def test_a_mistake_is_one_line(change, said):
    with pytest.raises(UsageError) as raised:
        planned(**change)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_value_that_does_not_fit_a_workload_names_its_file_and_the_change():
    with pytest.raises(InputError, match=r"traces/kernel_build.toml with tasks = \"many\": tasks: expected"):
        planned(workload={"tasks": "many"})


def test_a_trace_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(InputError, match="found no such file"):
        planned(trace=["kernel_build", str(tmp_path / "gone.parquet")])
