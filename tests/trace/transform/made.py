"""Random traces that keep every rule of the format, and what the tests ask of a trace."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np

from pipeline.schema.names import KINDS
from pipeline.schema.trace import COLUMN_NAMES
from pipeline.schema.trace_metadata import Source
from pipeline.trace.doctor import doctor
from pipeline.trace.reader import Trace, open_trace
from pipeline.trace.transform.apply import TransformResult, transform
from pipeline.trace.transform.step import Columns, batches
from pipeline.trace.writer import TraceWriter

MEASURED = dict.fromkeys(COLUMN_NAMES, "measured")
TIMES = ("think_ns", "wait_ns", "hold_ns", "block_ns")


def write_random(path: Path, seed: int, operations: int = 40) -> Path:
    """A trace of a few tasks, two to a process, with operations nested up to three deep and gaps in time."""
    draw = random.Random(seed)
    rows: list[dict[str, int]] = []
    for task in range(draw.randint(1, 5)):
        now = draw.randint(0, 500)
        for _ in range(draw.randint(1, operations)):
            now = _operation(draw, rows, task, now, 0)[0]
    rows.sort(key=lambda row: row["time_ns"])
    first = rows[0]["time_ns"]
    numbers = {task: number for number, task in enumerate(sorted({row["task"] for row in rows}))}
    for row in rows:
        row["time_ns"] -= first
        row["task"] = numbers[row["task"]]
        row["process"] = row["task"] // 2
    write(path, {name: np.array([row[name] for row in rows]) for name in COLUMN_NAMES})
    return path


def _operation(
    draw: random.Random, rows: list[dict[str, int]], task: int, now: int, depth: int
) -> tuple[int, ...]:
    """Add an operation that follows the boundary `now`; return its end, CPU time and time off CPU."""
    think, wait, gap = draw.randint(0, 300), draw.choice((0, 0, draw.randint(0, 900))), draw.choice((0, 0, 7))
    begin = now + think + wait + gap
    row = {
        "time_ns": begin, "task": task, "process": 0, "cpu": draw.randint(-1, 3), "think_ns": think,
        "kind": draw.randrange(len(KINDS)), "page": draw.randint(0, 30), "bytes": draw.choice((-1, 4096)),
        "wait_ns": wait, "depth": depth,
    }  # fmt: skip
    rows.append(row)
    inner_end, hold, block = begin, 0, 0
    while depth < 3 and draw.random() < 0.3:
        inner_end, cpu, off = _operation(draw, rows, task, inner_end, depth + 1)
        hold, block = hold + cpu, block + off
    row["hold_ns"] = hold + draw.randint(1, 200)
    row["block_ns"] = block + draw.choice((0, 0, 50))
    end = max(inner_end, begin + row["hold_ns"] + row["block_ns"])
    return end, think + row["hold_ns"], wait + row["block_ns"]


def write(path: Path, rows: Columns, **options) -> Path:
    source = Source(type="recorded", name="random")
    described = {
        "source": source,
        "columns": MEASURED,
        "clock": "none",
        "cpus": 4,
        "lost_events": 2,
    } | options
    with TraceWriter(path, **described) as out:
        out.write(rows)
    return path


def read(path: Path) -> Columns:
    parts = list(batches(open_trace(path)))
    return {name: np.concatenate([part[name] for part in parts]) for name in COLUMN_NAMES}


def transformed(source: Path, *steps: str, name: str = "new.parquet") -> tuple[Columns, TransformResult]:
    """Rows after some steps; the trace they make must be without error."""
    result = transform(source, source.parent / name, steps)
    diagnosis = doctor(result.output)
    assert diagnosis.usable, diagnosis.text()
    return read(result.output), result


def same(found: Columns, expected: Columns) -> None:
    for name in COLUMN_NAMES:
        np.testing.assert_array_equal(found[name], expected[name], name)


def outermost_cpu_ns(columns: Columns) -> int:
    """CPU time of all operations and between them; what is nested is part of what it is nested in."""
    outermost = columns["depth"] == 0
    return int((columns["think_ns"] + columns["hold_ns"])[outermost].sum())


def trace(path: Path) -> Trace:
    return open_trace(path)
