"""Measure the overhead of a sweep per run and its CPU utilisation; print both as ratios.

    python benchmarks/sweeps.py [--write]

Overhead is the CPU time per run of supervisor and worker, without the time in the engine. It is the
difference between a sweep of many runs and a sweep of few, which excludes the start of the workers.
Utilisation is the fraction of the time of all CPUs that is spent on runs. It is measured from the start of
the first run to the end of the last, and also from the start of the command, including starting the workers
and generating the trace. Other load on the machine slows both down equally. `--write` writes the table to
docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

from performance_page import write_part

from pipeline.io.tables import markdown_table
from pipeline.sweeps.directory import open_sweep
from pipeline.sweeps.grid import Grid, make_grid
from pipeline.sweeps.sweep import Means, sweep

FEW, MANY, SHORT = 20, 220, 5_000
RUNS, LONG = 200, 100_000
REPEATS = 3
TARGET_MS, TARGET_BUSY = 60.0, 0.95


def grid(runs: int, operations: int) -> Grid:
    """Return a grid of `runs` runs of one trace on one machine, with different costs."""
    return make_grid(
        {
            "trace": "kernel_build", "operations": operations, "allocator": ["global_pool", "percpu_pinned"],
            "machine": "modern-x86-64", "costs": {"switch_ns": list(range(1_000, 1_000 + runs // 2))},
        }
    )  # fmt: skip


def done_lines(path: Path) -> list[dict[str, Any]]:
    files = open_sweep(path).journal.glob("*.states.jsonl")
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def cpu_s() -> float:
    """Return the CPU time of this process and of its finished children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def measure_cpu(runs: int, directory: Path) -> tuple[float, float]:
    """Return the CPU time of a sweep of short runs on one worker, and that of the engine in it."""
    before_s = cpu_s()
    sweep(grid(runs, SHORT), directory, means=Means(workers=1))
    spent_s = cpu_s() - before_s
    manifests = directory.glob("runs/*/manifest.json")
    engine_s = sum(json.loads(file.read_text())["execution"]["engine_s"] for file in manifests)
    return spent_s, engine_s


def measure_overhead_ms(directory: Path) -> float:
    few_s, few_engine_s = measure_cpu(FEW, directory / "few")
    many_s, many_engine_s = measure_cpu(MANY, directory / "many")
    return 1e3 * ((many_s - few_s) - (many_engine_s - few_engine_s)) / (MANY - FEW)


def measure_busy(directory: Path) -> tuple[float, float]:
    """Return the CPU utilisation by runs, during the runs and during the whole command."""
    cpus = len(os.sched_getaffinity(0))
    begun_s = time.time()
    sweep(grid(RUNS, LONG), directory / "long")
    ended_s = time.time()
    lines = done_lines(directory / "long")
    made_s = sum(line["elapsed_s"] for line in lines)
    first_s = min(line["at"] - line["elapsed_s"] for line in lines)
    last_s = max(line["at"] for line in lines)
    return made_s / (cpus * (last_s - first_s)), made_s / (cpus * (ended_s - begun_s))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the table to docs/performance.md")
    write = parser.parse_args().write
    overheads, busy = [], []
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory() as name:
            overheads.append(measure_overhead_ms(Path(name)))
            busy.append(measure_busy(Path(name)))
            print(
                f"overhead {overheads[-1]:.1f} ms per run; utilisation {busy[-1][0]:.1%}, "
                f"with start {busy[-1][1]:.1%}"
            )
    overhead_ms, (while_made, since_command) = min(overheads), max(busy)
    table = markdown_table(
        ("quantity", "measured", "target", "measured / target"),
        [
            (f"overhead per run of {SHORT:,} operations", f"{overhead_ms:.1f} ms", f"<= {TARGET_MS:.0f} ms",
             f"{overhead_ms / TARGET_MS:.2f}"),
            (f"CPU utilisation by {RUNS} runs of {LONG:,} operations", f"{while_made:.1%}",
             f">= {TARGET_BUSY:.0%}", f"{while_made / TARGET_BUSY:.2f}"),
            ("CPU utilisation, including start and end of the sweep", f"{since_command:.1%}", "", ""),
        ],
    )  # fmt: skip
    print(table)
    if write:
        write_part("sweeps", __file__, table)


if __name__ == "__main__":
    main()
