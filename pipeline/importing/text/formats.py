"""The scanners as functions of a block, with their tables of names."""

from __future__ import annotations

import numpy as np

from pipeline.importing.text import ftrace, strace
from pipeline.importing.text.events import name_table
from pipeline.importing.text.tally import Tally

_EVENTS = name_table(ftrace.MEANINGS)
_CALLS = name_table(ftrace.CALL_NAMES)
_STRACE_CALLS = name_table(strace.CALL_NAMES)


def scan_ftrace(block: np.ndarray, rows: np.ndarray, tally: Tally) -> int:
    """Scan a block of `perf script`, tracefs or trace-cmd text into `rows`."""
    return int(ftrace.scan(block, rows, *_EVENTS, *_CALLS, tally.counts, tally.bad, tally.other))


def scan_strace(block: np.ndarray, rows: np.ndarray, tally: Tally) -> int:
    """Scan a block of strace's output into `rows`."""
    return int(strace.scan(block, rows, *_STRACE_CALLS, tally.counts, tally.bad, tally.other))
