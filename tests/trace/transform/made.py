"""Random traces that keep every rule of the format, and what the tests ask of a trace."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np

from pipeline.schema.codes import PART_MAP, PART_UNMAP
from pipeline.schema.names import KINDS
from pipeline.schema.trace import BY_NAME, COLUMN_NAMES, NULL_VALUES
from pipeline.schema.trace_metadata import Source
from pipeline.trace.doctor import doctor
from pipeline.trace.reader import Trace, open_trace
from pipeline.trace.transform.apply import TransformResult, transform
from pipeline.trace.transform.step import Columns, batches
from pipeline.trace.writer import TraceWriter

MEASURED = dict.fromkeys(COLUMN_NAMES, "measured")
TIMES = ("think_ns", "wait_ns", "hold_ns", "block_ns")


def write_random(path: Path, seed: int, operations: int = 40, parts: bool = False) -> Path:
    """A trace of a few tasks, two to a process, with operations nested up to three deep and gaps in time.

    With `parts`, mappings have several pages, and tasks unmap some of those of others and leave some mapped.
    """
    draw = random.Random(seed)
    rows: list[dict[str, int]] = []
    mapped: list[dict[str, int]] = []
    tasks = draw.randint(1, 5)
    for task in draw.sample(range(tasks), tasks) if parts else range(tasks):
        now = draw.randint(0, 500)
        for _ in range(draw.randint(1, operations)):
            here = [row for row in mapped if row["time_ns"] <= now]
            if here and draw.random() < 0.5:
                now = _unmap(draw, rows, task, now, draw.choice(here), mapped)
                continue
            outer = len(rows)
            now = _operation(draw, rows, task, now, 0)[0]
            if parts and draw.random() < 0.6:
                rows[outer] |= {"part": PART_MAP, "mapping": len(rows), "pages": draw.randint(1, 9)}
                mapped.append(rows[outer])
    rows.sort(key=lambda row: row["time_ns"])
    first = rows[0]["time_ns"]
    numbers = {task: number for number, task in enumerate(sorted({row["task"] for row in rows}))}
    for row in rows:
        row["time_ns"] -= first
        row["task"] = numbers[row["task"]]
        row["process"] = row["task"] // 2
    names = list(BY_NAME) if parts else COLUMN_NAMES
    columns = {name: np.array([row.get(name, NULL_VALUES.get(name)) for row in rows]) for name in names}
    write(path, columns, columns=dict.fromkeys(names, "measured"))
    return path


def _unmap(
    draw: random.Random,
    rows: list[dict[str, int]],
    task: int,
    now: int,
    of: dict[str, int],
    mapped: list[dict[str, int]],
) -> int:
    mapped.remove(of)
    think = draw.randint(0, 300)
    own = {"task": task, "part": PART_UNMAP, "time_ns": now + think, "think_ns": think, "bytes": -1}
    rows.append(of | own | dict.fromkeys(("wait_ns", "hold_ns", "block_ns"), 0))
    return now + think


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
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def transformed(source: Path, *steps: str, name: str = "new.parquet") -> tuple[Columns, TransformResult]:
    """Rows after some steps; the trace they make must be without error."""
    result = transform(source, source.parent / name, steps)
    diagnosis = doctor(result.output)
    assert diagnosis.usable, diagnosis.text()
    return read(result.output), result


def same(found: Columns, expected: Columns) -> None:
    assert list(found) == list(expected)
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name], name)


def outermost_cpu_ns(columns: Columns) -> int:
    """CPU time of all operations and between them; what is nested is part of what it is nested in."""
    outermost = columns["depth"] == 0
    return int((columns["think_ns"] + columns["hold_ns"])[outermost].sum())


def trace(path: Path) -> Trace:
    return open_trace(path)
