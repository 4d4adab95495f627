"""Compare the speed of the compiled engine with the same machine and design written in C++.

    python benchmarks/reference.py [--operations 4000000] [--write]

`reference.cpp` is compiled with g++ -O3. Both programs replay the same trace alternately, in separate
processes, with the rows of the log in memory. Counters, simulated time, the time of every CPU and the hash of
the log must be equal. `--write` writes the table to docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from engine_alone import engine_alone
from performance_page import write_part

from pipeline.machine.drive import COLUMNS, TIMES
from pipeline.machine.profile import load_profile
from pipeline.runs.feed import CHUNK_ROWS, take_census
from pipeline.trace.reader import numpy_column, open_trace
from pipeline.workload.generate import generate

MACHINES = ("modern-x86-64", "numaq16")
WORKLOAD = "zipf_bench"
CPUS = 16
SLOTS = 1_024
COMPILER = ("g++", "-std=c++20", "-O3", "-march=native")

_ROW = np.dtype(
    [*((name, "i8") for name in (*TIMES, "page", "op")), ("task", "i4"), ("kind", "i4")], align=True
)
"""Layout of a row in reference.cpp (TraceRow)."""


def write_rows(trace: Path, to: Path) -> None:
    """Write the rows of the trace in the layout of reference.cpp."""
    first_op = 0
    with to.open("wb") as file:
        for batch in open_trace(trace).batches(COLUMNS):
            rows = np.zeros(batch.num_rows, _ROW)
            for name in (*TIMES, "page", "task", "kind"):
                rows[name] = numpy_column(batch, name)
            rows["op"] = np.arange(first_op, first_op + len(rows))
            first_op += len(rows)
            rows.tofile(file)


def write_parameters(trace: Path, machine: str, to: Path) -> None:
    """Write the costs of the machine and the sizes of the trace, one name and number per line."""
    opened = open_trace(trace)
    census = take_census(opened)
    assert census.levels == 1, "reference.cpp does not support nested mappings"
    profile = load_profile(machine).with_cpus(CPUS)
    record = profile.record()
    given = {name: int(record[0][name]) for name in record.dtype.names}
    given |= {f"node{cpu}": profile.node_of(cpu) for cpu in range(CPUS)}
    given |= {
        "seed": 0, "cpus": CPUS, "slots": SLOTS, "chunk_rows": CHUNK_ROWS, "rows": opened.rows,
        "tasks": census.tasks, "pages": census.pages, "longest_think_ns": census.longest_think_ns,
    }  # fmt: skip
    to.write_text("".join(f"{name} {value}\n" for name, value in given.items()), encoding="utf-8")


def compile_reference(folder: Path) -> Path:
    """Compile reference.cpp."""
    program = folder / "reference"
    source = Path(__file__).with_suffix(".cpp")
    subprocess.run([*COMPILER, "-o", str(program), str(source)], check=True)
    return program


def check_equal(engine: dict[str, Any], reference: dict[str, Any]) -> None:
    """Exit unless all results of both programs are equal."""
    differing = [name for name in reference if name != "cpu_seconds" and reference[name] != engine[name]]
    for name in differing:
        print(f"{name}: engine {engine[name]}, reference {reference[name]}", file=sys.stderr)
    if differing:
        sys.exit("the results of the reference and the engine differ")


def compare(trace: Path, machine: str, program: Path, folder: Path, repeats: int) -> list[str]:
    """Replay the trace alternately with both programs; return one row of the table."""
    rows, parameters = folder / "rows", folder / f"{machine}.parameters"
    if not rows.exists():
        write_rows(trace, rows)
    write_parameters(trace, machine, parameters)
    commands = {
        "engine": [sys.executable, __file__, "--engine", machine, str(trace)],
        "reference": [str(program), str(parameters), str(rows)],
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(repeats):
        found = {}
        for name, command in commands.items():
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found[name] = json.loads(done.stdout.splitlines()[-1])
            seconds[name].append(found[name]["cpu_seconds"])
        check_equal(found["engine"], found["reference"])
    operations = found["engine"]["operations"]
    ratio = statistics.median(e / r for e, r in zip(seconds["engine"], seconds["reference"], strict=True))
    figures = [
        f"{1e9 * pick(seconds[name]) / operations:.0f}"
        for name in commands
        for pick in (statistics.median, min)
    ]
    return [
        f"`{machine}`",
        *figures,
        f"{ratio:.2f}",
        f"{min(seconds['engine']) / min(seconds['reference']):.2f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--operations", type=int, default=4_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="write the table to docs/performance.md")
    parser.add_argument("--engine", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.engine:
        machine, trace = options.engine
        print(json.dumps(engine_alone(Path(trace), machine, CPUS)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        trace = folder / "trace.parquet"
        generate(WORKLOAD, trace, operations=options.operations)
        program = compile_reference(folder)
        rows = [compare(trace, machine, program, folder, options.repeats) for machine in MACHINES]
    text = "\n".join(
        [
            f"{options.operations:,} operations of `{WORKLOAD}`, `global_pool` with {SLOTS:,} slots, {CPUS} "
            f"CPUs; CPU time per operation in ns, {options.repeats} processes of each, alternating; "
            f"`{' '.join(COMPILER)}`, Python {platform.python_version()}. Target: at most 1.2 times the "
            "reference.",
            "",
            "| machine | engine, median | minimum | C++, median | minimum | engine / C++ | ratio of minima |",
            "| --- | --- | --- | --- | --- | --- | --- |",
            *(f"| {' | '.join(row)} |" for row in rows),
            "",
        ]
    )
    print(text)
    if options.write:
        write_part("reference", __file__, text)


if __name__ == "__main__":
    main()
