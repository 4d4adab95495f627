"""The first rows of a trace as a trace of their own.

As rows are in the order in which operations began, what encloses a nested operation always comes before it:
the first rows of a valid trace are a valid trace. An operation whose nested ones are cut off uses its mapping
itself for the CPU time and the waiting that they had.
"""

from __future__ import annotations

from pathlib import Path

from pipeline.schema.trace import COLUMN_NAMES
from pipeline.trace.reader import Trace, numpy_column
from pipeline.trace.writer import TraceWriter


def write_prefix(trace: Trace, rows: int, path: Path, note: str) -> None:
    """Write the first `rows` rows, at least one, to `path`, numbered as they are, with `note` added.

    Raises InputError for a trace that cannot be read, OutputError where `path` cannot be written.
    """
    with TraceWriter.like(path, trace.metadata, notes=[*trace.metadata.notes, note]) as writer:
        left = rows
        for batch in trace.batches():
            part = batch.slice(0, left)
            writer.write({name: numpy_column(part, name) for name in COLUMN_NAMES})
            left -= part.num_rows
            if left == 0:
                break
