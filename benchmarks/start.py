"""Measure the time of short commands as whole processes, from start to end.

    python benchmarks/start.py [--rounds 9] [--write]

All commands run in turn, each in a separate process, for several rounds. The table shows the median and the
minimum of wall-clock and CPU time. Everything is compiled before, so the figures consist of imports, loading
and a little work. `--write` writes the table to docs/performance.md.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from performance_page import write_part

from pipeline.io.tables import markdown_table

OPERATIONS = 100
REPLAY = "replay t.parquet -a global_pool -m modern-x86-64 --fresh"
# Commands, with the target for their wall-clock time in seconds.
COMMANDS = {
    "--help": None,
    "replay --help": None,
    REPLAY: 0.45,
    f"{REPLAY} --events none -o totals": None,
    "warm -a global_pool": None,
    "machines": None,
    "sql -n lockmeter": None,
    "explain runs --op 5": None,
    "report -o report.md --force": None,
    "report -o report.html --force": None,
}


def run(command: str, directory: Path) -> tuple[float, float]:
    """Run `pipeline` with the arguments in `command`; return its wall-clock and CPU time in seconds."""
    program = Path(sys.executable).with_name("pipeline")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun_s = time.perf_counter()
    done = subprocess.run(
        [program, *command.split()], cwd=directory, capture_output=True, text=True, check=False
    )
    wall_s = time.perf_counter() - begun_s
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    return wall_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(rounds: int) -> dict[str, list[tuple[float, float]]]:
    found: dict[str, list[tuple[float, float]]] = {command: [] for command in COMMANDS}
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        run(f"generate zipf_bench -o t.parquet --ops {OPERATIONS}", directory)
        # The first round compiles, fills the file caches and makes runs for `sql`.
        for command in COMMANDS:
            run(command, directory)
        for _ in range(rounds):
            for command in COMMANDS:
                found[command].append(run(command, directory))
    return found


def table(found: dict[str, list[tuple[float, float]]]) -> str:
    rows = []
    for command, times in found.items():
        walls, cpus = zip(*times, strict=True)
        target = COMMANDS[command]
        rows.append(
            (
                f"`{command}`",
                f"{statistics.median(walls):.2f}",
                f"{min(walls):.2f}",
                f"{statistics.median(cpus):.2f}",
                f"{min(cpus):.2f}",
                f"<= {target}" if target else "",
            )
        )
    heads = ("command", "wall-clock s, median", "minimum", "CPU s, median", "minimum", "target, wall-clock")
    return markdown_table(heads, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--write", action="store_true", help="write the table to docs/performance.md")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    found = measure(options.rounds)
    text = (
        f"Whole processes with a trace of {OPERATIONS} operations and compiled code; {options.rounds} rounds "
        f"on {os.cpu_count()} CPUs, with a load average of {load:.1f} before.\n\n{table(found)}"
    )
    print(text)
    if options.write:
        write_part("start", __file__, text)


if __name__ == "__main__":
    main()
