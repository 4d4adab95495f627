"""Measure the speed and memory use of `pipeline export`, and the size of its timelines.

    python benchmarks/exporting.py [--operations 1000000] [--machine modern-x86-64] [--run RUN] [--write]

The run is `zipf_bench` with `global_pool`, recorded with stretches. Each format is written in a separate
process. CPU time is that of all threads, including SQL and sorting. `--write` writes the table to
docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from performance_page import write_part

from pipeline.export.export import TIMELINES
from pipeline.io.tables import markdown_table
from pipeline.runs.store import read_manifest
from queries import make_run


def measured(run: Path, form: str) -> dict[str, float]:
    """Write the run once in this process; return the number of slices, time, size and peak memory."""
    from pipeline.export.export import export

    with tempfile.TemporaryDirectory(dir=run.parent) as folder:
        begun = time.process_time()
        done = export(run, form, Path(folder) / "timeline")
        seconds = time.process_time() - begun
    assert done.timeline is not None
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"slices": done.timeline.slices, "seconds": seconds, "bytes": done.size, "peak_mb": peak_mb}


def in_own_process(run: Path, form: str) -> dict[str, float]:
    """Call `measured` in a new interpreter, so that the peak memory is that of one format."""
    done = subprocess.run(
        [sys.executable, __file__, "--run", str(run), "--only", form],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def document(run: Path) -> str:
    """Return the figures as Markdown."""
    manifest = read_manifest(run)
    operations = manifest.totals.operations
    rows = []
    for form in TIMELINES:
        found = in_own_process(run, form)
        rows.append(
            (
                f"`{form}`",
                f"{found['slices'] / found['seconds'] / 1e3:,.0f} k",
                f"{found['bytes'] / found['slices']:.0f}",
                f"{found['bytes'] / operations:,.0f}",
                f"{found['peak_mb']:,.0f} MB",
            )
        )
    slices = found["slices"]
    conditions = (
        f"A run of {operations:,} operations (trace {manifest.trace.name}, `{manifest.label}`, "
        f"`{manifest.machine.name}` with {manifest.machine.cpus} CPUs), {slices:,} slices: "
        f"{slices / operations:.1f} per operation."
    )
    head = ("format", "slices per CPU second", "bytes per slice", "bytes per operation", "peak memory")
    return f"{conditions}\n\n{markdown_table(head, rows)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--operations", type=int, default=1_000_000)
    parser.add_argument("--machine", default="modern-x86-64")
    parser.add_argument("--run", type=Path, help="run to export instead of a new one")
    parser.add_argument("--write", action="store_true", help="write the table to docs/performance.md")
    parser.add_argument("--only", choices=TIMELINES, help=argparse.SUPPRESS)
    options: Any = parser.parse_args()
    if options.only:
        print(json.dumps(measured(options.run, options.only)))
        return
    with tempfile.TemporaryDirectory() as name:
        made = Path(name) / "made"
        text = document(options.run or make_run(made, options.operations, options.machine, "stretches"))
    print(text)
    if options.write:
        write_part("exporting", __file__, text)


if __name__ == "__main__":
    main()
