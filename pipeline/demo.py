"""The demonstration: a recording and synthetic workloads with three designs, and a report for each trace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.report.report import report
from pipeline.runs.execute import replay
from pipeline.workload.generate import generate

ALLOCATORS = ("global_pool", "percpu_pinned", "direct_map")


@dataclass(frozen=True)
class Scene:
    """One trace of the demonstration: a shipped recording, or `operations` operations of a workload."""

    name: str
    machine: str
    operations: int | None
    why: str


SCENES = (
    Scene("local", "smp4-2002", None, "a recording of a compile, tar, grep and python"),
    Scene("kernel_build", "numaq16", 300_000, "the 16-way kernel compile of 2002"),
    Scene("fault_storm", "numaq16", 100_000, "more faulting tasks than slots, so that tasks sleep"),
)


def demo(output: Path, say: Callable[[str], None]) -> list[Path]:
    """Replay each scene with each design, write a report for each scene, and return the reports' paths.

    Traces, runs and reports are written to `output`. `say` is called with a line for each step. Existing runs
    are not repeated.
    """
    reports = []
    for scene in SCENES:
        say(f"{scene.name}: {scene.why}, on {scene.machine}")
        trace: str | Path = scene.name
        if scene.operations is not None:
            trace = output / f"{scene.name}.parquet"
            generate(scene.name, trace, operations=scene.operations)
        runs = []
        for allocator in ALLOCATORS:
            run = replay(trace, allocator=allocator, machine=scene.machine, output=output / "runs")
            totals = run.manifest.totals
            say(
                f"  {allocator:<14} {totals.operations:>9,} operations in {totals.wall_ns / 1e9:8.3f} s "
                f"simulated: {totals.flushes:,} flushes, {totals.sleeps:,} sleeps"
            )
            runs.append(run.path)
        page = output / f"{scene.name}.html"
        reports.append(report(runs, page, command=f"pipeline demo -o {output}"))
    return reports
