"""Replay traces of ten million to a billion operations, to test that time is linear and memory constant.

    python benchmarks/long_runs.py [--operations 10000000 100000000 1000000000] [--keep DIRECTORY] [--write]

Each length is replayed twice from the command line: in a timed loop with the full log, and in a closed loop
with totals only. A billion operations take about 40 GB of disk space and half an hour. `--keep` keeps the
traces in a directory for the next time. Runs are removed after the measurement. `--write` writes the table to
docs/performance.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from performance_page import write_part

WORKLOAD = "zipf_bench"
REPLAY = "pipeline replay {trace} -a global_pool -m modern-x86-64 --cpus 16 {settings} -o {runs}"
SETTINGS = {
    "timed, full log": "--loop timed --events full",
    "closed, totals only": "--loop closed --events none",
}


@dataclass(frozen=True)
class Measured:
    """Wall-clock and CPU time in seconds and peak resident memory in MB of one process."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def measure(command: str) -> Measured:
    """Run a `pipeline` command; exit if it fails."""
    arguments = [str(Path(sys.executable).with_name("pipeline")), *shlex.split(command)[1:]]
    begun_s = time.perf_counter()
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"failed: {command}")
    return Measured(time.perf_counter() - begun_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def bytes_below(directory: Path) -> int:
    """Return the size of all files below a directory."""
    return sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())


def measure_lengths(lengths: list[int], folder: Path) -> list[str]:
    """Generate and replay traces of these lengths; return the rows of the table."""
    rows = []
    first: dict[str, float] = {}
    for operations in sorted(lengths):
        trace, runs = folder / f"{WORKLOAD}-{operations}.parquet", folder / "runs"
        if not trace.exists():
            measure(f"pipeline generate {WORKLOAD} --ops {operations} -o {trace}")
        for name, settings in SETTINGS.items():
            found = measure(REPLAY.format(trace=trace, settings=settings, runs=runs))
            log = bytes_below(runs) / operations
            shutil.rmtree(runs)
            per_operation_ns = 1e9 * found.wall_s / operations
            slower = per_operation_ns / first.setdefault(name, per_operation_ns)
            figures = [
                f"{operations:,}", name, f"{found.wall_s:,.1f} s", f"{per_operation_ns:.0f} ns",
                f"{slower:.2f}", f"{1e9 * found.cpu_s / operations:.0f} ns", f"{found.peak_mb:,.0f} MB",
                f"{log:.1f}",
            ]  # fmt: skip
            rows.append(f"| {' | '.join(figures)} |")
            print(rows[-1], file=sys.stderr)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--operations", type=int, nargs="+", default=[10**7, 10**8, 10**9])
    parser.add_argument("--keep", type=Path, help="directory for the traces (default: a temporary one)")
    parser.add_argument("--write", action="store_true", help="write the table to docs/performance.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        rows = measure_lengths(options.operations, folder)
    command = REPLAY.format(trace="TRACE", settings="...", runs="runs/")
    text = "\n".join(
        [
            f"`{command}` with `{WORKLOAD}`, measured once as a whole process, on {os.cpu_count()} cores, "
            f"Python {platform.python_version()}; timed: `{SETTINGS['timed, full log']}`, closed: "
            f"`{SETTINGS['closed, totals only']}`. CPU time and log are per operation.",
            "",
            "| operations | run | wall-clock time | per operation | / shortest run | CPU time | peak memory "
            "| log, bytes |",
            "| --- | --- | --- | --- | --- | --- | --- | --- |",
            *rows,
            "",
        ]
    )
    print(text)
    if options.write:
        write_part("long", __file__, text)


if __name__ == "__main__":
    main()
