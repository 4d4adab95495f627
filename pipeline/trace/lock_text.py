"""Detection of lock statistics in text form, which are not traces, from their lines."""

from __future__ import annotations

import re

_PERF_COLUMNS = rb"(?:contended|(?:total|max|min|avg) wait)"
_PERF_TAIL = rb"(?:type +caller|pid +(?:comm|owner)|address +symbol|cgroup) *\r?$"
_CELLS = rb"(?:[a-z_]{1,40},){0,40}"
_FORMS = {
    "lock_stat": rb"^[ >]*lock_stat version [0-9]",
    "lockmeter": rb"^[ >]*(?:SPINLOCKS +HOLD +WAIT|RWLOCK READS +HOLD|RWLOCK WRITES +HOLD)",
    "perf-lock": rb"^[ >]*" + _PERF_COLUMNS + rb" .*" + _PERF_TAIL,
    "perf-lock-csv": rb"^# output: " + _PERF_COLUMNS + rb"\W",
    "lockmeter-rows": rb"^(?:\xef\xbb\xbf)?row," + _CELLS + b"site," + _CELLS + rb"acquisitions\b",
    "contention": rb"[ :]contention_(?:begin|end): ",
}  # fmt: skip
FORMATS = {
    "lock_stat": "/proc/lock_stat",
    "lockmeter": "lockmeter's lockstat",
    "perf-lock": "perf lock contention",
    "perf-lock-csv": "perf lock contention -x",
    "lockmeter-rows": "a table of lockmeter rows",
    "contention": "lock contention events",
}
_PATTERNS = {name: re.compile(form, re.MULTILINE) for name, form in _FORMS.items()}


def find_format(head: bytes) -> str | None:
    """Return the format in FORMATS of a text with this beginning, or None."""
    return next((name for name, pattern in _PATTERNS.items() if pattern.search(head)), None)


def say_no_trace(name: str, path: object) -> str:
    """Return an explanation of text in a format of FORMATS, and how to use it."""
    return (
        f"contains lock statistics ({FORMATS[name]}), which are not a trace and cannot be replayed; "
        f"'pipeline sql --runs {path}' and 'pipeline report RUNS {path}' compare them with runs"
    )
