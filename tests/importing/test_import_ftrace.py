"""The same events as perf script, tracefs and trace-cmd report print them give the same operations."""

from __future__ import annotations

import bz2
import gzip
import lzma
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from pipeline.errors import InputError
from pipeline.importing.import_trace import import_trace
from tests.importing.recorded import SAMPLES, imported

PERF = """\
        a [1] b   7/7   [001]  3119.000000000:           exceptions:page_fault_user: address=0x7f24 ip=0x1 error_code=0x4
        a [1] b   7/7   [001]  3119.000010000:                sched:sched_switch: prev_comm=a [1] b prev_pid=7 prev_prio=120 prev_state=S ==> next_comm=x y next_pid=9 next_prio=120
          x y   9/9   [001]  3119.000110000:                sched:sched_switch: prev_comm=x y prev_pid=9 prev_prio=120 prev_state=R ==> next_comm=a [1] b next_pid=7 next_prio=120
        a [1] b   7/7   [001]  3119.000120000:              syscalls:sys_enter_read: fd: 0x00000003, buf: 0x7f0000, count: 0x00001000
        a [1] b   7/7   [001]  3119.000122000:         filemap:mm_filemap_get_pages: dev=254:0 ino=52fde ofs=0-4095
        a [1] b   7/7   [001]  3119.000130000:               syscalls:sys_exit_read: 0x340
"""  # noqa: E501 - as perf prints it


TRACEFS = """\
# tracer: nop
#
# entries-in-buffer/entries-written: 6/9   #P:4
#
#           TASK-PID     TGID     CPU#  |||||  TIMESTAMP  FUNCTION
         a [1] b-7       (      7) [001] d....  3119.000000: page_fault_user: address=0x7f24 ip=0x1 error_code=0x4
         a [1] b-7       (      7) [001] d..2.  3119.000010: sched_switch: prev_comm=a [1] b prev_pid=7 prev_prio=120 prev_state=S ==> next_comm=x y next_pid=9 next_prio=120
             x y-9       (-------) [001] d..2.  3119.000110: sched_switch: prev_comm=x y prev_pid=9 prev_prio=120 prev_state=R ==> next_comm=a [1] b next_pid=7 next_prio=120
         a [1] b-7       (      7) [001] .....  3119.000120: sys_read(fd: 3, buf: 7f0000, count: 1000)
         a [1] b-7       (      7) [001] .....  3119.000122: mm_filemap_get_pages: dev=254:0 ino=52fde ofs=0-4095
         a [1] b-7       (      7) [001] .....  3119.000130: sys_read -> 0x340
"""  # noqa: E501 - as tracefs prints it

TRACE_CMD = """\
cpus=4
         a [1] b-7     [001]  3119.000000000: page_fault_user:      address=0x7f24 ip=0x1 error_code=0x4
         a [1] b-7     [001]  3119.000010000: sched_switch:         a [1] b:7 [120] S ==> x y:9 [120]
             x y-9     [001]  3119.000110000: sched_switch:         x y:9 [120] R ==> a [1] b:7 [120]
         a [1] b-7     [001]  3119.000120000: sys_enter_read:       fd: 0x00000003, buf: 0x7f0000, count: 0x00001000
         a [1] b-7     [001]  3119.000122000: mm_filemap_get_pages: dev=254:0 ino=52fde ofs=0-4095
CPU:2 [3 EVENTS DROPPED]
         a [1] b-7     [001]  3119.000130000: sys_exit_read:        0x340
"""  # noqa: E501 - as trace-cmd prints it


def _expected(rows: pl.DataFrame) -> None:
    assert rows["kind"].to_list() == ["page_fault", "copy_to_user"]
    assert rows["time_ns"].to_list() == [0, 122_000]
    assert rows["wait_ns"].to_list() == [0, 100_000]
    assert rows["hold_ns"][1] == 8000
    assert rows["bytes"].to_list() == [None, 0x340]


@pytest.mark.parametrize(
    ("text", "format", "lost"),
    [
        (PERF, "perf-script", None),
        (TRACEFS, "tracefs", 3),
        (TRACE_CMD, "trace-cmd", 3),
    ],
)
def test_each_form_is_known_by_its_content(tmp_path: Path, text: str, format: str, lost: int | None) -> None:
    rows, result = imported(tmp_path, text)
    assert result.format == format
    _expected(rows)
    assert result.metadata.lost_events == lost


def test_carriage_returns_and_empty_lines_change_nothing(tmp_path: Path) -> None:
    first, rest = PERF.split("\n", 1)
    _expected(imported(tmp_path, f"\n{first}\r\n\r\n{rest}")[0])


def test_compressed_text_is_known_by_its_content_not_its_name(tmp_path: Path) -> None:
    plain = PERF.encode()
    for packed in (
        gzip.compress(plain),
        bz2.compress(plain),
        lzma.compress(plain),
        pa.compress(plain, "zstd", asbytes=True),
    ):
        _expected(imported(tmp_path, packed, file="r.dat")[0])


def test_compressed_text_that_breaks_off_gives_what_there_is(tmp_path: Path) -> None:
    line = "  a 7/7 [000] {}.{:09d}: exceptions:page_fault_user: address=0x{:x} ip=0x0 error_code=0x4\n"
    many = "".join(line.format(i // 1000, i * 997 % 1000, i * 7919**2) for i in range(400_000)).encode()
    packed = gzip.compress(many)
    _, result = imported(tmp_path, packed[: len(packed) * 3 // 4], file="r.gz")
    assert 100_000 < result.rows_out < 300_000
    assert result.metadata.losses["cut_short"] == 1
    with pytest.raises(InputError, match="truncated or damaged"):
        imported(tmp_path, packed[:40], file="r.gz", format="perf-script")


def test_a_line_longer_than_any_recorder_writes_is_left_out(tmp_path: Path) -> None:
    lines = PERF.splitlines(keepends=True)
    text = "".join(lines[:1] * 200) + "x" * (9 << 20) + "\n" + "".join(lines[1:])
    rows, result = imported(tmp_path, text, format="perf-script")
    assert len(rows) == 201
    assert result.metadata.losses["bad_lines"] == 1
    assert "bad line 201: longer than any recorder writes" in result.metadata.notes


def test_faults_of_the_pools_recording_can_be_imported_by_name(tmp_path: Path) -> None:
    source = SAMPLES / "kcsleep2.tracefs.txt.gz"
    result = import_trace(source, tmp_path / "t.parquet", "tracefs", tsc_ghz=2.596135, threads=True)
    assert result.metadata.processes == 1
    # Counted in the text with grep -c "page_fault_".
    assert result.rows_out == 842
    assert import_trace(source, tmp_path / "p.parquet", tsc_ghz=2.596135).format == "kernel-pool-tracefs"
