"""What is written is forgotten: a long timeline takes no more memory than a short one."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipeline.export.chrome import ChromeWriter
from pipeline.export.kinds import KINDS
from pipeline.export.perfetto import PerfettoWriter
from pipeline.export.timeline import Timeline


def resident_mb() -> float:
    (line,) = (x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


class Nowhere(io.RawIOBase):
    written = 0

    def write(self, data: bytes) -> int:
        self.written += len(data)
        return len(data)


def switches(first: int, count: int) -> pa.RecordBatch:
    """Switches of CPU 0 one after another, 10 ns each."""
    begin = np.arange(first, first + count) * 10
    kind = next(i for i, k in enumerate(KINDS) if k.name == "switch")
    none, flows = pa.nulls(count, pa.int64()), pa.nulls(count, pa.list_(pa.uint64()))
    columns = {
        "kind": np.full(count, kind),
        "lane": np.zeros(count, np.int64),
        "begin_ns": begin,
        "end_ns": begin + 10,
        "op": begin,
        "n0": begin % 100,
        "n1": none,
        "leads_to": flows,
        "comes_from": pa.nulls(count, pa.uint64()),
    }
    return pa.RecordBatch.from_pydict(columns)


@pytest.mark.parametrize("writer", [PerfettoWriter, ChromeWriter])
def test_events_that_are_written_leave_no_memory_behind(writer):
    nowhere = Nowhere()
    before = 0.0

    def batches():
        nonlocal before
        for position in range(60):
            yield switches(position * 10_000, 10_000)
            if position == 10:
                before = resident_mb()

    told = Timeline(writer(nowhere), (0, 6_000_000)).write(batches(), "run", {})
    assert told.slices == 600_001
    assert nowhere.written > 25_000_000
    assert resident_mb() - before < 20
