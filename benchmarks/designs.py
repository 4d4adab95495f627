"""Compare the replay time of each kmap design, with its default options, with that of global_pool.

    python benchmarks/designs.py [--operations 400000] [--rounds 5] [--write]

Only the CPU time of the compiled engine is measured, because reading and writing take the same time for all
designs. The designs alternate in one process. Each ratio compares measurements that follow each other, so
that it remains valid if the speed of the machine drifts. The table shows the median of the rounds. `--write`
writes it to docs/performance.md. The exit status is 1 if a design other than a bound takes more than TARGET
times as long.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from engine_alone import engine_alone
from performance_page import write_part

from pipeline.allocators.registry import kmap_allocators, load_allocator
from pipeline.io.tables import markdown_table
from pipeline.workload.generate import generate

WORKLOADS = ("zipf_bench", "kernel_build")
MACHINE, CPUS = "modern-x86-64", 16
BASE = "global_pool"
TARGET = 1.8


def ratios(operations: int, rounds: int) -> dict[str, list[float]]:
    """Return for each design its ratio on each of WORKLOADS."""
    allocators = sorted(set(kmap_allocators()) - {BASE})
    found: dict[str, list[float]] = {allocator: [] for allocator in allocators}
    with tempfile.TemporaryDirectory() as directory:
        for workload in WORKLOADS:
            trace = Path(directory) / f"{workload}.parquet"
            generate(workload, trace, operations=operations)
            measured: dict[str, list[float]] = {allocator: [] for allocator in allocators}
            # The first round loads and warms up the simulators and is not measured.
            for turn in range(rounds + 1):
                for allocator, ratio in _round(trace, allocators):
                    if turn > 0:
                        measured[allocator].append(ratio)
            for allocator, values in measured.items():
                found[allocator].append(statistics.median(values))
    return found


def _round(trace: Path, allocators: list[str]) -> Iterator[tuple[str, float]]:
    """Measure each design between two replays of BASE."""

    def seconds(allocator: str) -> float:
        return engine_alone(trace, MACHINE, CPUS, allocator)["cpu_seconds"]

    before_s = seconds(BASE)
    for allocator in allocators:
        taken_s = seconds(allocator)
        after_s = seconds(BASE)
        yield allocator, 2 * taken_s / (before_s + after_s)
        before_s = after_s


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--operations", type=int, default=400_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    found = ratios(given.operations, given.rounds)
    bounds = {allocator for allocator in found if load_allocator(allocator).bound}
    rows = [
        [f"`{allocator}`" + " (a bound)" * (allocator in bounds), *(f"{value:.2f}" for value in values)]
        for allocator, values in found.items()
    ]
    text = (
        f"Engine CPU time of each design with default options, relative to `{BASE}`, on `{MACHINE}` with "
        f"{CPUS} CPUs, {given.operations:,} operations, median of {given.rounds} rounds; target: at most "
        f"{TARGET:g}.\n\n" + markdown_table(["design", *(f"`{workload}`" for workload in WORKLOADS)], rows)
    )
    print(text)
    if given.write:
        write_part("designs", __file__, text)
    return int(any(max(found[allocator]) > TARGET for allocator in set(found) - bounds))


if __name__ == "__main__":
    sys.exit(main())
