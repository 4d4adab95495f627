"""Checks of a trace's rows and metadata, used by both `doctor` and `replay`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.errors import InputError
from pipeline.jit.entries import compiled_entry
from pipeline.jit.tables import records
from pipeline.schema.names import KINDS
from pipeline.schema.trace import (
    COLUMNS,
    MAX_DEPTH,
    MAX_LENGTH,
    MAX_PAGE,
    MAX_TASKS,
    MAX_TIME_NS,
    OPTIONAL_NAMES,
    numpy_type,
)
from pipeline.trace import check_rows
from pipeline.trace.check_mappings import MappingCheck
from pipeline.trace.diagnosis import Problem, Severity
from pipeline.trace.flaw import REMAKE, Flaw
from pipeline.trace.reader import Trace, numpy_column

# Fewer rows than this are checked without loading compiled code.
_FEW_ROWS = 256

_MEND = "fix the program that made the trace, or import the rows as a table, which sorts them"
_WRITE = "write the trace with TraceWriter, or import it as a table"

# Code, severity, description and advice for each problem of a row, in the order of the codes in `check_rows`.
_OF_ROWS: tuple[tuple[str, Severity, str, str], ...] = (
    ("time_order", "error", "rows that begin before the previous row", _MEND),
    ("negative_time", "error", "rows with a negative time or duration", REMAKE),
    ("absurd_time", "error", f"rows with a time or duration of {MAX_TIME_NS:,} ns or more", REMAKE),
    ("task_range", "error", f"rows with a task outside 0 to {MAX_TASKS - 1:,}", REMAKE),
    ("process_range", "error", f"rows with a process outside 0 to {MAX_TASKS - 1:,}", REMAKE),
    ("page_range", "error", f"rows with a page outside 0 to {MAX_PAGE - 1:,}", REMAKE),
    ("depth_range", "error", f"rows with a depth outside 0 to {MAX_DEPTH - 1}", REMAKE),
    ("depth_jump", "error", "nested rows without an enclosing row one level up", REMAKE),
    (
        "overlap",
        "warning",
        "rows that begin before the earliest possible end of their task's previous row",
        "a replay delays them; check how the trace was made",
    ),
    ("nested_before_parent", "error", "nested rows that begin before their enclosing row", REMAKE),
    (
        "nested_after_parent",
        "warning",
        "nested rows that begin after the earliest possible end of their enclosing row",
        "correct if the enclosing one waited long for its mapping; otherwise check how the trace was made",
    ),
    (
        "nested_uses_more",
        "error",
        "nested rows that use more time than their enclosing row has (think + hold exceed its hold, or "
        "wait + block its block)",
        REMAKE,
    ),
    ("process_changes", "error", "rows with a process that differs from the task's earlier one", REMAKE),
)
_OF_KINDS = f"rows with a kind other than {', '.join(KINDS)}"

_PROBLEM = np.dtype([("count", "i8"), ("first_row", "i8")])
# A task: the process of its first row and the depth of its latest row, both -1 before its first row.
_TASK = np.dtype([("process", "i8"), ("depth", "i8")])
# A task's latest row of one depth; valid up to the depth of its latest row. The least end is time + hold +
# block. A row ends then or later, because mapping takes time that is not in the trace. `hold_left` and
# `block_left` are the parts of hold_ns and block_ns that nested rows have not used.
_LEVEL = np.dtype([(name, "i8") for name in ("begin", "least_end", "hold_left", "block_left")])
_LARGEST = np.dtype(
    [(name, "i8") for name in ("time", "task", "process", "page", "depth", "think", "wait", "end")]
)
_READ = ("time_ns", "task", "process", "page", "think_ns", "wait_ns", "hold_ns", "block_ns", "depth")
# Columns with a maximum in the file's statistics on which a replay relies.
_SAID = {
    "task": "task", "process": "process", "page": "page", "depth": "depth", "think_ns": "think",
    "wait_ns": "wait",
}  # fmt: skip


# The optional columns of a trace that lacks them.
_ABSENT = {name: np.zeros(0, numpy_type(name)) for name in OPTIONAL_NAMES}


class TraceCheck:
    """Checks the rows of a trace batch by batch.

    `rows` is the number of rows checked so far. `mappings` has the counts of mappings with several pages, or
    with rows of their own for map and unmap.
    """

    def __init__(self) -> None:
        self.rows = 0
        self._problems = records(len(_OF_ROWS), _PROBLEM)
        self._tasks = records(MAX_TASKS, _TASK)
        self._tasks["process"] = self._tasks["depth"] = -1
        self._levels = records(MAX_TASKS * MAX_DEPTH, _LEVEL)
        self._processes = np.zeros(MAX_TASKS, np.int8)
        self._largest = records(1, _LARGEST)
        for name in _LARGEST.names or ():
            self._largest[name] = -1
        self._flaws = {
            column.name: Flaw(
                f"{'negative' if column.nullable else 'null'}_{column.name}",
                f"rows where {column.name} is {'negative' if column.nullable else 'null'}",
            )
            for column in sorted(COLUMNS, key=lambda column: column.nullable)
        }
        self._unknown_kinds = Flaw("unknown_kind", _OF_KINDS)
        self.mappings = MappingCheck()

    def add(self, batch: pa.RecordBatch) -> dict[str, np.ndarray]:
        """Check the next rows in all columns.

        Return the columns that do not allow null, and the optional ones: `pages`, `part` (codes) and
        `mapping`, each of length 0 if the trace lacks it.
        """
        columns = {}
        for column in COLUMNS:
            name, values = column.name, batch.column(column.name)
            flaw = self._flaws[name]
            if column.nullable:
                if values.null_count < len(values):
                    flaw.add(values.to_numpy(zero_copy_only=False) < 0, self.rows)
                continue
            if values.null_count:
                flaw.add(values.is_null().to_numpy(zero_copy_only=False), self.rows)
                columns[name] = numpy_column(_without_nulls(batch, name), name)
            else:
                columns[name] = numpy_column(batch, name)
        self._unknown_kinds.add(columns["kind"] < 0, self.rows)
        for name, absent in _ABSENT.items():
            columns[name] = numpy_column(batch, name) if name in batch.schema.names else absent
        self.add_columns(
            {**columns, "bytes": numpy_column(batch, "bytes")} if len(columns["part"]) else columns
        )
        return columns

    def add_columns(self, columns: Mapping[str, np.ndarray]) -> None:
        """Check the next rows, which contain no null. Optional columns can be missing."""
        count = len(columns["time_ns"])
        check: Callable[..., int] = check_rows.check_rows
        if count >= _FEW_ROWS:
            check = compiled_entry(check_rows.check_rows)
        check(
            *(np.ascontiguousarray(columns[name]) for name in _READ), count, self.rows,
            self._problems, self._tasks, self._levels, self._processes, self._largest,
        )  # fmt: skip
        optional = {name: columns.get(name, absent) for name, absent in _ABSENT.items()}
        if any(len(values) for values in optional.values()):
            self.mappings.add({**columns, **optional}, self.rows)
        self.rows += count

    def largest(self, name: str) -> int:
        """Return the largest value so far, or -1.

        `end` is the latest certain end of an operation, and `page` includes all pages of each mapping.
        """
        largest = int(self._largest[name][0])
        return max(largest, self.mappings.last_page) if name == "page" else largest

    def counts(self) -> dict[str, int]:
        """Return counts as defined in TraceMetadata."""
        return {
            "operations": self.rows,
            "tasks": int((self._tasks["process"] >= 0).sum()),
            "processes": int(self._processes.sum()),
            "pages": self.largest("page") + 1,
        }

    def problems(self) -> list[Problem]:
        """Return the problems of the rows so far."""
        found = [flaw.problem() for flaw in self._flaws.values() if flaw.count]
        if self._unknown_kinds.count:
            found.append(self._unknown_kinds.problem())
        for position, (code, severity, what, advice) in enumerate(_OF_ROWS):
            count, first_row = self._problems[position].item()
            if count:
                found.append(
                    Problem(
                        code=code, severity=severity, count=count, first_row=first_row, what=what,
                        advice=advice,
                    )
                )  # fmt: skip
        return found + self.mappings.problems()

    def problems_of_whole(self, trace: Trace) -> list[Problem]:
        """Return problems of all rows together: sparse numbers, and wrong metadata or statistics."""
        found = []
        if not self.rows:
            found.append(_of_whole("empty", 1, "no operations", "generate or import a trace with operations"))
        for name, seen in (("task", self._tasks["process"] >= 0), ("process", self._processes)):
            used = np.flatnonzero(seen)
            gaps = int(used[-1]) + 1 - len(used) if len(used) else 0
            if gaps:
                what = f"unused {name} numbers below the largest ({int(used[-1]):,})"
                found.append(
                    _of_whole(f"{name}_not_dense", gaps, what, f"number column '{name}' densely from 0")
                )
        for name, counted in self.counts().items():
            said = getattr(trace.metadata, name)
            if said != counted:
                what = f"the metadata records {said:,} {name}, but the rows have {counted:,}; difference"
                found.append(_of_whole(f"metadata_{name}", abs(said - counted), what, _WRITE))
        largest = {column: int(self._largest[name][0]) for column, name in _SAID.items()}
        largest |= {name: found for name, found in self.mappings.largest.items() if name in trace.columns}
        for column, counted in largest.items():
            said = trace.maximum(column)
            if said != counted:
                what = (
                    f"the file's statistics give {said:,} as the largest {column}, but it is "
                    f"{counted:,}; difference"
                )
                found.append(_of_whole(f"statistics_{column}", abs(said - counted), what, _WRITE))
        return found


def refuse(path: Path, problems: list[Problem]) -> None:
    """Raise InputError for the first error among the problems of the trace at `path`; ignore warnings."""
    for problem in problems:
        if problem.severity == "error":
            raise InputError(f"{path}: {problem.text()}; 'pipeline doctor {path}' lists all problems")


def compile_check(trace: Trace) -> None:
    """Compile the check of long traces by checking the first row of `trace` many times."""
    batch = next(iter(trace.batches()))
    columns = {c.name: numpy_column(batch, c.name)[:1].repeat(_FEW_ROWS) for c in COLUMNS if not c.nullable}
    TraceCheck().add_columns(columns)


def refuse_claims(trace: Trace) -> None:
    """Raise InputError if a trace's metadata and statistics contradict each other or exceed a limit.

    `TraceCheck` rejects such a trace too, but only after reading the rows. Use this before allocating memory.
    """
    limits = {"task": MAX_TASKS, "process": MAX_TASKS, "page": MAX_PAGE, "depth": MAX_DEPTH}
    said = {"task": trace.metadata.tasks, "process": trace.metadata.processes, "page": trace.metadata.pages}
    if "pages" in trace.columns:
        _refuse_pages(trace, said.pop("page"))
    if not trace.rows:
        raise InputError(
            f"{trace.path}: expected a trace with operations, found none; import or generate it again"
        )
    if trace.metadata.operations != trace.rows:
        raise InputError(
            f"{trace.path}: the metadata records {trace.metadata.operations:,} operations, but the file has "
            f"{trace.rows:,}; {_WRITE}"
        )
    for name, limit in limits.items():
        largest = trace.maximum(name)
        if largest >= limit:
            raise InputError(
                f"{trace.path}: column {name} contains {largest:,}, but the maximum is {limit - 1:,}; "
                "import the recording again, which numbers densely"
            )
        if name in said and said[name] != largest + 1:
            raise InputError(
                f"{trace.path}: the metadata records {said[name]:,} as the number of {name} numbers, but the "
                f"file's statistics give {largest + 1:,}; {_WRITE}"
            )


def _refuse_pages(trace: Trace, said: int) -> None:
    """Raise InputError for a number of pages that no mappings with these pages and lengths have."""
    least, longest = trace.maximum("page") + 1, trace.maximum("pages")
    if longest > MAX_LENGTH:
        raise InputError(
            f"{trace.path}: column pages contains {longest:,}, but the maximum is {MAX_LENGTH:,}; {REMAKE}"
        )
    if not least <= said < least + longest or said > MAX_PAGE:
        raise InputError(
            f"{trace.path}: the metadata records {said:,} as the number of page numbers, but the file's "
            f"statistics give {least:,} to {min(least + longest - 1, MAX_PAGE):,}; {_WRITE}"
        )


def _of_whole(code: str, count: int, what: str, advice: str) -> Problem:
    return Problem(code=code, severity="error", count=count, first_row=None, what=what, advice=advice)


def _without_nulls(batch: pa.RecordBatch, name: str) -> pa.RecordBatch:
    """Replace nulls by a value that causes no second problem."""
    import pyarrow.compute as pc  # noqa: PLC0415 - takes a tenth of a second, and few traces need it

    column = batch.column(name)
    filled = pc.fill_null_forward(column) if name == "time_ns" else column
    return batch.set_column(batch.schema.get_field_index(name), name, filled.fill_null(0))
