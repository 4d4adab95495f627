"""Experiments make the runs that they say they make."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.io.toml_overrides import toml_text, toml_value
from pipeline.runs.figures import cpu_ns
from pipeline.studies.claims import per_cpu
from pipeline.studies.claims.bench import Bench, Experiment, tasks_per_cpu
from pipeline.studies.claims.registry import CLAIMS, chosen
from pipeline.studies.claims.simultaneous import HOLD_AT_ONCE, ONE_PAGE, first_sleep, held
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


def test_the_commands_make_the_same_run(tmp_path: Path) -> None:
    generating, replaying = (shlex.split(command) for command in STORM.commands())
    assert generating[0] == replaying[0] == "pipeline"
    answer(*generating[1:], cwd=tmp_path)
    directory = answer(*replaying[1:], cwd=tmp_path).strip()
    typed = json.loads((tmp_path / directory / "manifest.json").read_text())
    made = Bench(tmp_path / "bench").manifest(STORM)
    assert (typed["trace"]["sha256"], typed["totals"]) == (made.trace.sha256, made.totals.model_dump())
    assert typed["machine"] == made.machine.model_dump()
    assert typed["allocator"] == made.allocator.model_dump()


def test_changed_prices_reach_the_machine_and_nothing_else(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    whole, free = (bench.manifest(replace(STORM, costs=costs)) for costs in ({}, {"scan_slot_ns": 0}))
    assert free.trace.sha256 == whole.trace.sha256
    changed = {
        name for name, cost in whole.machine.costs.items() if cost.value != free.machine.costs[name].value
    }
    assert changed == {"scan_slot_ns"}
    assert cpu_ns(free.totals, ("scan",)) < cpu_ns(whole.totals, ("scan",))


def test_a_bench_makes_each_run_once(tmp_path: Path) -> None:
    assert not Bench(tmp_path).run(STORM).cached
    assert Bench(tmp_path).run(STORM).cached
    assert not Bench(tmp_path).run(replace(STORM, operations=401)).cached


def test_conditions_name_workload_profile_loop_and_seed() -> None:
    said = STORM.conditions()
    assert "fault_storm with tasks = 40" in said
    assert "profile numaq16" in said
    assert said.endswith("closed loop, seed 0")


@pytest.mark.parametrize("value", [3, 1.5, True, "all", {"dist": "constant", "ns": 5}, {"a": {"b": [1, 2]}}])
def test_a_value_survives_the_command_line(value: object) -> None:
    assert toml_value(toml_text(value)) == value


def test_tasks_follow_the_cpus() -> None:
    assert tasks_per_cpu("read_one_byte", "numaq16", 16) == {"tasks": 16}
    assert tasks_per_cpu("read_one_byte", "numaq16", 64) == {"tasks": 64}
    assert tasks_per_cpu("laptop", "numaq16", 1) == {"tasks": 1}


def test_the_first_sleep_is_found_whatever_the_number_of_slots(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    few = replace(STORM, changes=HOLD_AT_ONCE | {"tasks": 20}, operations=20)
    assert first_sleep(bench, replace(few, options={"slots": 8}), 20) == 9
    assert first_sleep(bench, replace(few, options={"slots": 13}), 20) == 14
    assert first_sleep(bench, replace(few, options={"slots": 20}), 20) is None
    shared = replace(few, changes=few.changes | ONE_PAGE, options={"slots": 8})
    assert first_sleep(bench, shared, 20) is None


def test_waits_for_the_own_cpu_are_told_apart_by_whether_another_idles(tmp_path: Path) -> None:
    def pinned(cpus: int) -> per_cpu.Price:
        run = Bench(tmp_path).run(
            replace(STORM, allocator="percpu_pinned", options={}, cpus=cpus, events="full")
        )
        return per_cpu.price(run, run.manifest.totals, "percpu_pinned, 16 slots per CPU")

    one, four = pinned(1), pinned(4)
    assert one.pin_waits > 0
    assert one.beside_idle_percent == 0.0
    assert four.beside_idle_percent > 0.0
    assert (one.address_space_pages, four.address_space_pages) == (16, 64)
    assert (one.hit_percent, one.invalidations_per_map) == (0.0, 1.0)
    assert "1.00 times" in per_cpu.paid([one], "w")


def test_a_compile_held_longer_maps_more_at_once(tmp_path: Path) -> None:
    build = Experiment("kernel_build", "global_pool", "numaq16", 3_000, {}, {"slots": 256}, cpus=16)
    bench = Bench(tmp_path)
    real = held(bench, build)
    longer = held(bench, build, more_tasks=64, mean_block_ns=4_000_000)
    assert (real.tasks, longer.tasks) == (48, 112)
    assert longer.mean_held_ns > 4_000_000 > real.mean_held_ns
    for found in (real, longer):
        assert 0 < found.mean_mapped < found.max_mapped
    assert longer.mean_mapped > 2 * real.mean_mapped


def test_letters_choose_claims_in_order_and_once() -> None:
    assert chosen([]) == tuple(CLAIMS) == tuple("abcdefghijk")
    assert chosen(["D", "a", "d"]) == ("a", "d")
    with pytest.raises(UsageError, match="unknown claim 'z'; known: a, b, c, d, e, f, g, h, i, j, k"):
        chosen(["a", "z"])


def test_a_recording_is_replayed_as_it_is_by_one_command(tmp_path: Path) -> None:
    recorded = Experiment("local", "direct_map", "numaq16", 0, cpus=4, recorded=True)
    (command,) = recorded.commands()
    assert command.startswith("pipeline replay local --allocator direct_map --machine numaq16 --cpus 4 ")
    assert Bench(tmp_path).manifest(recorded).trace.name == "local"
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
