"""The runs of claims: where the first sleep is, what pinning costs, how long mappings are held."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pipeline.studies.claims import per_cpu
from pipeline.studies.claims.simultaneous import HOLD_AT_ONCE, ONE_PAGE, find_first_sleep, hold_longer
from pipeline.studies.experiment import Experiment
from pipeline.studies.runner import Runner
from tests.studies.test_runner import STORM


def test_the_first_sleep_is_found_whatever_the_number_of_slots(tmp_path: Path) -> None:
    runner = Runner(tmp_path)
    few = replace(STORM, changes=HOLD_AT_ONCE | {"tasks": 20}, operations=20)
    assert find_first_sleep(runner, replace(few, options={"slots": 8}), 20) == 9
    assert find_first_sleep(runner, replace(few, options={"slots": 13}), 20) == 14
    assert find_first_sleep(runner, replace(few, options={"slots": 20}), 20) is None
    shared = replace(few, changes=few.changes | ONE_PAGE, options={"slots": 8})
    assert find_first_sleep(runner, shared, 20) is None


def test_waits_for_the_own_cpu_are_told_apart_by_whether_another_idles(tmp_path: Path) -> None:
    def pinned(cpus: int) -> per_cpu.Price:
        run = replace(STORM, allocator="percpu_pinned", options={}, cpus=cpus)
        return per_cpu.measure_price(Runner(tmp_path), run, "16 slots per CPU")

    one, four = pinned(1), pinned(4)
    assert one.point.totals.pin_waits > 0
    assert one.beside_idle_percent == 0.0
    assert four.beside_idle_percent > 0.0
    assert (one.point.address_space_pages, four.point.address_space_pages) == (16, 64)
    assert (one.point.hit_percent, one.point.per_map(one.point.totals.local_flushes)) == (0.0, 1.0)
    described = per_cpu.describe_prices([four], "w")
    assert f"{four.point.wall_s / (four.point.lower.wall_ns / 1e9):.2f} times" in described


def test_a_compile_held_longer_maps_more_at_once(tmp_path: Path) -> None:
    build = Experiment(
        "kernel_build", "global_pool", "numaq16", 3_000, {}, {"slots": 256}, cpus=16, events="full"
    )
    runner = Runner(tmp_path)
    real = hold_longer(runner, build)
    longer = hold_longer(runner, build, more_tasks=64, mean_block_ns=4_000_000)
    assert (real.tasks, longer.tasks) == (48, 112)
    assert longer.held_us > 4_000 > real.held_us
    for found in (real, longer):
        assert 0 < found.mean_mapped < found.point.totals.max_mapped
    assert longer.mean_mapped > 2 * real.mean_mapped
