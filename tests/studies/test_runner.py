"""A runner makes the run of each experiment once, with its configuration."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import PipelineError
from pipeline.io.toml_overrides import toml_text, toml_value
from pipeline.studies.experiment import Experiment, change_costs, scale_tasks
from pipeline.studies.point import Point
from pipeline.studies.runner import Runner, open_runner
from pipeline.sweeps.directory import create_sweep

STORM = Experiment(
    "fault_storm",
    "global_pool",
    "numaq16",
    400,
    {"tasks": 40, "start": {"dist": "uniform", "low_ns": 0, "high_ns": 9}},
    {"slots": 16},
    cpus=4,
)


def test_changed_prices_reach_the_machine_and_nothing_else(tmp_path: Path) -> None:
    runner = Runner(create_sweep(tmp_path / "sweep"))
    whole = runner.manifest(STORM)
    free = runner.manifest(replace(STORM, machine_changes=change_costs(scan_slot_ns=0)))
    assert free.trace.sha256 == whole.trace.sha256
    changed = {
        name for name, cost in whole.machine.costs.items() if cost.value != free.machine.costs[name].value
    }
    assert changed == {"scan_slot_ns"}
    assert Point.of(free).cpu_ns("scan") < Point.of(whole).cpu_ns("scan")


def test_each_run_is_made_once(tmp_path: Path) -> None:
    made: list[int] = []
    runner = Runner(create_sweep(tmp_path / "sweep"), made.append)
    again, other = replace(STORM), replace(STORM, operations=401)
    first, second, third = runner.make([STORM, again, other])
    assert first is second is runner.manifest(again)
    assert third.totals.operations == 401
    assert sum(made) == 2


def test_values_of_a_profile_that_are_no_costs_are_changed_too(tmp_path: Path) -> None:
    runner = Runner(create_sweep(tmp_path / "sweep"))
    fair = runner.manifest(replace(STORM, machine_changes={"arbitration": "fifo"}))
    assert fair.machine.costs["arbitration"].value == "fifo"
    assert fair.machine.name == "numaq16"


def test_a_point_stands_beside_the_lower_bounds_run_of_the_same_trace(tmp_path: Path) -> None:
    runner = Runner(create_sweep(tmp_path / "sweep"))
    own, lower = runner.make([STORM, replace(STORM, allocator="direct_map", options={})])
    point, bound = Point.of(own, lower.totals), Point.of(lower)
    assert (point.allocator, point.cpus) == ("global_pool", 4)
    assert point.totals.operations == point.lower.operations == 400
    assert 0.0 < point.share < 1.0
    assert (bound.share, bound.dearer_us) == (1.0, 0.0)


def test_runs_stay_where_they_are_to_be_kept(tmp_path: Path) -> None:
    with open_runner("making runs", tmp_path / "kept") as runner:
        assert runner.directory.path == tmp_path / "kept"
    with open_runner("making runs") as runner:
        directory = runner.directory.path
    assert not directory.exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(PipelineError, match="file"), open_runner("making runs", tmp_path / "file"):
        pass


@pytest.mark.parametrize("value", [3, 1.5, True, "all", {"dist": "constant", "ns": 5}, {"a": {"b": [1, 2]}}])
def test_a_value_survives_the_command_line(value: object) -> None:
    assert toml_value(toml_text(value)) == value


def test_tasks_follow_the_cpus() -> None:
    assert scale_tasks("read_one_byte", "numaq16", 16) == {"tasks": 16}
    assert scale_tasks("read_one_byte", "numaq16", 64) == {"tasks": 64}
    assert scale_tasks("laptop", "numaq16", 1) == {"tasks": 1}


def test_a_recording_is_replayed_with_its_times_scaled_at_random(tmp_path: Path) -> None:
    recorded = Experiment("local", "direct_map", "modern-x86-64", cpus=4, recorded=True, jitter_percent=0.5)
    first, second = Runner(create_sweep(tmp_path / "sweep")).make([recorded, replace(recorded, seed=1)])
    assert first.trace.name == second.trace.name == "local"
    assert first.fingerprint != second.fingerprint
