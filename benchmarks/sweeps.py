"""Measure what a sweep adds to its runs, and how busy it keeps the CPUs; print both as ratios.

    python benchmarks/sweeps.py [--write]

Overhead is CPU time a run, of supervisor and worker, beyond what the engine takes: the difference between a
sweep of many runs and one of few, so that starting the workers is in neither. Busy is the share of the time
of all CPUs, from the begin of the first run to the end of the last, in which a run was being made; and the
same from giving the command, which includes starting workers and generating the trace. What else the machine
does slows both down alike. `--write` puts the table into docs/performance.md.
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
WANTED_MS, WANTED_BUSY = 60.0, 0.95


def grid(runs: int, operations: int) -> Grid:
    """Runs of one trace on one machine, so many with other seeds."""
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
    """CPU time of this process and of those that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def measure_cpu(runs: int, directory: Path) -> tuple[float, float]:
    """CPU time of a sweep of short runs on one worker, and of the engine in it."""
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
    """Share of the CPUs' time in which runs were made: while they were, and since the command."""
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
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    write = parser.parse_args().write
    overheads, busy = [], []
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory() as name:
            overheads.append(measure_overhead_ms(Path(name)))
            busy.append(measure_busy(Path(name)))
            print(
                f"overhead {overheads[-1]:.1f} ms a run; busy {busy[-1][0]:.1%}, with start {busy[-1][1]:.1%}"
            )
    overhead_ms, (while_made, since_command) = min(overheads), max(busy)
    table = markdown_table(
        ("a sweep", "measured", "wanted", "measured / wanted"),
        [
            (f"overhead a run of {SHORT:,} operations", f"{overhead_ms:.1f} ms", f"<= {WANTED_MS:.0f} ms",
             f"{overhead_ms / WANTED_MS:.2f}"),
            (f"CPUs busy with {RUNS} runs of {LONG:,} operations", f"{while_made:.1%}",
             f">= {WANTED_BUSY:.0%}", f"{while_made / WANTED_BUSY:.2f}"),
            ("the same, with starting and ending the sweep", f"{since_command:.1%}", "", ""),
        ],
    )  # fmt: skip
    print(table)
    if write:
        write_part("sweeps", __file__, table)


if __name__ == "__main__":
    main()
