from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.cli.import_ import import_
from pipeline.errors import InputError, UsageError
from pipeline.importing.callers import classify_caller, parse_symbol
from pipeline.importing.import_trace import import_trace, list_formats
from pipeline.schema.trace import COLUMN_NAMES
from pipeline.trace.doctor import doctor
from pipeline.trace.reader import open_trace
from tests.trace.small import GOOD, write_damaged, write_good

MS = 1_000_000


def imported(source: Path, **options) -> tuple[pl.DataFrame, object]:
    output = source.with_name("trace.parquet")
    result = import_trace(source, output, **options)
    assert doctor(output).usable
    return pl.read_parquet(output), result


def pool_ops(path: Path, rows: list[tuple]) -> Path:
    """Rows of (pid, page, entered, mapped, unmapped) of the ops format."""
    pid, page, enter, mapped, unmapped = zip(*rows, strict=True)
    n = len(rows)
    fields = {
        "t_enter": enter, "t_mapped": mapped, "t_unmapped": unmapped, "pid": pid, "page": page,
        "cpu": [0] * n, "caller": ["dir_get_page.isra.0+0x50/0x60"] * n, "seq_map": list(range(n)),
    }  # fmt: skip
    pq.write_table(pa.table(fields), path)
    return path


def pool_events(path: Path, rows: list[tuple]) -> Path:
    """Rows of (event, pid, page, time) of the kmap format."""
    ev, pid, page, time = zip(*rows, strict=True)
    n = len(rows)
    fields = {
        "seq": list(range(n)), "time_ns": time, "cpu": [1] * n, "pid": pid, "ev": ev, "page": page,
        "caller": ["kc_write+0x1/0x2" if event == "ke" else None for event in ev],
    }  # fmt: skip
    pq.write_table(pa.table(fields), path)
    return path


def local(path: Path, rows: list[tuple]) -> Path:
    """Rows of (pid, pfn, time, hold, depth, caller, syscall) of the local format."""
    pid, pfn, time, hold, depth, caller, syscall = zip(*rows, strict=True)
    fields = {
        "time_ns": time, "hold_ns": hold, "pid": pid, "pfn": pfn, "depth": depth, "caller": caller,
        "syscall": syscall, "cpu": [2] * len(rows),
    }  # fmt: skip
    pq.write_table(pa.table(fields), path)
    return path


def test_pool_mappings_are_divided_by_the_rule_and_mapping_time_is_in_no_column(tmp_path) -> None:
    rows, result = imported(
        pool_ops(
            tmp_path / "r.ops.parquet",
            [
                (70, 900, 1000, 1500, 2500),
                (50, 800, 1200, 1300, 1300 + 100 * MS),
                (70, 800, 3500, 9999, 10_999),
                (70, 900, 10_999 + 5 * MS, 10_999 + 6 * MS, 10_999 + 7 * MS),
            ],
        )
    )
    assert rows["time_ns"].to_list() == [0, 200, 2500, 9_999 + 5 * MS]
    assert rows["task"].to_list() == [0, 1, 0, 0]
    assert rows["process"].to_list() == [0, 1, 0, 0]
    assert rows["page"].to_list() == [0, 1, 1, 0]
    assert rows["think_ns"].to_list() == [0, 0, 1000, 19_000]
    assert rows["wait_ns"].to_list() == [0, 0, 0, 5 * MS - 19_000]
    assert rows["hold_ns"].to_list() == [1000, 25_000, 1000, MS]
    assert rows["block_ns"].to_list() == [0, 100 * MS - 25_000, 0, 0]
    assert rows["kind"].to_list() == ["directory"] * 4
    assert rows["bytes"].null_count() == 4
    assert result.metadata.columns["hold_ns"] == "derived"
    assert any("up to 1 ms" in note and "25 us" in note for note in result.metadata.notes)


def test_events_of_the_pool_are_paired_by_task_and_page_and_leftovers_are_counted(tmp_path) -> None:
    rows, result = imported(
        pool_events(
            tmp_path / "r.kmap.parquet",
            [
                ("ku", 5, 77, 5), ("ke", 5, 10, 10), ("ke", 6, 10, 12), ("km", 6, 10, 14), ("km", 5, 10, 20),
                ("fz", 5, None, 21), ("ku", 5, 10, 30), ("ku", 6, 10, 44), ("ke", 5, 11, 50),
                ("km", 5, 11, 51), ("ke", 6, 11, 60),
            ],
        )
    )  # fmt: skip
    assert rows["time_ns"].to_list() == [0, 2]
    assert rows["hold_ns"].to_list() == [10, 30]
    assert rows["kind"].to_list() == ["copy_from_user"] * 2
    assert result.dropped == {
        "the recording ends before the unmap": 2,
        "they began before the recording, or another task unmapped the page": 1,
    }
    assert sum("mappings were dropped" in note for note in result.metadata.notes) == 2


