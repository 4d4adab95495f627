"""The engine against the same machine and design written in C++ (benchmarks/reference.cpp)."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "reference.py"


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
def test_every_counter_and_the_hash_of_the_log_are_equal() -> None:
    # The benchmark fails unless they are, on a FIFO machine and on one with unfair locks and interrupts.
    done = subprocess.run(
        [sys.executable, str(BENCHMARK), "--operations", "60000", "--repeats", "1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "`numaq16`" in done.stdout
