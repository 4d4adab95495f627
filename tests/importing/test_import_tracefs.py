from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from pipeline.errors import InputError, UsageError
from pipeline.importing.formats.kernel_pool_tracefs import IMPORTER
from pipeline.importing.import_trace import import_trace

# Ticks of 0.5 ns. Task 7 maps at 2000, is off CPU for 3000 of its hold, and thinks for 400 ticks of the 2000
# before its next mapping, during which another task runs.
TEXT = """# tracer: nop
#
# entries-in-buffer/entries-written: 12/15   #P:4
#
          <idle>-0       [001] d..2.  1000: sched_switch: prev_comm=swapper/1 prev_pid=0 prev_prio=120 prev_state=R ==> next_comm=a b-c next_pid=7 next_prio=120
           a b-c-7       [001] ...1.  1500: sys_write(fd: 4, buf: b7d00610, count: 1e0)
           a b-c-7       [001] .....  2000: ke: (kmap_high+0x0/0x260) page=0xf6 caller=kc_write+0x177/0x235 [kmapcu]
           a b-c-7       [001] d.Z..  2200: km: (kmap_high+0x5c/0x260) page=0xf6 vaddr=0xff001000 nr=0x1 cnt=0x2
           a b-c-7       [001] d..2.  3200: sched_switch: prev_comm=a b-c prev_pid=7 prev_prio=120 prev_state=D ==> next_comm=x next_pid=9 next_prio=120
CPU:2 [LOST 2 EVENTS]
               x-9       [001] d..2.  6200: sched_switch: prev_comm=x prev_pid=9 prev_prio=120 prev_state=S ==> next_comm=a b-c next_pid=7 next_prio=120
           a b-c-7       [001] d.Z..  7200: ku: (kunmap_high+0x52/0xb0) page=0xf6 nr=0x1 cnt=0x1
           a b-c-7       [001] d..2.  7400: sched_switch: prev_comm=a b-c prev_pid=7 prev_prio=120 prev_state=S ==> next_comm=x next_pid=9 next_prio=120
               x-9       [001] d..2.  9000: sched_switch: prev_comm=x prev_pid=9 prev_prio=120 prev_state=S ==> next_comm=a b-c next_pid=7 next_prio=120
           a b-c-7       [001] .....  9200: ke: (kmap_high+0x0/0x260) page=0xf7 caller=dir_get_page+0x1/0x2
           a b-c-7       [001] d.Z..  9300: km: (kmap_high+0x5c/0x260) page=0xf7 vaddr=0xff002000 nr=0x2 cnt=0x2
           a b-c-7       [002] d.Z..  9400: ku: (kunmap_high+0x52/0xb0) page=0xf7 nr=0x2 cnt=0x1
               x-9       [001] .....  9900: ke: (kmap_high+0x0/0x260) page=0xf7 caller=kc_write+0x177/0x235
"""  # noqa: E501 - as tracefs prints it


def test_cpu_time_and_sleep_are_measured_from_the_switches(tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text(TEXT)
    result = import_trace(tmp_path / "r.txt", tmp_path / "t.parquet", tsc_ghz=2.0)
    rows = pl.read_parquet(tmp_path / "t.parquet")
    assert rows["time_ns"].to_list() == [0, 3600]
    assert rows["hold_ns"].to_list() == [1000, 50]
    assert rows["block_ns"].to_list() == [1500, 0]
    assert rows["think_ns"].to_list() == [0, 200]
    assert rows["wait_ns"].to_list() == [0, 800]
    assert rows["kind"].to_list() == ["copy_from_user", "directory"]
    assert rows["cpu"].to_list() == [1, 1]
    assert result.dropped == {"the recording ends before the unmap": 1}
    assert result.metadata.lost_events == 5
    assert result.metadata.columns["hold_ns"] == "measured"


@pytest.mark.parametrize("name", ["r.txt.packed", "r.txt"])
@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress])
def test_compressed_text_is_the_same_recording_whatever_its_name(
    tmp_path: Path, name: str, pack: Callable[[bytes], bytes]
) -> None:
    (tmp_path / name).write_bytes(pack(TEXT.encode()))
    assert IMPORTER.sniff(tmp_path / name)
    assert import_trace(tmp_path / name, tmp_path / "t.parquet", tsc_ghz=2.0).rows_out == 2


