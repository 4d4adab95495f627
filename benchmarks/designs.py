"""Compare how long the designs take to be replayed, each with its defaults, with global_pool.

    python benchmarks/designs.py [--operations 400000] [--rounds 5] [--write]

Only the compiled engine is timed, in CPU seconds: what reading and writing take is the same for all. The
designs take turns in one process, and a ratio is that of two neighbours in time, so that it holds where the
machine's speed drifts; the median of the rounds is given. `--write` puts the table into docs/performance.md.
Exit status 1: a design takes more than WANTED times as long. Bounds are shown and not held to that.
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

from pipeline.allocators.registry import load_allocator, shipped_allocators
from pipeline.io.tables import markdown_table
from pipeline.workload.generate import generate

WORKLOADS = ("zipf_bench", "kernel_build")
MACHINE, CPUS = "modern-x86-64", 16
BASE = "global_pool"
WANTED = 1.8


def ratios(operations: int, rounds: int) -> dict[str, list[float]]:
    """For each design its ratio on each of WORKLOADS."""
    allocators = sorted(set(shipped_allocators()) - {BASE})
    found: dict[str, list[float]] = {allocator: [] for allocator in allocators}
    with tempfile.TemporaryDirectory() as directory:
        for workload in WORKLOADS:
            trace = Path(directory) / f"{workload}.parquet"
            generate(workload, trace, operations=operations)
            measured: dict[str, list[float]] = {allocator: [] for allocator in allocators}
            # The first round loads and warms up what is timed in the others.
            for turn in range(rounds + 1):
                for allocator, ratio in _round(trace, allocators):
                    if turn > 0:
                        measured[allocator].append(ratio)
            for allocator, values in measured.items():
                found[allocator].append(statistics.median(values))
    return found


def _round(trace: Path, allocators: list[str]) -> Iterator[tuple[str, float]]:
    """Time each design between two replays of the one that it is compared with."""

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
        f"CPU time in the engine of each design with its defaults, over that of `{BASE}`, on `{MACHINE}` "
        f"with {CPUS} CPUs, {given.operations:,} operations, median of {given.rounds}; "
        f"wanted: at most {WANTED:g}.\n\n"
        + markdown_table(["design", *(f"`{workload}`" for workload in WORKLOADS)], rows)
    )
    print(text)
    if given.write:
        write_part("designs", __file__, text)
    return int(any(max(found[allocator]) > WANTED for allocator in set(found) - bounds))


if __name__ == "__main__":
    sys.exit(main())
