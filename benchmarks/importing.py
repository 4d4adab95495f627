"""Measure the speed of `pipeline import` in lines per second of CPU time, and its memory use.

    python benchmarks/importing.py [--lines N]

Repeats the shipped recordings of one compile, with continuing times, up to N lines (default: two million),
imports each and prints one row per format. The CPU time includes reading, encoding and writing the trace, but
not compilation. The last row is the CPU time of the first import after installation, including compilation,
with the excerpt of perf's recording.
"""

from __future__ import annotations

import argparse
import lzma
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pipeline.importing.import_trace import import_trace

SAMPLES = Path(__file__).parent.parent / "tests" / "importing" / "samples"
_SECONDS = {
    "perf-script": re.compile(rb"(\] +)(\d+)(\.\d{9}: )"),
    "strace": re.compile(rb"(^\d+ )(\d+)(\.\d{6} )", re.MULTILINE),
}
_SECONDS_OF_ONE = 6


def repeated(name: str, lines: int, target: Path) -> int:
    """Write the sample repeatedly, each time 6 s later; return the number of lines."""
    text = lzma.decompress((SAMPLES / f"make.{name}.txt.xz").read_bytes())
    written = 0
    with target.open("wb") as out:
        turn = 0
        while written < lines:
            later = turn * _SECONDS_OF_ONE
            moved = _SECONDS[name].sub(
                lambda found, later=later: found[1] + str(int(found[2]) + later).encode() + found[3], text
            )
            out.write(moved)
            written += text.count(b"\n")
            turn += 1
    return written


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lines", type=int, default=2_000_000)
    lines = parser.parse_args().lines
    print(f"{'format':<12} {'lines':>10} {'operations':>11} {'CPU s':>7} {'lines/CPU s':>12} {'peak MB':>8}")
    with tempfile.TemporaryDirectory() as directory:
        text, output = Path(directory) / "r.txt", Path(directory) / "t.parquet"
        for name in _SECONDS:
            repeated(name, 1, text)
            import_trace(text, output, name)
            count = repeated(name, lines, text)
            begin = time.process_time()
            operations = import_trace(text, output, name).rows_out
            took = time.process_time() - begin
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            print(f"{name:<12} {count:>10,} {operations:>11,} {took:>7.2f} {count / took:>12,.0f} {peak:>8,}")
        print(f"first import: {first_import_s(output):.1f} s of CPU time")


def first_import_s(output: Path) -> float:
    """Return the CPU time in seconds of an import in a new process with an empty cache."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as cache:
        subprocess.run(
            [sys.executable, "-m", "pipeline", "import", SAMPLES / "excerpt.perf-script.txt", "-o", output],
            env={**os.environ, "NUMBA_CACHE_DIR": cache, "XDG_CACHE_HOME": cache},
            check=True,
            capture_output=True,
        )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
