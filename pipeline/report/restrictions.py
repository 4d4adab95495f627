"""Restrictions of a design, and whether the trace violates them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pipeline.allocators.registry import forbids_sleep
from pipeline.errors import InputError
from pipeline.io.parquet import parquet_errors, read_metadata
from pipeline.io.parquet_footer import column_maximum, read_footer
from pipeline.schema.manifest import Manifest

_RESTRICTION = "mappings must not be held over a sleep"


def describe_restriction(manifest: Manifest) -> str:
    """State that mappings must not be held over a sleep; "" if they may be, or if the trace never does it."""
    forbidding = [name for name in manifest.allocator.name.split("+") if _forbids_sleep(name)]
    if not forbidding:
        return ""
    trace = manifest.trace
    blocked_ns = _longest_block_ns(Path(trace.path), trace.metadata.get("operations"))
    if blocked_ns == 0:
        return ""
    does_it = ", as in this trace; here, the task sleeps before it maps" if blocked_ns else ""
    return _RESTRICTION + does_it


@cache
def _forbids_sleep(name: str) -> bool:
    return forbids_sleep(name)


@cache
def _longest_block_ns(path: Path, operations: int | None) -> int | None:
    """The longest time off CPU while a page is mapped, in ns; None if the trace is missing or lacks it.

    The value comes from the statistics in the footer, so the cost does not depend on the trace's length.
    """
    try:
        metadata, _ = read_metadata(path, "a trace")
        names = metadata.schema.names
        if metadata.num_rows != operations or "block_ns" not in names:
            return None
        with parquet_errors(path, "a trace"):
            longest_ns = column_maximum(read_footer(path), names.index("block_ns"))
    except InputError:
        return None
    return None if longest_ns is None else max(longest_ns, 0)