def test_other_text_is_not_taken_for_a_recording(tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text(
        TEXT.replace("kmap_high", "kmap_low").replace("kunmap_high", "kunmap_low")
    )
    assert not IMPORTER.sniff(tmp_path / "r.txt")
    (tmp_path / "r.txt.gz").write_bytes(b"\x1f\x8bnot gzip")
    assert not IMPORTER.sniff(tmp_path / "r.txt.gz")
    with pytest.raises(InputError, match="cannot be read"):
        import_trace(tmp_path / "r.txt.gz", tmp_path / "t.parquet", "kernel-pool-tracefs", tsc_ghz=2.0)


def test_a_rate_that_was_not_given_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text(TEXT)
    with pytest.raises(UsageError, match="--tsc-ghz"):
        import_trace(tmp_path / "r.txt", tmp_path / "t.parquet")


def test_numbers_that_no_kernel_has_are_damage_and_end_no_import(tmp_path: Path) -> None:
    for before, after in (("9400: ku", "9" * 5000 + ": ku"), ("page=0xf7 nr", "page=0x" + "f" * 40 + " nr")):
        (tmp_path / "r.txt").write_text(
            TEXT + TEXT[TEXT.index("           a b-c-7") :].replace(before, after)
        )
        try:
            import_trace(tmp_path / "r.txt", tmp_path / "t.parquet", tsc_ghz=2.0)
        except InputError as error:
            assert "without its page" in str(error)
    # A pointer of a 64-bit kernel.
    (tmp_path / "r.txt").write_text(TEXT.replace("page=0xf6", "page=0xffffea0004400000"))
    assert import_trace(tmp_path / "r.txt", tmp_path / "t.parquet", tsc_ghz=2.0).rows_out == 2


def test_an_event_without_its_fields_is_named_by_its_place(tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text(
        TEXT.replace("prev_comm=x prev_pid=9 prev_prio", "prev_comm=x prev_prio", 1)
    )
    with pytest.raises(InputError, match="event 6: sched_switch lacks its pids"):
        import_trace(tmp_path / "r.txt", tmp_path / "t.parquet", tsc_ghz=2.0)


@pytest.mark.parametrize("event", ["ke: (kmap_high+0x0/0x260)", "km: (kmap_high+0x5c/0x260)"])
def test_a_page_that_one_event_lacks_is_the_one_that_its_task_asked_for(tmp_path: Path, event: str) -> None:
    (tmp_path / "r.txt").write_text(TEXT)
    import_trace(tmp_path / "r.txt", tmp_path / "whole.parquet", tsc_ghz=2.0)
    (tmp_path / "r.txt").write_text(TEXT.replace(f"{event} page=0xf6", event))
    import_trace(tmp_path / "r.txt", tmp_path / "t.parquet", tsc_ghz=2.0)
    assert pl.read_parquet(tmp_path / "t.parquet").equals(pl.read_parquet(tmp_path / "whole.parquet"))


def test_a_recording_without_switches_divides_its_intervals_by_rule(tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text(TEXT.replace("sched_switch", "sched_other"))
    columns = import_trace(tmp_path / "r.txt", tmp_path / "t.parquet", tsc_ghz=2.0).metadata.columns
    assert columns["hold_ns"] == "derived"


def test_spinning_for_the_lock_behind_a_flush_is_no_use_of_the_mapping(tmp_path: Path) -> None:
    def switch(time: int, cpu: int, leaving: int, coming: int) -> str:
        return (
            f"     x-{leaving}  [00{cpu}] d..2. {time}: sched_switch: prev_comm=x prev_pid={leaving} "
            f"prev_state=S ==> next_comm=y next_pid={coming} next_prio=120\n"
        )

    def pool(time: int, cpu: int, task: int, event: str, fields: str = "") -> str:
        place = "kunmap_high" if event == "ku" else "kmap_high"
        return f"     x-{task}  [00{cpu}] d.Z.. {time}: {event}: ({place}+0x0/0x260) {fields}\n"

    def maps(time: int, cpu: int, task: int) -> str:
        return (
            switch(time - 1_000, cpu, 0, task)
            + pool(time - 500, cpu, task, "ke", f"page=0x{task}0")
            + pool(time, cpu, task, "km", f"page=0x{task}0 nr=0x{task} cnt=0x2")
        )

    def unmaps(time: int, cpu: int, task: int) -> str:
        return pool(time, cpu, task, "ku", f"page=0x{task}0 nr=0x{task} cnt=0x1")

    text = (
        maps(100_000, 1, 5) + switch(110_000, 1, 5, 0)
        + maps(200_000, 1, 6) + switch(210_000, 1, 6, 0)
        + maps(1_000_000, 3, 7)
        + switch(1_900_000, 2, 0, 8) + pool(1_950_000, 2, 8, "ke", "page=0x80")
        + pool(2_000_000, 2, 8, "fz") + pool(2_001_000, 2, 8, "spa", "page=0x90 vaddr=0x0")
        + pool(2_010_000, 2, 8, "ftlb")
        + switch(4_000_000, 1, 0, 5)
        + pool(5_000_000, 2, 8, "spa", "page=0x80 vaddr=0xff000000")
        + pool(5_001_000, 2, 8, "km", "page=0x80 nr=0x0 cnt=0x2")
        + unmaps(5_010_000, 3, 7) + unmaps(5_020_000, 1, 5)
        + switch(5_025_000, 1, 5, 6) + unmaps(5_030_000, 1, 6)
        + pool(5_101_000, 2, 8, "ku", "page=0x80 nr=0x0 cnt=0x1")
    )  # fmt: skip
    (tmp_path / "r.txt").write_text(text)
    result = import_trace(tmp_path / "r.txt", tmp_path / "t.parquet", tsc_ghz=1.0)
    rows = pl.read_parquet(tmp_path / "t.parquet")
    # Task 7 computed for 1 ms before the flush began; 5 came while it was under way, 6 after it; 8 made it.
    assert dict(zip([5, 6, 7, 8], rows["hold_ns"].to_list(), strict=True)) == {
        5: 10_000,
        6: 10_000 + 5_000,
        7: 1_000_000,
        8: 100_000,
    }
    assert "excludes 0.004 s in total that tasks spun for the pool's lock at 2 unmaps" in " ".join(
        result.metadata.notes
    )
