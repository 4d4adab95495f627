"""The runs of claims: what pinning costs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pipeline.studies.claims import per_cpu
from pipeline.studies.runner import Runner
from tests.studies.test_runner import STORM


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
