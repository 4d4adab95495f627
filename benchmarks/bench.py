"""Measure the speed and memory use of a replay and print the ratios.

    python benchmarks/bench.py [--operations 10000000] [--write]

Each figure is the median of several measurements in separate processes. The processes of different figures
alternate, so that ratios remain valid if the speed of the machine drifts. `--write` writes the table to
docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine_alone import engine_alone
from performance_page import write_part
from thread_times import thread_times

CPUS = 16
MACHINE = "modern-x86-64"
# On this machine, nearly every lock acquisition is contended.
CONVOY = "numaq16"
WORKLOAD = "zipf_bench"
REPEATS = 3
SIMPY_OPERATIONS = 20_000


def measure_generate(trace: str, operations: int) -> dict[str, float]:
    from pipeline.workload.generate import generate

    begun = time.perf_counter()
    generate(WORKLOAD, Path(trace), operations=operations)
    return {"seconds": time.perf_counter() - begun}


def _engine(trace: str, machine: str) -> dict[str, float]:
    found = engine_alone(Path(trace), machine, CPUS)
    return {name: found[name] for name in ("cpu_seconds", "wall_seconds", "operations")}


def measure_engine(trace: str, operations: int) -> dict[str, float]:
    del operations
    return _engine(trace, MACHINE)


def measure_convoy(trace: str, operations: int) -> dict[str, float]:
    del operations
    return _engine(trace, CONVOY)


def _replay(trace: str, loop: str) -> dict[str, float]:
    from pipeline.runs.execute import replay

    with tempfile.TemporaryDirectory(dir=Path(trace).parent) as directory:
        begun = time.perf_counter()
        with thread_times() as spent:
            run = replay(
                trace,
                allocator="global_pool",
                machine=MACHINE,
                cpus=CPUS,
                loop=loop,
                output=Path(directory),
            )
        seconds = time.perf_counter() - begun
        size = sum(file.stat().st_size for file in run.path.rglob("*") if file.is_file())
    return {
        "seconds": seconds,
        "reader_cpu_seconds": spent.get("census", 0.0) + spent.get("trace-reader", 0.0),
        "writer_cpu_seconds": spent.get("log-operations", 0.0) + spent.get("log-events", 0.0),
        "engine_seconds": run.manifest.execution.engine_s,
        "log_bytes": size,
        "backlog_rows": run.manifest.execution.backlog_rows,
        "contended_percent": 100
        * sum(lock.contended for lock in run.manifest.totals.locks)
        / sum(lock.acquisitions for lock in run.manifest.totals.locks),
        "hit_percent": 100 * run.manifest.totals.hits / run.manifest.totals.operations,
        "busy_percent": 100
        - 100
        * sum(cpu.idle_ns for cpu in run.manifest.totals.cpu_time)
        / (run.manifest.totals.wall_ns * CPUS),
    }


def measure_closed(trace: str, operations: int) -> dict[str, float]:
    del operations
    return _replay(trace, "closed")


def measure_timed(trace: str, operations: int) -> dict[str, float]:
    del operations
    return _replay(trace, "timed")


def measure_simpy(trace: str, operations: int) -> dict[str, float]:
    del trace, operations
    from simpy_model import GlobalPool, Prices, zipf_tasks

    # Costs as in its own main(). They affect the simulated times, but not the speed of the simulation.
    tasks = zipf_tasks(SIMPY_OPERATIONS, 1_024, 65_536, 1)
    model = GlobalPool(tasks, CPUS, 1_024, Prices(100, 50, 100, 50, 100_000))
    begun = time.perf_counter()
    model.run()
    return {"seconds": time.perf_counter() - begun, "operations": SIMPY_OPERATIONS}


def measure_start(trace: str, operations: int) -> dict[str, float]:
    """Measure the CPU time for replaying a tiny trace; with an empty cache, most of it is compilation."""
    del operations
    from pipeline.runs.execute import replay

    begun = time.process_time()
    with tempfile.TemporaryDirectory(dir=Path(trace).parent) as directory:
        replay(trace, allocator="global_pool", machine=MACHINE, cpus=CPUS, output=Path(directory))
    return {"seconds": time.process_time() - begun}


MEASURES: dict[str, Callable[[str, int], dict[str, float]]] = {
    name.removeprefix("measure_"): function
    for name, function in list(globals().items())
    if name.startswith("measure_")
}


def in_own_process(name: str, trace: Path, operations: int, cache: Path | None = None) -> dict[str, float]:
    """Run one measurement in a new interpreter and return its figures and its peak memory."""
    environment = os.environ | ({"KMAP_PIPELINE_CACHE": str(cache)} if cache else {})
    done = subprocess.run(
        [sys.executable, __file__, "--only", name, "--trace", str(trace), "--operations", str(operations)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    if done.returncode:
        sys.exit(f"measuring {name} failed:\n{done.stderr}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(f"  {name:<9}" + "  ".join(f"{key} {value:,.6g}" for key, value in found.items()), file=sys.stderr)
    return found


def medians(runs: list[dict[str, float]]) -> dict[str, float]:
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def run_all(operations: int) -> list[tuple[str, str, str, str]]:
    """Measure everything; return rows of quantity, median, minimum and target."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        trace, half, tiny = (folder / f"{size}.parquet" for size in ("whole", "half", "tiny"))
        generated = in_own_process("generate", trace, operations)
        in_own_process("generate", half, operations // 2)
        in_own_process("generate", tiny, 100)
        first = in_own_process("start", tiny, 0, folder / "empty-cache")
        engine, convoy, closed, timed = [], [], [], []
        for _ in range(REPEATS):
            engine.append(in_own_process("engine", trace, operations))
            convoy.append(in_own_process("convoy", trace, operations))
            closed.append(in_own_process("closed", trace, operations))
            timed.append(in_own_process("timed", trace, operations))
        shorter = in_own_process("timed", half, operations // 2)
        simpy = in_own_process("simpy", tiny, 0)
    whole, paced = medians(closed), medians(timed)
    ratios = [c["seconds"] / e["wall_seconds"] for c, e in zip(closed, engine, strict=True)]
    rate = operations / medians(engine)["cpu_seconds"]
    simpy_rate = simpy["operations"] / simpy["seconds"]

    def ns(runs: list[dict[str, float]], *figures: str) -> tuple[str, str]:
        """Return the median and the minimum of the time per operation."""
        values = [1e9 * sum(run[figure] for figure in figures) / operations for run in runs]
        return f"{statistics.median(values):.0f} ns", f"{min(values):.0f} ns"

    def one(text: str, wanted: str = "") -> tuple[str, str, str]:
        return text, "", wanted

    both = ("reader_cpu_seconds", "writer_cpu_seconds")
    return [
        ("engine alone, log in memory, CPU time per operation", *ns(engine, "cpu_seconds"), "<= 290 ns"),
        (f"engine alone on `{CONVOY}`, in a convoy", *ns(convoy, "cpu_seconds"), "<= 750 ns"),
        ("first start, including compilation, CPU time", *one(f"{first['seconds']:.1f} s", "<= 7 s")),
        ("end to end, closed loop, wall-clock time per operation", *ns(closed, "seconds"), ""),
        (
            "end to end / engine alone (wall-clock time, paired)",
            f"{statistics.median(ratios):.2f}",
            f"{min(ratios):.2f}",
            "<= 1.15",
        ),
        ("reader, CPU time per operation", *ns(closed, "reader_cpu_seconds"), ""),
        ("writer, CPU time per operation", *ns(closed, "writer_cpu_seconds"), ""),
        ("reader and writer, CPU time per operation", *ns(closed, *both), "<= 300 ns"),
        (
            "event log with its sums, per operation",
            *one(f"{whole['log_bytes'] / operations:.1f} bytes", "<= 22"),
        ),
        ("peak memory, timed loop", *one(f"{paced['peak_mb']:.0f} MB", "< 600 MB")),
        ("peak memory, timed loop, half the trace", *one(f"{shorter['peak_mb']:.0f} MB", "no more")),
        ("peak memory, closed loop", *one(f"{whole['peak_mb']:.0f} MB", "bounded")),
        ("longest backlog, closed loop", *one(f"{whole['backlog_rows']:,.0f} rows", "reported")),
        ("the same model in SimPy, per operation", *one(f"{1e9 / simpy_rate:,.0f} ns")),
        ("SimPy / engine alone", *one(f"{rate / simpy_rate:.0f}", ">= 80")),
        ("generating the trace", *one(f"{operations / generated['seconds'] / 1e6:.1f} M rows/s")),
        ("hit rate", *one(f"{whole['hit_percent']:.0f} %")),
        ("contended acquisitions", *one(f"{whole['contended_percent']:.1f} %")),
        ("busy CPU time", *one(f"{whole['busy_percent']:.0f} %")),
    ]


def table(rows: list[tuple[str, str, str, str]], operations: int) -> str:
    """Return the figures and their conditions as Markdown."""
    lines = [
        f"{operations:,} operations of `{WORKLOAD}` (1,024 tasks, Zipf pages), `global_pool` with 1,024 "
        f"slots, `{MACHINE}` with {CPUS} CPUs, full event log; {REPEATS} processes for each figure, "
        f"alternating, on {os.cpu_count()} cores ({_processor()}), Python {platform.python_version()}.",
        "",
        "| quantity | median | minimum | target |",
        "|---|---|---|---|",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
    return "\n".join(lines) + "\n"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--operations", type=int, default=10_000_000)
    parser.add_argument("--write", action="store_true", help="write the table to docs/performance.md")
    parser.add_argument("--only", choices=MEASURES, help=argparse.SUPPRESS)
    parser.add_argument("--trace", help=argparse.SUPPRESS)
    options: Any = parser.parse_args()
    if options.only:
        found = MEASURES[options.only](options.trace, options.operations)
        found["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(found))
        return
    text = table(run_all(options.operations), options.operations)
    print(text)
    if options.write:
        write_part("measured", __file__, text)


if __name__ == "__main__":
    main()
