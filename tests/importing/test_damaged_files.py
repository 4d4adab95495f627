"""Damaged files and bombs end with one line, in bounded memory."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from pipeline.errors import InputError, PipelineError
from pipeline.importing.import_trace import import_trace
from pipeline.importing.text import blocks
from pipeline.importing.text.kernel_events import derive
from pipeline.schema.trace import MAX_TIME_NS
from pipeline.trace.doctor import doctor
from tests.importing.recorded import SAMPLES, imported
from tests.importing.test_import_table import CSV, MAPPING
from tests.trace.small import write_good, write_parts

PERF = (SAMPLES / "excerpt.perf-script.txt").read_bytes()
# A pool's events with numbers that no kernel has.
POOL = b"""\
# tracer: nop
 wl-133 [003] d....  20282988399: km: (kmap_high+0x52/0xb0) page=0x%s vaddr=0xff157000 nr=0x1 cnt=0x2
 wl-133 [003] d....  20282998399: ku: (kunmap_high+0x52/0xb0) page=0xf6 vaddr=0xff157000 nr=0x1 cnt=%s
 <idle>-0 [001] d..2.  202%s: sched_switch: prev_comm=x prev_pid=%s prev_prio=1 ==> next_comm=y next_pid=7
"""


def test_compressed_text_that_is_damaged_is_refused_or_cut_short(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(PERF))
    packed[20:40] = b"\xff" * 20
    with pytest.raises(InputError, match="truncated or damaged"):
        imported(tmp_path, bytes(packed), format="perf-script")
    packed = bytearray(gzip.compress(PERF, 0))
    del packed[len(packed) * 2 // 3 :]
    _, result = imported(tmp_path, bytes(packed), format="perf-script")
    assert result.metadata.losses["cut_short"] == 1


def test_numbers_of_a_pool_may_have_leading_zeros(tmp_path: Path) -> None:
    imported(
        tmp_path, POOL % (b"00f6", b"002", b"83008399", b"133"), format="kernel-pool-tracefs", tsc_ghz=2.4
    )
    assert doctor(tmp_path / "t.parquet").usable


@pytest.mark.parametrize("digits", [30, 5_000])
@pytest.mark.parametrize("field", range(4))
def test_numbers_of_a_pool_that_no_kernel_has(digits: int, field: int, tmp_path: Path) -> None:
    numbers = [b"f6", b"0x1", b"83008399", b"133"]
    numbers[field] = b"9" * digits
    try:
        imported(tmp_path, POOL % tuple(numbers), format="kernel-pool-tracefs", tsc_ghz=2.4)
    except PipelineError as error:
        assert "\n" not in str(error)
        return
    assert doctor(tmp_path / "t.parquet").usable


def test_bytes_of_a_table_that_are_no_utf_8(tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text(MAPPING)
    rows, _ = imported(tmp_path, CSV.encode().replace(b"read", b"r\xe9ad"), mapping=tmp_path / "m.toml")
    assert rows["kind"][0] == "other"
    with pytest.raises(InputError, match=r"\\xe9"):
        imported(tmp_path, CSV.encode().replace(b"start", b"st\xe9rt"), mapping=tmp_path / "m.toml")


@pytest.mark.parametrize("format", ["perf-script", "strace", "kernel-pool-tracefs", "table"])
def test_a_line_that_is_too_long_is_said(format: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(blocks, "LONGEST_LINE", 1 << 12)
    (tmp_path / "m.toml").write_text(MAPPING)
    mapping = tmp_path / "m.toml" if format == "table" else None
    with pytest.raises(InputError, match=r"line 1.* longer than"):
        imported(tmp_path, b"x" * (1 << 16), format=format, tsc_ghz=1.0, mapping=mapping)


def test_a_bomb_of_one_line_is_read_in_bounded_memory(tmp_path: Path) -> None:
    bomb = tmp_path / "r.zst"
    bomb.write_bytes(pa.compress(b"x" * (300 << 20), "zstd", asbytes=True))
    assert bomb.stat().st_size < 100_000
    script = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from pipeline.importing.text.blocks import BlockReader\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "reader = BlockReader(Path(sys.argv[1]))\n"
        "assert list(reader.blocks()) == []\n"
        "print(reader.overlong, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before >> 10)\n"
    )
    words = [sys.executable, "-c", script, str(bomb)]
    overlong, megabytes = subprocess.run(words, capture_output=True, check=True).stdout.split()
    assert int(overlong) == 1
    assert int(megabytes) < 64


def test_a_table_of_more_text_than_can_be_read_whole_is_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("pipeline.importing.formats.table._MOST_TEXT_BYTES", 50)
    (tmp_path / "m.toml").write_text(MAPPING)
    (tmp_path / "r.csv").write_text(CSV)
    with pytest.raises(InputError, match="split it, or convert it to Parquet"):
        import_trace(tmp_path / "r.csv", tmp_path / "t.parquet", mapping=tmp_path / "m.toml")


@pytest.mark.parametrize("column", ["task", "process"])
def test_numbers_of_a_table_with_gaps_are_made_dense(column: str, tmp_path: Path) -> None:
    table = pl.read_parquet(write_good(tmp_path / "t.parquet"))
    sparse = table.with_columns((pl.col(column) * 100 + 7).cast(pl.Int32), pl.col("kind").cast(pl.String))
    sparse.write_parquet(tmp_path / "r.parquet")
    done = import_trace(tmp_path / "r.parquet", tmp_path / "new.parquet", "trace-table")
    assert pl.read_parquet(done.output)[column].to_list() == table[column].to_list()
    assert f"column {column} was numbered densely from 0, in the same order" in done.metadata.notes
    assert doctor(done.output).usable


def test_a_table_that_makes_no_usable_trace_is_refused(tmp_path: Path) -> None:
    table = pl.read_parquet(write_good(tmp_path / "t.parquet"))
    jumps = table.with_columns(pl.Series("depth", [0, 2, *table["depth"].to_list()[2:]], pl.Int32))
    jumps.with_columns(pl.col("kind").cast(pl.String)).write_parquet(tmp_path / "r.parquet")
    with pytest.raises(InputError, match=r"r\.parquet: nested rows .*\(first at row 1\); correct the table"):
        import_trace(tmp_path / "r.parquet", tmp_path / "new.parquet", "trace-table")
    assert not (tmp_path / "new.parquet").exists()


def test_a_table_can_have_the_optional_columns_of_a_trace(tmp_path: Path) -> None:
    table = pl.read_parquet(write_parts(tmp_path / "t.parquet"))
    texts = table.with_columns(pl.col("kind", "part").cast(pl.String))
    for pages, refused in (
        ([4, None, 4, 3, 2], ""),
        ([4, None, 5, 3, 2], r"\(first at row 2\); correct the"),
    ):
        texts.with_columns(pl.Series("pages", pages, pl.Int32)).write_parquet(tmp_path / "r.parquet")
        if refused:
            with pytest.raises(InputError, match=refused):
                import_trace(tmp_path / "r.parquet", tmp_path / "new.parquet", "trace-table")
        else:
            done = import_trace(tmp_path / "r.parquet", tmp_path / "new.parquet", "trace-table")
            assert pl.read_parquet(done.output).equals(table)
            assert done.metadata.columns["mapping"] == "assumed"
    texts.with_columns(part=pl.lit("half")).write_parquet(tmp_path / "r.parquet")
    with pytest.raises(InputError, match="row 0: part is 'half'; expected one of whole, map, unmap"):
        import_trace(tmp_path / "r.parquet", tmp_path / "new.parquet", "trace-table")


@pytest.mark.parametrize("read", [doctor, lambda path: import_trace(path, path.with_name("t"), "strace")])
@pytest.mark.parametrize("place", ["/dev/zero", "pipe"])
def test_devices_and_pipes_are_refused(read, place: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="found a device or pipe; write it to a file first"):
        read(tmp_path / place)


@pytest.mark.parametrize("column", ["time_ns", "think_ns", "wait_ns", "hold_ns", "block_ns"])
def test_times_of_a_table_that_no_trace_can_have(column: str, tmp_path: Path) -> None:
    table = pl.read_parquet(write_good(tmp_path / "t.parquet"))
    last = table[column].to_list()[:-1]
    for time, refused in ((MAX_TIME_NS - 1, False), (MAX_TIME_NS, True)):
        changed = table.with_columns(pl.Series(column, [*last, time]), pl.col("kind").cast(pl.String))
        changed.write_parquet(tmp_path / "r.parquet")
        try:
            import_trace(tmp_path / "r.parquet", tmp_path / "new.parquet", "trace-table")
        except InputError as error:
            assert refused, error
            assert f"column '{column}' contains {MAX_TIME_NS}" in str(error)
        else:
            assert not refused


def test_names_of_columns_are_printed_on_one_line(tmp_path: Path) -> None:
    pl.DataFrame({"time_ns": [0], "ki\nnd": ["other"]}).write_parquet(tmp_path / "input.parquet")
    with pytest.raises(InputError) as caught:
        import_trace(tmp_path / "input.parquet", tmp_path / "t.parquet", format="trace-table")
    assert "ki\\nnd" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("state", ["0x" + "f" * 40, "0x" + "f" * 40 + "R", "9" * 40])
def test_the_state_of_a_task_has_more_digits_than_a_kernel_prints(state: str) -> None:
    assert derive({"state": pl.Series(["R", state, "0x1", "S"])})["flag"].tolist() == [0, 1, 1, 1]
