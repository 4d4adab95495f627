"""Measure the time of whole `pipeline report` processes for three runs of 200,000 operations.

    python benchmarks/reporting.py [--rounds 5] [--write]

The runs are `kernel_build` with three designs on `modern-x86-64`, with logs. `--write` writes the figures to
docs/performance.md.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from pathlib import Path

from performance_page import write_part
from start import run

OPERATIONS = 200_000
DESIGNS = ("global_pool", "percpu_pinned", "kmap_local")
TARGET_S = 4.0


def measure(rounds: int) -> list[tuple[float, float]]:
    """Return the wall-clock and CPU time in seconds of each round."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        run(f"generate kernel_build -o trace.parquet --ops {OPERATIONS}", directory)
        for design in DESIGNS:
            run(f"replay trace.parquet -a {design} -m modern-x86-64", directory)
        # The first round only fills the file caches.
        return [run("report -o report.html --force", directory) for _ in range(rounds + 1)][1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="write the figures to docs/performance.md")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    walls, cpus = zip(*measure(options.rounds), strict=True)
    wall = f"{statistics.median(walls):.1f} s of wall-clock time (minimum {min(walls):.1f} s)"
    cpu = f"{statistics.median(cpus):.1f} s of CPU time (minimum {min(cpus):.1f} s)"
    text = (
        f"The report of {len(DESIGNS)} runs of {OPERATIONS:,} operations takes {wall}; the target is at most "
        f"{TARGET_S:.0f} s. It takes {cpu}. Measured in {options.rounds} rounds on {os.cpu_count()} CPUs, "
        f"with a load average of {load:.1f} before.\n"
    )
    print(text)
    if options.write:
        write_part("report", __file__, text)


if __name__ == "__main__":
    main()