def test_both_forms_of_a_pool_recording_give_the_same_trace(tmp_path) -> None:
    ops = [(5, 10, 0, 3, 9), (6, 10, 1, 4, 8), (5, 12, 9, 9, 30), (6, 13, 9, 12, 13)]
    events = sorted(
        (time, order, name, pid, page)
        for order, (pid, page, *times) in enumerate(ops)
        for name, time in zip(("ke", "km", "ku"), times, strict=True)
    )
    # An unmap and the next entry at one instant: the kernel's order is that of the sequence numbers.
    listed = [(name, pid, page, time) for time, _, name, pid, page in events]
    by_ops, _ = imported(pool_ops(tmp_path / "a.ops.parquet", ops))
    by_events, _ = imported(pool_events(tmp_path / "a.kmap.parquet", listed))
    assert by_ops.drop("cpu", "kind").equals(by_events.drop("cpu", "kind"))


def test_a_mapping_without_its_unmap_is_dropped_and_counted(tmp_path) -> None:
    rows, result = imported(pool_ops(tmp_path / "r.ops.parquet", [(1, 1, 0, 1, 2), (1, 1, 3, 4, None)]))
    assert (rows.height, result.dropped) == (1, {"the recording ends before the unmap": 1})


def test_an_overlap_that_is_no_nesting_is_dropped_and_counted(tmp_path) -> None:
    rows, result = imported(
        pool_ops(
            tmp_path / "r.ops.parquet",
            [
                (1, 1, 0, 100, 200),
                (1, 2, 150, 160, 250),  # ends after the one it began in
                (1, 3, 260, 300, 400),
                (1, 4, 270, 280, 290),  # while the other was not yet mapped
                (1, 5, 500, 490, 600),  # mapped before it was asked for
            ],
        )
    )
    assert rows["page"].to_list() == [0, 1]
    assert rows["think_ns"].to_list() == [0, 60]
    assert sorted(result.dropped.values()) == [1, 2]


def test_what_is_nested_is_part_of_what_it_lies_in(tmp_path) -> None:
    rows, _ = imported(
        pool_ops(
            tmp_path / "r.ops.parquet",
            [
                (1, 1, 0, 10, 10_000_000),
                (1, 2, 110, 200, 300),
                (1, 3, 220, 230, 240),
                (1, 4, 350, 400, 6_000_400),
            ],
        )
    )
    assert rows["depth"].to_list() == [0, 1, 2, 1]
    assert rows["think_ns"].to_list() == [0, 100, 20, 50]
    # Row 1: 20 thinking, 10 held inside, 60 after. Row 3 slept. Row 0: both, their thinking, 25 us after.
    assert rows["hold_ns"].to_list() == [100 + 90 + 50 + 25_000 + 25_000, 90, 10, 25_000]
    assert rows["block_ns"].to_list() == [5_975_000 + 3_999_600 - 25_000, 0, 0, 5_975_000]


def test_local_mappings_keep_their_nesting_and_a_wrong_depth_is_mended_and_counted(tmp_path) -> None:
    rows, result = imported(
        local(
            tmp_path / "r.records.parquet",
            [
                (9, 100, 1000, 500, 0, "copy_page_to_iter", "sys_read"),
                (9, 200, 1100, 100, 1, "handle_mm_fault", "sys_read"),
                (9, 300, 1300, 100, 1, "kernel_init_pages", "sys_read"),
                (9, 300, 2000, 100, 1, "kernel_init_pages", ""),
                (9, 300, 60 * MS, 100, 0, "strange", ""),
            ],
        )
    )
    assert rows["depth"].to_list() == [0, 1, 1, 0, 0]
    assert rows["think_ns"].to_list() == [0, 100, 100, 500, 10 * MS]
    assert rows["hold_ns"].to_list() == [500, 100, 100, 100, 100]
    assert rows["wait_ns"].to_list() == [0, 0, 0, 0, 50 * MS - 2100]
    assert rows["kind"].to_list() == ["copy_to_user", "page_fault", "other", "page_fault", "other"]
    assert any(note.startswith("1 operations are less deeply nested") for note in result.metadata.notes)


def test_callers_are_known_by_their_function_whatever_the_compiler_appended() -> None:
    assert parse_symbol("dir_get_page.isra.0+0x50/0x60") == "dir_get_page"
    assert parse_symbol("copy_user_highpage.constprop.0") == "copy_user_highpage"
    assert classify_caller("follow_page_pte.constprop.0") == "page_fault"
    assert classify_caller("copy_page_from_iter_atomic+0x1/0x2") == "copy_from_user"
    assert classify_caller("never_heard_of") == "other"


