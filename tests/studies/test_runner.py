"""A runner makes the runs that experiments say they are, each once."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import OutputError
from pipeline.io.toml_overrides import toml_text, toml_value
from pipeline.studies.experiment import Experiment, change_costs, scale_tasks
from pipeline.studies.point import Point
from pipeline.studies.runner import Runner, open_runner
from tests.cli.command import answer

STORM = Experiment(
    "fault_storm",
    "global_pool",
    "numaq16",
    400,
    {"tasks": 40, "start": {"dist": "uniform", "low_ns": 0, "high_ns": 9}},
    {"slots": 16},
    cpus=4,
)


@pytest.mark.parametrize("storm", [STORM, replace(STORM, seed=7, lowmem=("page_fault",))])
def test_the_commands_make_the_same_run(tmp_path: Path, storm: Experiment) -> None:
    generating, replaying = (shlex.split(command) for command in storm.commands())
    assert generating[0] == replaying[0] == "pipeline"
    answer(*generating[1:], cwd=tmp_path)
    directory = answer(*replaying[1:], cwd=tmp_path).strip()
    typed = json.loads((tmp_path / directory / "manifest.json").read_text())
    made = Runner(tmp_path / "made").manifest(storm)
    assert (typed["trace"]["sha256"], typed["totals"]) == (made.trace.sha256, made.totals.model_dump())
    assert typed["machine"] == made.machine.model_dump()
    assert typed["allocator"] == made.allocator.model_dump()


def test_changed_prices_reach_the_machine_and_nothing_else(tmp_path: Path) -> None:
    runner = Runner(tmp_path)
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
    runner = Runner(tmp_path, made.append)
    assert not runner.run(STORM).cached
    assert runner.run(STORM) is runner.run(replace(STORM))
    assert made == [1]
    assert Runner(tmp_path).run(STORM).cached
    assert not Runner(tmp_path).run(replace(STORM, operations=401)).cached


def test_a_point_stands_beside_the_lower_bounds_run_of_the_same_trace(tmp_path: Path) -> None:
    point = Runner(tmp_path).bounded_point(STORM, "a storm")
    assert (point.allocator, point.cpus, point.case, point.options["slots"]) == (
        "global_pool",
        4,
        "a storm",
        16,
    )
    assert point.totals.operations == point.lower.operations == 400
    assert 0.0 < point.share < 1.0
    bound = Runner(tmp_path).bounded_point(replace(STORM, allocator="direct_map", options={}))
    assert (bound.share, bound.dearer_us) == (1.0, 0.0)


def test_files_stay_where_they_are_to_be_kept(tmp_path: Path) -> None:
    with open_runner("making runs", tmp_path / "kept") as runner:
        assert runner.directory == tmp_path / "kept"
    with open_runner("making runs") as runner:
        directory = runner.directory
    assert not directory.exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file: cannot be"), open_runner("making runs", tmp_path / "file"):
        pass


def test_conditions_name_workload_profile_loop_and_seed() -> None:
    conditions = STORM.conditions()
    assert "fault_storm with tasks = 40" in conditions
    assert "profile numaq16" in conditions
    assert conditions.endswith("closed loop, seed 0")


@pytest.mark.parametrize("value", [3, 1.5, True, "all", {"dist": "constant", "ns": 5}, {"a": {"b": [1, 2]}}])
def test_a_value_survives_the_command_line(value: object) -> None:
    assert toml_value(toml_text(value)) == value


def test_tasks_follow_the_cpus() -> None:
    assert scale_tasks("read_one_byte", "numaq16", 16) == {"tasks": 16}
    assert scale_tasks("read_one_byte", "numaq16", 64) == {"tasks": 64}
    assert scale_tasks("laptop", "numaq16", 1) == {"tasks": 1}


def test_a_recording_is_replayed_as_it_is_by_one_command(tmp_path: Path) -> None:
    recorded = Experiment("local", "direct_map", "numaq16", cpus=4, recorded=True)
    (command,) = recorded.commands()
    assert command.startswith("pipeline replay local --allocator direct_map --machine numaq16 --cpus 4 ")
    assert Runner(tmp_path).manifest(recorded).trace.name == "local"
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
