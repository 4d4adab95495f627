"""What makes a trace unusable: one check of its rows and of what it says of itself, for doctor and replay."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa

from pipeline.errors import InputError
from pipeline.jit.entries import compiled_entry
from pipeline.jit.tables import records
from pipeline.schema.names import KINDS
from pipeline.schema.trace import COLUMNS, MAX_DEPTH, MAX_PAGE, MAX_TASKS, MAX_TIME_NS
from pipeline.trace import check_rows
from pipeline.trace.diagnosis import Problem, Severity
from pipeline.trace.reader import Trace, numpy_column

# So few rows are checked without loading compiled code.
_FEW_ROWS = 256

_MEND = "mend it where the trace was made, or import the rows again as a table, which sorts them"
_REMAKE = "generate or import the trace again"
_WRITE = "write the trace with TraceWriter, or import it again as a table"

# For each problem of a row: its code, severity, what it is, what to do; the position is that of `check_rows`.
_OF_ROWS: tuple[tuple[str, Severity, str, str], ...] = (
    ("time_order", "error", "rows that begin before the row above", _MEND),
    ("negative_time", "error", "rows with a negative time or duration", _REMAKE),
    ("absurd_time", "error", f"rows with a time or duration of {MAX_TIME_NS:,} ns or more", _REMAKE),
    ("task_range", "error", f"rows whose task is not in 0 to {MAX_TASKS - 1:,}", _REMAKE),
    ("process_range", "error", f"rows whose process is not in 0 to {MAX_TASKS - 1:,}", _REMAKE),
    ("page_range", "error", f"rows whose page is not in 0 to {MAX_PAGE - 1:,}", _REMAKE),
    ("depth_range", "error", f"rows whose depth is not in 0 to {MAX_DEPTH - 1}", _REMAKE),
    ("depth_jump", "error", "nested rows without a row of the depth above to lie in", _REMAKE),
    (
        "overlap",
        "warning",
        "rows that begin before their task's row before them can have ended",
        "a replay delays them; check how the trace was made",
    ),
    ("nested_before_parent", "error", "nested rows that begin before the row they lie in", _REMAKE),
    (
        "nested_after_parent",
        "warning",
        "nested rows that begin after the least end of the row they lie in",
        "right if that one waited long to be mapped; otherwise check how the trace was made",
    ),
    (
        "nested_uses_more",
        "error",
        "nested rows that use more time than the row they lie in has (think + hold of hold, wait + block of "
        "block)",
        _REMAKE,
    ),
    ("process_changes", "error", "rows with another process than their task had before", _REMAKE),
)
_OF_KINDS = f"rows whose kind is none of {', '.join(KINDS)}"

_PROBLEM = np.dtype([("count", "i8"), ("first_row", "i8")])
# A task: the process of its first row, -1 before that, and the depth of its latest row, -1 if it has none.
_TASK = np.dtype([("process", "i8"), ("depth", "i8")])
# A task's latest row of one depth; valid up to the depth of its latest row. The least end is time + hold +
# block: a row ends then or later, because getting mapped takes time that a trace does not hold. What of
# hold_ns and block_ns nested rows have not yet used is left.
_LEVEL = np.dtype([(name, "i8") for name in ("begin", "least_end", "hold_left", "block_left")])
_LARGEST = np.dtype(
    [(name, "i8") for name in ("time", "task", "process", "page", "depth", "think", "wait", "end")]
)
_READ = ("time_ns", "task", "process", "page", "think_ns", "wait_ns", "hold_ns", "block_ns", "depth")
# What a file's statistics say is the largest of a column, and what a replay believes.
_SAID = {
    "task": "task", "process": "process", "page": "page", "depth": "depth", "think_ns": "think",
    "wait_ns": "wait",
}  # fmt: skip


class _Flaw:
    """Count and first row of rows with a flaw in one column."""

    def __init__(self, code: str, what: str) -> None:
        self.code = code
        self.what = what
        self.count = 0
        self.first_row = -1

    def add(self, flawed: np.ndarray, first: int) -> None:
        rows = np.flatnonzero(flawed)
        if len(rows):
            if self.count == 0:
                self.first_row = first + int(rows[0])
            self.count += len(rows)

    def problem(self) -> Problem:
        return Problem(
            code=self.code, severity="error", count=self.count, first_row=self.first_row, what=self.what,
            advice=_REMAKE,
        )  # fmt: skip


class TraceCheck:
    """Checks a trace while its rows pass by; `rows` is how many have, `largest` the largest of some columns.

    `tasks` and `processes` say whether each was seen.
    """

    def __init__(self, trace: Trace) -> None:
        self.rows = 0
        self._trace = trace
        self._problems = records(len(_OF_ROWS), _PROBLEM)
        self._tasks = records(MAX_TASKS, _TASK)
        self._tasks["process"] = self._tasks["depth"] = -1
        self._levels = records(MAX_TASKS * MAX_DEPTH, _LEVEL)
        self._processes = np.zeros(MAX_TASKS, np.int8)
        self._largest = records(1, _LARGEST)
        for name in _LARGEST.names or ():
            self._largest[name] = -1
        self._flaws = {
            column.name: _Flaw(
                f"{'negative' if column.nullable else 'null'}_{column.name}",
                f"rows where {column.name} is {'negative' if column.nullable else 'null'}",
            )
            for column in sorted(COLUMNS, key=lambda column: column.nullable)
        }
        self._unknown_kinds = _Flaw("unknown_kind", _OF_KINDS)

    def add(self, batch: pa.RecordBatch) -> dict[str, np.ndarray]:
        """Check the next rows, all columns of them; return the columns that allow no null."""
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
        self.add_columns(columns)
        return columns

    def add_columns(self, columns: Mapping[str, np.ndarray]) -> None:
        """Check the next rows, of which no value is null."""
        count = len(columns["time_ns"])
        check: Callable[..., int] = check_rows.check_rows
        if count >= _FEW_ROWS:
            check = compiled_entry(check_rows.check_rows)
        check(
            *(np.ascontiguousarray(columns[name]) for name in _READ), count, self.rows,
            self._problems, self._tasks, self._levels, self._processes, self._largest,
        )  # fmt: skip
        self.rows += count

    def largest(self, name: str) -> int:
        """Largest value so far, -1 at first; `end` is the latest end of an operation that is certain."""
        return int(self._largest[name][0])

    def counts(self) -> dict[str, int]:
        """Counts as TraceMetadata defines them."""
        return {
            "operations": self.rows,
            "tasks": int((self._tasks["process"] >= 0).sum()),
            "processes": int(self._processes.sum()),
            "pages": self.largest("page") + 1,
        }

    def problems(self) -> list[Problem]:
        """What is wrong with the rows so far."""
        found = [flaw.problem() for flaw in self._flaws.values() if flaw.count]
        if self._unknown_kinds.count:
            found.append(self._unknown_kinds.problem())
        for position, (code, severity, what, advice) in enumerate(_OF_ROWS):
            count, first_row = self._problems[position].item()
            if count:
                found.append(
                    Problem(
                        code=code,
                        severity=severity,
                        count=count,
                        first_row=first_row,
                        what=what,
                        advice=advice,
                    )
                )
        return found

    def problems_of_whole(self) -> list[Problem]:
        """What is wrong with all rows together: numbers not dense, and what the file says of them."""
        found = []
        if not self.rows:
            found.append(_of_whole("empty", 1, "no operations", "generate or import a trace that has some"))
        for name, seen in (("task", self._tasks["process"] >= 0), ("process", self._processes)):
            used = np.flatnonzero(seen)
            gaps = int(used[-1]) + 1 - len(used) if len(used) else 0
            if gaps:
                what = f"{name} numbers below the largest ({int(used[-1]):,}) that no row has"
                found.append(_of_whole(f"{name}_not_dense", gaps, what, f"number {name}s densely from 0"))
        for name, counted in self.counts().items():
            said = getattr(self._trace.metadata, name)
            if said != counted:
                what = f"the metadata says {said:,} {name}, the rows have {counted:,}; difference"
                found.append(_of_whole(f"metadata_{name}", abs(said - counted), what, _WRITE))
        for column, name in _SAID.items():
            said, counted = self._trace.maximum(column), self.largest(name)
            if said != counted:
                what = (
                    f"the file's statistics say {said:,} for the largest {column}, it "
                    f"is {counted:,}; difference"
                )
                found.append(_of_whole(f"statistics_{column}", abs(said - counted), what, _WRITE))
        return found

    def refuse(self, problems: list[Problem]) -> None:
        """Raise InputError for the first error among the problems; warnings pass."""
        for problem in problems:
            if problem.severity == "error":
                path = self._trace.path
                raise InputError(
                    f"{path}: {problem.text()}; 'pipeline doctor {path}' tells all that is wrong"
                )


def compile_check(trace: Trace) -> None:
    """Compile what checks long traces, by checking the first row of one often enough."""
    batch = next(iter(trace.batches()))
    columns = {c.name: numpy_column(batch, c.name)[:1].repeat(_FEW_ROWS) for c in COLUMNS if not c.nullable}
    TraceCheck(trace).add_columns(columns)


def refuse_claims(trace: Trace) -> None:
    """Raise InputError where what a trace says of itself cannot all be true, or is more than there may be.

    `TraceCheck` refuses such a trace too, once it has seen the rows: this is for those who first need room.
    """
    limits = {"task": MAX_TASKS, "process": MAX_TASKS, "page": MAX_PAGE, "depth": MAX_DEPTH}
    said = {"task": trace.metadata.tasks, "process": trace.metadata.processes, "page": trace.metadata.pages}
    if not trace.rows:
        raise InputError(
            f"{trace.path}: wanted a trace with operations, found none; import or generate it again"
        )
    if trace.metadata.operations != trace.rows:
        raise InputError(
            f"{trace.path}: the metadata says {trace.metadata.operations:,} operations, the file has "
            f"{trace.rows:,}; {_WRITE}"
        )
    for name, limit in limits.items():
        largest = trace.maximum(name)
        if largest >= limit:
            raise InputError(
                f"{trace.path}: column {name} reaches {largest:,}, a trace has room up to {limit - 1:,}; "
                "import the recording again, which numbers densely"
            )
        if name in said and said[name] != largest + 1:
            raise InputError(
                f"{trace.path}: the metadata says {said[name]:,} for {name}s, and the file's statistics "
                f"{largest + 1:,}; {_WRITE}"
            )


def _of_whole(code: str, count: int, what: str, advice: str) -> Problem:
    return Problem(code=code, severity="error", count=count, first_row=None, what=what, advice=advice)


def _without_nulls(batch: pa.RecordBatch, name: str) -> pa.RecordBatch:
    """Put a value that raises no second complaint in the place of nulls."""
    import pyarrow.compute as pc  # noqa: PLC0415 - a tenth of a second that few traces need

    column = batch.column(name)
    filled = pc.fill_null_forward(column) if name == "time_ns" else column
    return batch.set_column(batch.schema.get_field_index(name), name, filled.fill_null(0))
