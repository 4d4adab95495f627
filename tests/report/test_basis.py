"""What a report says its figures rest on."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.allocators.registry import shipped_allocators
from pipeline.machine.catalogue import shipped_profiles
from pipeline.report.basis import describe_extrapolation, describe_fits, describe_yardsticks, yardsticks
from pipeline.report.report import report
from pipeline.runs.execute import replay
from pipeline.runs.store import Run, find_runs
from tests.runs.made import generated


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """One short run of each kind, by a word for it."""
    directory = tmp_path_factory.mktemp("basis")
    build, bench = (generated(directory, name, 60) for name in ("kernel_build", "zipf_bench"))
    runs = {
        "fitted": (build, "global_pool", "numaq16", 16),
        "other CPUs": (build, "global_pool", "numaq16", 4),
        "more CPUs": (build, "global_pool", "numaq16", 64),
        "other design": (build, "atomic", "numaq16", 16),
        "other workload": (bench, "global_pool", "numaq16", 16),
        "other machine": (build, "global_pool", "modern-x86-64", 16),
    }
    for trace, allocator, machine, cpus in runs.values():
        replay(
            trace, allocator=allocator, machine=machine, cpus=cpus, compiled=False,
            output=directory / "runs",
        )  # fmt: skip
    found = find_runs([directory / "runs"])
    return {
        word: next(
            run
            for run in found
            if (run.manifest.trace.name, run.manifest.allocator.name) == (trace.stem, allocator)
            and (run.manifest.machine.name, run.manifest.machine.cpus) == (machine, cpus)
        )
        for word, (trace, allocator, machine, cpus) in runs.items()
    }


def test_only_runs_like_the_measured_ones_count_as_fitted(made: dict[str, Run]) -> None:
    said = {word: describe_fits([run]).partition(":")[0] for word, run in made.items()}
    assert said.pop("fitted") == "Fitted"
    assert set(said.values()) == {"Predicted"}
    assert "no cost of modern-x86-64 is fitted" in describe_fits([made["other machine"]])
    both = describe_fits([made["fitted"], made["other design"]])
    assert both.startswith("Fitted: global_pool. Predicted: atomic. numaq16 was fitted to rows A and D")


def test_more_cpus_than_were_measured_are_extrapolation_beside_the_number(
    made: dict[str, Run], tmp_path: Path
) -> None:
    said = {word: describe_extrapolation(run.manifest) for word, run in made.items()}
    assert [word for word, text in said.items() if text] == ["more CPUs"]
    text = report([made["more CPUs"].directory], tmp_path / "r.md").read_text()
    assert said["more CPUs"] in text
    assert "†" in next(line for line in text.splitlines() if line.startswith("| 1 | global_pool"))
    assert "†" not in report([made["fitted"].directory], tmp_path / "s.md").read_text()


def test_a_report_names_the_yardsticks_that_each_design_has_passed(
    made: dict[str, Run], tmp_path: Path
) -> None:
    one = describe_yardsticks([made["fitted"]])
    assert "recorded pool of a kernel (all designs)" in one
    assert "lockmeter" in one
    two = describe_yardsticks([made["fitted"], made["other design"]])
    assert "recorded pool of a kernel (global_pool)" in two
    assert "lockmeter" not in describe_yardsticks([made["other machine"]])
    for form in ("md", "html"):
        assert (
            "Independent checks passed:"
            in report([made["fitted"].directory], tmp_path / f"r.{form}").read_text()
        )


def test_yardsticks_are_of_designs_and_machines_that_there_are() -> None:
    for yardstick in yardsticks():
        assert set(yardstick.designs) <= set(shipped_allocators())
        assert set(yardstick.machines) <= set(shipped_profiles())