def test_threads_share_one_process_when_it_is_said_so(tmp_path) -> None:
    source = pool_ops(tmp_path / "r.ops.parquet", [(1, 1, 0, 1, 2), (2, 1, 3, 4, 5)])
    rows, result = imported(source, threads=True, kernel="6.1", lost_events=0, name="mine")
    assert rows["process"].to_list() == [0, 0]
    metadata = result.metadata
    assert (metadata.columns["process"], metadata.lost_events, metadata.source.kernel) == (
        "assumed",
        0,
        "6.1",
    )
    assert (metadata.source.name, metadata.source.file) == ("mine", "r.ops.parquet")
    assert any("one process" in note for note in metadata.notes)


def test_a_table_of_another_tool_becomes_a_trace_in_order_of_time(tmp_path) -> None:
    path = tmp_path / "table.parquet"
    pl.read_parquet(write_good(path)).cast({"task": pl.Int64}).reverse().write_parquet(path)
    rows, result = imported(path)
    assert {name: rows[name].to_list() for name in COLUMN_NAMES} == GOOD
    assert set(result.metadata.columns.values()) == {"assumed"}
    assert any("were not in time order" in note for note in result.metadata.notes)


def test_a_table_with_a_value_that_does_not_fit_is_refused(tmp_path) -> None:
    for column, value, message in (
        ("page", -1, "'page' contains -1; expected 0 to 2147483647"),
        ("task", 1 << 17, "'task' contains 131072; expected 0 to 131071"),
        ("kind", "fork", "row 1: kind is 'fork'"),
        ("task", None, "'task' is null at row 1"),
    ):
        values = list(GOOD[column])
        values[1] = value
        path = write_damaged(tmp_path / "table.parquet", **{column: values})
        with pytest.raises(InputError, match=message):
            import_trace(path, tmp_path / "trace.parquet")


def test_unknown_formats_and_recordings_are_refused_with_those_known(tmp_path) -> None:
    source = pool_ops(tmp_path / "r.ops.parquet", [(1, 1, 0, 1, 2)])
    assert {"kernel-pool-ops", "kernel-pool-kmap", "kmap-local", "trace-table"} <= set(list_formats())
    with pytest.raises(UsageError, match="did you mean 'kernel-pool-ops'"):
        import_trace(source, tmp_path / "t.parquet", "kernel-pool-op")
    with pytest.raises(InputError, match="missing columns: ev"):
        import_trace(source, tmp_path / "t.parquet", "kernel-pool-kmap")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"no format matches; known: bpftrace .*; kernel-pool-kmap"):
        import_trace(tmp_path / "a.parquet", tmp_path / "t.parquet")
    with pytest.raises(InputError, match="no such file"):
        import_trace(tmp_path / "none", tmp_path / "t.parquet")
    with pytest.raises(UsageError, match="this file is the recording"):
        import_trace(source, source)
    assert not (tmp_path / "t.parquet").exists()


def test_a_recording_cut_short_or_of_other_types_is_refused(tmp_path) -> None:
    source = pool_ops(tmp_path / "r.ops.parquet", [(1, 1, 0, 1, 2)])
    table = pq.read_table(source)
    source.write_bytes(source.read_bytes()[:-50])
    with pytest.raises(InputError, match="truncated or damaged"):
        import_trace(source, tmp_path / "t.parquet", "kernel-pool-ops")
    pq.write_table(table.set_column(3, "pid", pa.array(["one"])), source)
    with pytest.raises(InputError, match="'pid' has the type string"):
        import_trace(source, tmp_path / "t.parquet")


def test_a_recording_without_one_whole_mapping_is_refused(tmp_path) -> None:
    source = pool_ops(tmp_path / "r.ops.parquet", [(1, 1, 0, None, None)])
    with pytest.raises(InputError, match=r"^/\S+: .*contains no complete mapping"):
        import_trace(source, tmp_path / "t.parquet")


def test_the_command_says_what_was_read_written_and_dropped(tmp_path, capsys) -> None:
    source = pool_ops(tmp_path / "r.ops.parquet", [(1, 1, 0, 1, 2), (1, 1, 3, 4, None)])
    import_(source, tmp_path / "t.parquet")
    printed = capsys.readouterr().out
    assert "1 operations from 2 rows (kernel-pool-ops)" in printed
    assert "1 mappings were dropped: the recording ends before the unmap" in printed
    assert "assumed   process" in printed
    assert open_trace(tmp_path / "t.parquet").rows == 1


def test_equal_times_of_different_tasks_stay_in_recorded_order(tmp_path) -> None:
    rows, _ = imported(pool_ops(tmp_path / "r.ops.parquet", [(9, 5, 0, 0, 1), (3, 6, 0, 0, 1)]))
    assert np.array_equal(rows["page"], [0, 1])
    assert np.array_equal(rows["task"], [0, 1])
