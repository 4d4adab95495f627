"""The compiled assembler beside a plain one of its own, row by row."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from pipeline.importing.import_trace import import_trace
from pipeline.importing.text.blocks import open_text
from pipeline.schema.names import KINDS
from tests.importing.plain_perf import Operation, Plain
from tests.importing.recorded import SAMPLES, imported, perf

TIMES = ("time_ns", "think_ns", "wait_ns", "hold_ns", "block_ns")


def _row(found: Operation, first_ns: int) -> tuple[object, ...]:
    assert found.end
    clock, cpu_time = (end - begin for end, begin in zip(found.end, found.begin, strict=True))
    times = (found.begin[0] - first_ns, *found.gap, cpu_time, clock - cpu_time)
    return (*times, found.kind, found.size, found.cpu, found.depth)


@pytest.mark.parametrize("name", ["excerpt.perf-script.txt", "make.perf-script.txt.xz"])
def test_compiled_code_makes_the_rows_that_the_documented_rules_make(name: str, tmp_path: Path) -> None:
    source = SAMPLES / name
    with open_text(source) as text:
        lines = bytes(text.read()).decode().splitlines()
    import_trace(source, tmp_path / "t.parquet")
    rows = pl.read_parquet(tmp_path / "t.parquet").with_columns(pl.col("kind").cast(pl.Enum(KINDS)))
    # Both samples begin with a fault.
    first_ns = next(int(line.split()[3].replace(".", "")[:-1]) for line in lines if "page_fault" in line)
    endless = rows.filter(pl.col("kind").is_in(["page_fault", "other"]))
    drawn = {
        (first_ns + time, cpu): hold for time, cpu, hold in endless.select("time_ns", "cpu", "hold_ns").rows()
    }
    plain = Plain(drawn).take(lines).operations
    assert len(plain) == len(rows)
    found = rows.select(*TIMES, "kind", "bytes", "cpu", "depth").rows()
    assert found == [_row(operation, first_ns) for operation in plain]
    for column, identity in (("task", "tid"), ("process", "pid"), ("page", "page")):
        pairs = {
            (getattr(operation, identity), number)
            for operation, number in zip(plain, rows[column], strict=True)
        }
        assert len(pairs) == len({one for one, _ in pairs}) == len({other for _, other in pairs})


def test_a_kernel_read_that_the_recordings_end_cuts_off_keeps_its_bytes(tmp_path: Path) -> None:
    text = perf((0, 7, "filemap:mm_filemap_get_pages: dev=254:0 ino=ff ofs=0-8191"))
    assert imported(tmp_path, text)[0]["bytes"].to_list() == [4096, 4096]
