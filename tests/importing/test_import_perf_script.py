"""Page faults and copies as `perf script` prints them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import InputError, UsageError
from pipeline.trace.doctor import doctor
from tests.importing.recorded import imported, perf

FAULT = "exceptions:page_fault_user: address=0x{:x} ip=0x400000 error_code=0x4"
KERNEL_FAULT = "exceptions:page_fault_kernel: address=0x{:x} ip=copy_to_user error_code=0x2"
READ = "syscalls:sys_enter_read: fd: 0x00000003, buf: 0x7f0000000000, count: 0x00004000"
READ_DONE = "syscalls:sys_exit_read: 0x{:x}"
LOOKED_UP = "filemap:mm_filemap_get_pages: dev=254:0 ino=ff ofs={}-{}"
SWITCH = (
    "sched:sched_switch: prev_comm=a b prev_pid={} prev_prio=120 prev_state={} ==> next_comm=x next_pid={}"
)


def test_a_faults_page_is_its_page_table_page(tmp_path: Path) -> None:
    text = perf(
        (0, 7, FAULT.format(0x200000)),
        (100, 7, FAULT.format(0x3FFFFF)),
        (200, 7, FAULT.format(0x400000)),
        (300, 8, FAULT.format(0x200000)),
    )
    rows, result = imported(tmp_path, text)
    assert result.format == "perf-script"
    assert result.metadata.columns["time_ns"] == "measured"
    assert rows["time_ns"].to_list() == [0, 100_000, 200_000, 300_000]
    assert rows["kind"].to_list() == ["page_fault"] * 4
    assert rows["page"].to_list() == [0, 0, 1, 2]
    assert rows["process"].to_list() == [0, 0, 0, 1]
    assert rows["cpu"].to_list() == [1] * 4
    assert (rows["hold_ns"][:3] + rows["think_ns"][1:]).to_list() == [100_000, 100_000, rows["hold_ns"][2]]


def test_an_exec_brings_new_page_table_pages(tmp_path: Path) -> None:
    before = perf((0, 7, FAULT.format(0x200000)), name="sh")
    after = perf((100, 7, FAULT.format(0x200000)), name="cc1")
    rows, result = imported(tmp_path, before + after)
    assert rows["page"].to_list() == [0, 1]
    assert rows["process"].to_list() == [0, 0]
    assert result.metadata.losses["execs_by_name"] == 1
    told = "sched:sched_process_exec: filename=/bin/cc1 pid=7 old_pid=7"
    rows, result = imported(tmp_path, before + perf((50, 7, told), name="sh") + after)
    assert rows["page"].to_list() == [0, 1]
    assert "execs_by_name" not in result.metadata.losses


def test_a_read_maps_each_page_that_it_copied(tmp_path: Path) -> None:
    text = perf(
        (0, 7, "syscalls:sys_enter_openat: dfd: 0xffffff9c, filename: 0x1, flags: 0x0, mode: 0x0"),
        (1, 7, "syscalls:sys_exit_openat: 0x3"),
        (10, 7, READ),
        (12, 7, LOOKED_UP.format(0, 16383)),
        (18, 7, READ_DONE.format(0x1800)),
        (20, 7, READ),
        (22, 7, LOOKED_UP.format(4096, 20479)),
        (26, 7, READ_DONE.format(0x1000)),
    )
    rows, result = imported(tmp_path, text)
    assert rows["kind"].to_list() == ["copy_to_user"] * 4
    # The second read goes on in the middle of the second page.
    assert rows["page"].to_list() == [0, 1, 1, 2]
    assert rows["bytes"].to_list() == [4096, 2048, 2048, 2048]
    assert rows["time_ns"].to_list() == [0, 3000, 10_000, 12_000]
    assert rows["hold_ns"].to_list() == [3000, 3000, 2000, 2000]
    assert rows["think_ns"].to_list() == [0, 0, 4000, 0]
    assert result.metadata.losses == {}
    assert result.metadata.columns["hold_ns"] == "derived"
    # Pages after the first have no event of their own.
    assert result.metadata.columns["time_ns"] == "derived"


def test_a_fault_during_a_copy_is_nested_in_the_page_that_its_address_tells(tmp_path: Path) -> None:
    text = perf(
        (0, 7, READ),
        (10, 7, LOOKED_UP.format(0, 8191)),
        (30, 7, KERNEL_FAULT.format(0x7F0000001000)),
        (90, 7, READ_DONE.format(0x2000)),
    )
    rows, _ = imported(tmp_path, text)
    assert rows["depth"].to_list() == [0, 0, 1]
    assert rows["kind"].to_list() == ["copy_to_user", "copy_to_user", "page_fault"]
    assert rows["time_ns"].to_list() == [0, 10_000, 20_000]
    assert rows["hold_ns"][1] == 70_000
    assert rows["think_ns"][2] == 10_000
    assert doctor(tmp_path / "t.parquet").usable


def test_a_sleep_before_the_first_byte_is_waiting_and_one_among_them_is_blocking(tmp_path: Path) -> None:
    text = perf(
        (0, 7, FAULT.format(0)),
        (1, 7, FAULT.format(0)),
        (10, 7, READ),
        (12, 7, LOOKED_UP.format(0, 4095)),
        (15, 7, SWITCH.format(7, "D", 9)),
        (115, 9, SWITCH.format(9, "S", 7)),
        (120, 7, READ_DONE.format(4096)),
        (130, 7, READ),
        (132, 7, LOOKED_UP.format(4096, 8191)),
        (135, 7, SWITCH.format(7, "R+", 9)),
        (235, 9, SWITCH.format(9, "S", 7)),
        (236, 7, READ_DONE.format(4096)),
    )
    rows, result = imported(tmp_path, text)
    assert rows["time_ns"].to_list()[2:] == [115_000, 132_000]
    assert rows["hold_ns"].to_list()[2:] == [5000, 4000]
    assert rows["block_ns"].to_list()[2:] == [0, 100_000]
    assert rows["wait_ns"].to_list()[2:] == [100_000, 0]
    assert "switches_back" not in result.metadata.losses


def test_the_inode_is_hexadecimal_in_filemap_events_and_decimal_in_those_of_ext4(tmp_path: Path) -> None:
    text = perf(
        (0, 7, "syscalls:sys_enter_write: fd: 0x00000004, buf: 0x1000, count: 0x00000064"),
        (1, 7, "ext4:ext4_da_write_begin: dev 254,0 ino 255 pos 4090 len 10"),
        (3, 7, "ext4:ext4_da_write_end: dev 254,0 ino 255 pos 4090 len 10 copied 10"),
        (4, 7, "syscalls:sys_exit_write: 0xa"),
        (10, 7, READ),
        (12, 7, LOOKED_UP.format(4096, 8191)),
        (18, 7, READ_DONE.format(0x10)),
    )
    rows, _ = imported(tmp_path, text)
    assert rows["kind"].to_list() == ["copy_from_user", "copy_from_user", "copy_to_user"]
    assert rows["page"].to_list() == [0, 1, 1]
    assert rows["bytes"].to_list() == [6, 4, 16]


def test_a_failed_call_moves_nothing_though_it_looked_up_a_page(tmp_path: Path) -> None:
    text = perf(
        (0, 7, FAULT.format(0)), (1, 7, READ), (2, 7, LOOKED_UP.format(0, 4095)),
        (3, 7, "syscalls:sys_exit_read: 0xfffffffffffffffc"),
    )  # fmt: skip
    assert len(imported(tmp_path, text)[0]) == 1


def test_what_a_recording_lacks_is_counted_and_strict_refuses_it(tmp_path: Path) -> None:
    plenty = [(time, 7, FAULT.format(0)) for time in range(-200, 0)]
    text = perf(
        *plenty,
        (0, 7, READ_DONE.format(1)),
        (10, 7, FAULT.format(0)),
        (20, 7, READ),
        (30, 7, READ),
        (5, 7, FAULT.format(0)),
        (60, 8, READ),
    ) + "    a b 7/7 [001] 3119.1: PERF_RECORD_LOST lost 12\n"  # fmt: skip
    _, result = imported(tmp_path, text)
    assert result.metadata.losses == {
        "lost_events": 12, "clock_steps": 1, "entries_without_exit": 1, "exits_without_entry": 1,
        "cut_by_end": 2, "tasks_without_fork": 1,
    }  # fmt: skip
    assert result.metadata.lost_events == 12
    assert "lacking: 12 events that the recorder reports as lost" in result.metadata.notes
    problems = {problem.code: problem.count for problem in doctor(tmp_path / "t.parquet").problems}
    assert problems["loss_lost_events"] == 12
    (tmp_path / "t.parquet").unlink()
    with pytest.raises(InputError, match=r"12 events that the recorder reports as lost.*omit --strict"):
        imported(tmp_path, text, strict=True)
    assert [path.name for path in tmp_path.iterdir()] == ["r.txt"]


def test_a_recording_without_loss_passes_strict(tmp_path: Path) -> None:
    assert len(imported(tmp_path, perf((0, 7, FAULT.format(0))), strict=True)[0]) == 1


def test_a_process_number_that_is_used_again_is_another_process(tmp_path: Path) -> None:
    text = perf(
        (0, 7, FAULT.format(0)),
        (10, 7, "sched:sched_process_exit: comm=a b pid=7 prio=120"),
        (20, 7, FAULT.format(0)),
    )
    rows, _ = imported(tmp_path, text)
    assert rows["task"].to_list() == rows["process"].to_list() == rows["page"].to_list() == [0, 1]


def test_threads_of_one_process_share_its_page_table_pages(tmp_path: Path) -> None:
    text = "  a 7/7 [000] 1.000000001: exceptions:page_fault_user: address=0x0 ip=0x0 error_code=0x4\n"
    rows, result = imported(tmp_path, text + text.replace("7/7", "7/8").replace("001:", "101:"))
    assert rows["process"].to_list() == [0, 0]
    assert rows["task"].to_list() == [0, 1]
    assert rows["page"].to_list() == [0, 0]
    assert result.metadata.columns["process"] == "derived"


def test_a_fork_that_several_events_tell_of_is_one(tmp_path: Path) -> None:
    text = perf(
        (0, 7, FAULT.format(0)),
        (1, 7, "task:task_newtask: pid=8 comm=a b clone_flags=1200011 oom_score_adj=0"),
        (2, 7, "sched:sched_process_fork: comm=a b pid=7 child_comm=a b child_pid=8"),
        (5, 8, FAULT.format(0)),
    )
    rows, result = imported(tmp_path, text, strict=True)
    assert rows["process"].to_list() == [0, 1]
    assert any(note.startswith("1 forks were recorded") for note in result.metadata.notes)


def test_bad_lines_are_counted_and_named_up_to_one_in_a_hundred(tmp_path: Path) -> None:
    good = perf(*((time, 7, FAULT.format(0)) for time in range(200)))
    bad = "no event at all\n  a 7/7 [000] 1.0: exceptions:page_fault_user: address=? ip=0\n"
    rows, result = imported(tmp_path, good + bad + perf((300, 7, FAULT.format(0))))
    assert len(rows) == 201
    assert result.metadata.losses == {"bad_lines": 2}
    assert "bad line 201: the line does not start with task, CPU and time" in result.metadata.notes
    assert "bad line 202: a field of the event is missing or invalid" in result.metadata.notes
    with pytest.raises(InputError, match=r"but 4 of 204 lines do not match \(line 201: the line"):
        imported(tmp_path, good + bad + bad)


def test_text_without_anything_that_maps_says_what_to_record(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"tlb_flush.*record exceptions:page_fault_user"):
        imported(tmp_path, perf((0, 7, "tlb:tlb_flush: pages:1 reason:x (3)")))


def test_ticks_want_a_rate(tmp_path: Path) -> None:
    text = "# tracer: nop\n  a-7  [000] d.... 2000: page_fault_user: address=0x0 ip=0x0 error_code=0x4\n" * 1
    text += "  a-7  [000] d.... 4000: page_fault_user: address=0x0 ip=0x0 error_code=0x4\n"
    with pytest.raises(UsageError, match="--tsc-ghz"):
        imported(tmp_path, text)
    rows, _ = imported(tmp_path, text, tsc_ghz=2.0)
    assert rows["time_ns"].to_list() == [0, 1000]
