"""What is written is forgotten: a long timeline takes no more memory than a short one."""

from __future__ import annotations

import io
from pathlib import Path

from pipeline.export.perfetto import PerfettoWriter
from pipeline.export.timeline import Slice, Track


def resident_mb() -> float:
    (line,) = (x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


class Nowhere(io.RawIOBase):
    written = 0

    def write(self, data: bytes) -> int:
        self.written += len(data)
        return len(data)


def test_packets_that_are_written_leave_no_memory_behind():
    nowhere = Nowhere()
    writer = PerfettoWriter(nowhere)
    slice_ = Slice("map", "map", [("op", 1), ("task", 2)], [], None)

    def write(count: int) -> None:
        for at in range(count):
            writer.begin(at, at, Track("cpu", 0), slice_)
            writer.end(at, Track("cpu", 0))

    write(10_000)
    before = resident_mb()
    write(60_000)
    assert nowhere.written > 3_000_000
    assert resident_mb() - before < 20
