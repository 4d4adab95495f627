"""Write the first rows of a trace as a separate trace.

Rows are in the order in which operations began, so the operation that encloses a nested one always comes
before it. The first rows of a valid trace are therefore a valid trace, after tasks and processes are numbered
densely. If nested operations are cut off, their CPU time and waiting becomes use of the enclosing mapping. A
mapping whose unmap is cut off remains.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pipeline.trace.reader import Trace
from pipeline.trace.transform.step import Columns, batches, numbers_used, renumber
from pipeline.trace.writer import TraceWriter


def write_prefix(trace: Trace, rows: int, path: Path, note: str) -> None:
    """Write the first `rows` rows, at least one, to `path`, with `note` added.

    Tasks and processes are numbered densely, in the same order. Raises InputError for a trace that cannot be
    read, OutputError if `path` cannot be written.
    """
    tasks, processes = numbers_used(_first(trace, rows))
    with TraceWriter.like(path, trace.metadata, notes=[*trace.metadata.notes, note]) as writer:
        for columns in renumber(_first(trace, rows), tasks, processes):
            writer.write(columns)


def _first(trace: Trace, rows: int) -> Iterator[Columns]:
    left = rows
    for columns in batches(trace):
        part = {name: values[:left] for name, values in columns.items()}
        left -= len(part["task"])
        yield part
        if left == 0:
            break
