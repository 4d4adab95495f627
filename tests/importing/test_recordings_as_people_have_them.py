"""Recordings as public sources have them, and others of the same kinds: cases/ has the inputs."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from pipeline.errors import InputError, UsageError
from pipeline.importing.import_trace import ImportResult, import_trace
from tests.importing.recorded import imported
from tests.importing.test_import_strace import strace

CASES = Path(__file__).parent / "cases"
FAULT, READ, WRITE = "page_fault", "copy_to_user", "copy_from_user"


def case(path: Path, name: str, **options: object) -> tuple[pl.DataFrame, ImportResult]:
    result = import_trace(CASES / name, path / "t.parquet", **options)
    return pl.read_parquet(path / "t.parquet"), result


@pytest.mark.parametrize(
    ("name", "pages", "kinds"),
    [
        ("01-perf-callchain-short-frames/input.txt", [0, 1], [FAULT] * 2),
        ("02-perf-period-field/input.txt", [0, 1], [FAULT] * 2),
        ("02-perf-period-field/mixed.txt", [0, 1], [FAULT] * 2),
        ("05-ftrace-event-stacktraces/input.txt", [0, 1], [FAULT] * 2),
        ("05-ftrace-event-stacktraces/trace-cmd.txt", [0, 1], [FAULT] * 2),
        ("06-ftrace-function-lines/input.txt", [0, 1], [FAULT] * 2),
        ("08-trace-cmd-empty-cpus/input.txt", [0] * 120, [FAULT] * 120),
        ("09-trace-cmd-raw-switches/input.txt", [0, 1], [FAULT] * 2),
        ("12-comm-unknown-or-renamed/dots.txt", [0] * 3, [FAULT] * 3),
        ("12-comm-unknown-or-renamed/colon.txt", [0] * 2, [FAULT] * 2),
        ("13-f2fs-writes-said-to-be-no-mappings/input.txt", [0, 1, 2], [WRITE] * 3),
        ("15-strace-append/input.txt", [0, 1, 2], [WRITE] * 3),
        ("16-strace-shared-position/dup.txt", [0, 1, 2, 3], [READ] * 4),
        ("16-strace-shared-position/children.txt", [0, 1], [WRITE] * 2),
        ("18-strace-copies-by-other-calls/cp.txt", [0, 1, 2, 3, 4], [WRITE] * 5),
        ("18-strace-copies-by-other-calls/only-cp.txt", [0, 1, 2, 3], [WRITE] * 4),
        ("18-strace-copies-by-other-calls/sendfile.txt", [0], [READ]),
        ("21-strace-without-y/same-name.txt", [0, 1], [READ] * 2),
        ("23-strace-xx-hex-paths/input.txt", [0, 1], [READ] * 2),
        ("25-strace-stderr-messages/input.txt", [0, 1, 2], [READ] * 3),
        ("25-strace-stderr-messages/prefix.txt", [0, 1, 2], [READ] * 3),
        ("26-strace-killed-in-call/input.txt", [0], [READ]),
        ("26-strace-killed-in-call/mode.txt", [0], [READ]),
        ("31-bpftrace-new-messages/input.txt", [0, 1], [FAULT] * 2),
        ("31-bpftrace-new-messages/maps.txt", [0, 1], [FAULT] * 2),
        ("34-perf-aio-reads-are-other/input.txt", [0, 1, 2], [READ] * 3),
    ],
)
def test_what_a_recording_says_is_read_without_loss(
    tmp_path: Path, name: str, pages: list[int], kinds: list[str]
) -> None:
    rows, _ = case(tmp_path, name, strict=True)
    assert rows["page"].to_list() == pages
    assert rows["kind"].to_list() == kinds


@pytest.mark.parametrize(
    ("name", "operations", "losses"),
    [
        ("18-strace-copies-by-other-calls/aio.txt", 1, {"events_unread": 3}),
        ("20-strace-only-read-write-traced/input.txt", 6, {"descriptors_before": 3}),
        ("21-strace-without-y/reused.txt", 1, {"calls_without_pages": 1}),
        ("31-bpftrace-new-messages/lost.txt", 2, {"lost_events": 17}),
        ("12-comm-unknown-or-renamed/threads.txt", 6, {"tasks_without_fork": 2}),
    ],
)
def test_what_is_not_known_is_counted(
    tmp_path: Path, name: str, operations: int, losses: dict[str, int]
) -> None:
    rows, result = case(tmp_path, name)
    assert len(rows) == operations
    assert result.metadata.losses == losses


@pytest.mark.parametrize("option", ["k", "i", "n", "Y", "r", "C"])
def test_what_options_of_strace_add_to_a_line_is_passed_over(tmp_path: Path, option: str) -> None:
    rows, result = case(tmp_path, f"27-strace-other-options/{option}.txt")
    assert rows["bytes"].to_list() == [4096]
    assert "bad_lines" not in result.metadata.losses


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("27-strace-other-options/noT.txt", "strace without -T"),
        ("27-strace-other-options/tt.txt", "record with -ttt"),
        ("33-wrong-kind-of-file/perf.data", "run 'perf script"),
        ("33-wrong-kind-of-file/trace.dat", "run 'trace-cmd report"),
        ("33-wrong-kind-of-file/strace-utf16.txt", "iconv -f utf-16"),
        ("33-wrong-kind-of-file/empty.txt", "is empty"),
        ("33-wrong-kind-of-file/chrome.json", "is JSON"),
        ("33-wrong-kind-of-file/systrace.html", "HTML"),
    ],
)
def test_one_mistake_has_one_message(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        case(tmp_path, name)
    assert not list(tmp_path.iterdir())


def test_a_switch_of_raw_fields_tells_the_time_off_the_cpu(tmp_path: Path) -> None:
    rows, _ = case(tmp_path, "09-trace-cmd-raw-switches/input.txt")
    assert rows["wait_ns"].to_list() == [0, 1_000_000]


def test_passed_over_lines_are_counted_by_kind(tmp_path: Path) -> None:
    _, result = case(tmp_path, "02-perf-period-field/mixed.txt")
    assert any("cpu-clock 1, page-faults 1" in note for note in result.metadata.notes)
    _, result = case(tmp_path, "01-perf-callchain-short-frames/input.txt")
    assert "ignored 7 lines with call chains" in result.metadata.notes
    _, result = case(tmp_path, "18-strace-copies-by-other-calls/aio.txt")
    assert any("io_submit 1, io_uring_enter 1, process_vm_readv 1" in note for note in result.metadata.notes)


TRACEFS = "  tool-930     [003] d....  6288.{:06d}: {}\n"


def tracefs(*events: str) -> str:
    return "".join(TRACEFS.format(time, event) for time, event in enumerate(events))


def test_a_tracers_pipe_has_no_header_and_a_mark_of_byte_order_is_no_text(tmp_path: Path) -> None:
    text = "\ufeff" + tracefs("page_fault_user: address=0x1000 ip=0x1 error_code=0x7")
    rows, result = imported(tmp_path, text)
    assert (result.format, len(rows), result.metadata.losses) == ("tracefs", 1, {})


def test_the_latency_format_has_flags_behind_the_cpu_and_microseconds(tmp_path: Path) -> None:
    line = "    tool-930     3d..1 {}: page_fault_user: address=0x1000 ip=0x1 error_code=0x7\n"
    rows, _ = imported(tmp_path, "# latency\n" + line.format("7us+") + line.format("19us!"), strict=True)
    assert rows["time_ns"].to_list() == [0, 12_000]
    assert rows["cpu"].to_list() == [3, 3]


@pytest.mark.parametrize(
    "event",
    [
        "page_fault_user: address=0x10 bad ip=0x1 error_code=0x7",
        "page_fault_user: xaddress=0x10 ip=0x1 error_code=0x7",
        "sys_exit_read: 0x10 bad",
        "sys_enter_read: dfd: 0x3, buf: 0x1, count: 0x10",
        "mm_filemap_get_pages: dev=254:0 ino=zz ofs=0-4095",
        "ext4_da_write_begin: dev 8,1 ino 5 pos 0x len 10",
    ],
)
def test_a_field_is_read_to_its_end_and_in_its_place(tmp_path: Path, event: str) -> None:
    good = ["page_fault_user: address=0x1000 ip=0x1 error_code=0x7"] * 200
    rows, result = imported(tmp_path, tracefs(*good, event))
    assert len(rows) == 200
    assert result.metadata.losses == {"bad_lines": 1}


def test_a_fault_at_a_symbol_is_counted_and_has_no_page(tmp_path: Path) -> None:
    text = tracefs(
        "page_fault_kernel: address=fixmap_base ip=copy_from_user error_code=0x0",
        "page_fault_user: address=0x1000 ip=0x1 error_code=0x7",
    )
    rows, result = imported(tmp_path, text)
    assert len(rows) == 1
    assert result.metadata.losses == {"events_unread": 1}


def test_calls_and_events_that_may_map_pages_and_are_not_read_are_counted(tmp_path: Path) -> None:
    text = tracefs(
        "page_fault_user: address=0x1000 ip=0x1 error_code=0x7",
        "sys_enter: NR 0 (3, 7f00, 1000, 0, 0, 0)",
        "gfs2_write_begin: dev 8,1",
        "sys_enter_process_vm_readv: pid: 0x1, lvec: 0x1",
        "kmalloc: call_site=x",
    )
    _, result = imported(tmp_path, text)
    assert result.metadata.losses == {"events_unread": 3}


def test_writes_of_other_file_systems_are_read_where_their_fields_allow(tmp_path: Path) -> None:
    text = tracefs(
        "xfs_file_buffered_write: dev 8:1 ino 0x83 disize 0x0 pos 0x1000 bytecount 0x1000",
        "ext3_write_begin: dev 8,1 ino 12 pos 0 len 10 flags 0",
        "ext3_ordered_write_end: dev 8,1 ino 12 pos 0 len 10 copied 10",
    )
    rows, _ = imported(tmp_path, text, strict=True)
    assert rows["bytes"].to_list() == [4096, 10]


OPEN = 'openat(AT_FDCWD</d>, "x", {}) = 3</d/x> <0.000010>'


def pages(tmp_path: Path, *calls: str, **options: object) -> list[int]:
    """Positions in pages of what the calls moved, of which the first page is page 0 of the file."""
    text = strace(*((7, time, call) for time, call in enumerate(calls)))
    rows, _ = imported(tmp_path, text, **options)
    return rows["page"].to_list()


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        # F_DUPFD, dup3 and a descriptor of the same number again.
        (["fcntl(3</d/x>, F_DUPFD, 10) = 10</d/x> <0.000010>", "read(10</d/x>"], [0, 1]),
        (["fcntl(3</d/x>, F_DUPFD_CLOEXEC, 10) = 10</d/x> <0.000010>", "read(10</d/x>"], [0, 1]),
        (["dup3(3</d/x>, 9, O_CLOEXEC) = 9</d/x> <0.000010>", "read(9</d/x>"], [0, 1]),
        # A 32-bit process sets the position by a pointer.
        (["_llseek(3</d/x>, 0, [8192], SEEK_SET) = 0 <0.000010>", "read(3</d/x>"], [0, 1]),
        # An offset of -1 is the position; any other leaves it.
        (
            [
                'preadv2(3</d/x>, [{iov_base="x"..., iov_len=4096}], 1, -1, 0) = 4096 <0.000010>',
                'preadv2(3</d/x>, [{iov_base="x"..., iov_len=4096}], 1, 40960, RWF_NOWAIT) = 4096 <0.000010>',
                "read(3</d/x>",
            ],
            [0, 1, 2, 3],
        ),
        # Moved by calls that copy between files.
        (["splice(3</d/x>, NULL, 5<pipe:[1]>, NULL, 4096, 0) = 4096 <0.000010>", "read(3</d/x>"], [0, 1]),
        (["splice(3</d/x>, [0], 5<pipe:[1]>, NULL, 4096, 0) = 4096 <0.000010>", "read(3</d/x>"], [0, 1]),
    ],
)
def test_a_position_belongs_to_the_open_file_description(
    tmp_path: Path, calls: list[str], expected: list[int]
) -> None:
    read = ', "x"..., 4096) = 4096 <0.000010>'
    whole = [call + read if call.startswith("read") else call for call in calls]
    assert pages(tmp_path, OPEN.format("O_RDONLY"), "read(3</d/x>" + read, *whole, strict=True) == expected


def test_appending_goes_to_the_end_wherever_the_position_is(tmp_path: Path) -> None:
    write = 'write(3</d/x>, "a"..., 4096) = 4096 <0.000010>'
    opened = OPEN.format("O_RDWR|O_CREAT|O_TRUNC|O_APPEND, 0644")
    seek = "lseek(3</d/x>, 0, SEEK_SET) = 0 <0.000010>"
    assert pages(tmp_path, opened, write, seek, write, strict=True) == [0, 1]
    with pytest.raises(InputError, match="unknown position"):
        pages(tmp_path, OPEN.format("O_WRONLY|O_APPEND"), write, strict=True)


def test_exec_closes_what_was_opened_so(tmp_path: Path) -> None:
    text = strace(
        (7, 0, 'openat(AT_FDCWD, "/d/x", O_RDONLY|O_CLOEXEC) = 3 <0.000010>'),
        (7, 1, 'read(3, "a"..., 4096) = 4096 <0.000010>'),
        (7, 2, 'execve("/bin/y", ["y"], 0x7 /* 9 vars */) = 0 <0.000100>'),
        (7, 3, 'read(3, "a"..., 4096) = 4096 <0.000010>'),
    )
    rows, result = imported(tmp_path, text)
    assert len(rows) == 1
    assert result.metadata.losses == {"calls_without_pages": 1}


def test_a_child_does_not_see_what_its_parent_opens_later(tmp_path: Path) -> None:
    text = strace(
        (7, 0, 'openat(AT_FDCWD, "/d/x", O_RDONLY) = 3 <0.000010>'),
        (7, 1, "clone(child_stack=NULL, flags=SIGCHLD) = 8 <0.000100>"),
        (7, 2, "close(3) = 0 <0.000010>"),
        (7, 3, 'openat(AT_FDCWD, "/d/y", O_RDONLY) = 3 <0.000010>'),
        (7, 4, 'read(3, "a"..., 4096) = 4096 <0.000010>'),
        (8, 5, 'read(3, "a"..., 4096) = 4096 <0.000010>'),
    )
    rows, _ = imported(tmp_path, text, strict=True)
    assert rows["page"].to_list() == [0, 1]


def test_shared_memory_has_pages_and_devices_have_none(tmp_path: Path) -> None:
    text = strace(
        (7, 0, 'openat(AT_FDCWD</d>, "/dev/shm/x", O_RDWR) = 3</dev/shm/x> <0.000010>'),
        (7, 1, 'read(3</dev/shm/x>, "a"..., 4096) = 4096 <0.000010>'),
        (7, 2, 'read(4</dev/sda1>, "a"..., 4096) = 4096 <0.000010>'),
        (7, 3, 'read(5</proc/1/maps>, "a"..., 4096) = 4096 <0.000010>'),
    )
    rows, result = imported(tmp_path, text)
    assert len(rows) == 1
    assert result.metadata.losses == {"calls_without_pages": 2}


def test_each_clock_that_tells_no_time_is_named(tmp_path: Path) -> None:
    line = "  tool-930     [003] d....  {}: {}\n"
    fault = "page_fault_user: address=0x1000 ip=0x1 error_code=0x7"
    with pytest.raises(InputError, match=r"trace clock 'counter', which.*echo mono"):
        imported(tmp_path, "".join(line.format(100 + i, fault) for i in range(20)))
    with pytest.raises(UsageError, match="--tsc-ghz"):
        imported(tmp_path, "".join(line.format(100_000 * i, fault) for i in range(20)))
    switch = "sched_switch: x prev_pid=930 prev_state=S ==> x next_pid=0"
    text = "".join(line.format(f"5.{i * 4000:06d}", [fault, switch][i % 2]) for i in range(20))
    _, result = imported(tmp_path, text)
    assert any(
        "resolution of 4 ms, as with the trace clock 'uptime'" in note for note in result.metadata.notes
    )


def test_the_share_of_calls_that_were_understood_is_told(tmp_path: Path) -> None:
    _, result = case(tmp_path, "18-strace-copies-by-other-calls/aio.txt")
    assert "57.1% of 7 system calls were read" in result.metadata.notes


def test_perf_without_cpus_is_read_and_without_times_named(tmp_path: Path) -> None:
    line = "tool   930/930  {}exceptions:page_fault_user: address=0x1000 ip=0x1 error_code=0x7\n"
    rows, result = imported(tmp_path, line.format("  6288.896762: ") * 2)
    assert rows["cpu"].is_null().all()
    assert any("add cpu to -F" in note for note in result.metadata.notes)
    with pytest.raises(InputError, match="without times; run perf script with -F"):
        imported(tmp_path, line.format("[003] ") * 2)


def test_software_page_faults_alone_are_named(tmp_path: Path) -> None:
    text = "tool 930 [003]  6288.896770:          1 page-faults:      7ff74f7aa84c _dl_start (/ld.so)\n"
    with pytest.raises(InputError, match="the software event page-faults lacks the address"):
        imported(tmp_path, text)


ONE_FAULT = "page_fault_user: address=0x1000 ip=0x1 error_code=0x7\n"
TRACED = f" tool-930     [003] d....  6288.1: {ONE_FAULT}"
SAMPLED = f" a 9/9 [003] 6288.1: exceptions:{ONE_FAULT}"
GRAPH = " 3)   0.123 us    |  foo();\n ------------------------\n 3)  tool-930  =>  idle-0\n"
MARK = " tool-930     [003] d....  6288.2: tracing_mark_write: hello <- world\n"
REPORT_HEAD = "trace.dat:\ncpus=4\n overriding event (263) ftrace:x with new print handler\n"
UNKNOWN_TASK = ":-1    -1/-1    [003]  6288.1: cpu-clock:\n"
FRAMES = "\tffff81a0 foo+0x2 ([kernel.kallsyms])\n   1ab main (inlined)\n  a.c:12\n"


@pytest.mark.parametrize(
    ("text", "format"),
    [
        (TRACED + GRAPH, "tracefs"),
        (TRACED + MARK, "tracefs"),
        (REPORT_HEAD + TRACED, "trace-cmd"),
        (UNKNOWN_TASK + SAMPLED, "perf-script"),
        (FRAMES + SAMPLED.replace(" a ", " Chrome 2 IO "), "perf-script"),
    ],
)
def test_well_formed_lines_that_are_no_events_are_never_bad(tmp_path: Path, text: str, format: str) -> None:
    rows, result = imported(tmp_path, text, strict=format != "perf-script")
    assert (len(rows), result.format) == (1, format)
    assert "bad_lines" not in result.metadata.losses


def test_data_that_looks_like_an_end_of_a_call_is_data(tmp_path: Path) -> None:
    read = r'read(3</d/x>, ") = 9 <0.000001>\n\"x"..., 4096) = 4096 <0.000010>'
    assert pages(tmp_path, OPEN.format("O_RDONLY"), read, read, strict=True) == [0, 1]


def test_calls_that_overlap_by_their_durations_are_no_steps_of_the_clock(tmp_path: Path) -> None:
    text = strace((7, 0, OPEN.format("O_RDONLY")), (7, 0.02, 'read(3</d/x>, "a", 1) = 1 <0.000090>'))
    text += strace((7, 0.05, 'read(3</d/x>, "a", 1) = 1 <0.000010>'))
    assert len(imported(tmp_path, text, strict=True)[0]) == 2


@pytest.mark.parametrize(
    ("options", "fault_pages", "read_bytes"),
    [
        ({}, [0, 1, 2, 3], [4096] * 4),
        ({"page_table_span_mib": 4}, [0, 0, 1, 1], [4096] * 4),
        ({"page_kib": 16}, [0, 0, 0, 0], [16384]),
        ({"page_kib": 64, "page_table_span_mib": 2}, [0, 1, 2, 3], [16384]),
    ],
)
def test_sizes_of_pages_and_page_tables_are_the_recorded_machines(
    tmp_path: Path, options: dict[str, int], fault_pages: list[int], read_bytes: list[int]
) -> None:
    faults = [f"page_fault_user: address=0x{i << 21:x} ip=0x1 error_code=0x7" for i in range(4)]
    rows, result = imported(tmp_path, tracefs(*faults), **options)
    assert rows["page"].to_list() == fault_pages
    span = options.get("page_table_span_mib", 32 if options else 2)
    assert any(f"address / {span} MiB" in note for note in result.metadata.notes)
    read = 'read(3</d/x>, "a"..., 16384) = 16384 <0.000010>'
    rows, _ = imported(tmp_path, strace((7, 0, OPEN.format("O_RDONLY")), (7, 1, read)), **options)
    assert rows["bytes"].to_list() == read_bytes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"page_kib": 8}, "one of 4, 16, 64 KiB, found 8"),
        ({"page_table_span_mib": 3}, "at most 1024; found 3"),
    ],
)
def test_sizes_that_no_machine_has_are_refused(tmp_path: Path, options: dict[str, int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        imported(tmp_path, TRACED, **options)


@pytest.mark.parametrize(
    "text",
    [
        "lock_stat version 0.4\n-----\n    class name    con-bounces    contentions\n",
        "run\nSPINLOCKS         HOLD            WAIT\n  UTIL  CON    MEAN(  MAX )   MEAN(  MAX )(% CPU)\n",
        " contended   total wait     max wait     avg wait         type   caller\n         5      1.2 us\n",
    ],
)
def test_sums_of_locks_are_said_to_be_no_trace(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match="not a trace and cannot be replayed"):
        imported(tmp_path, text)


def test_a_child_that_runs_before_its_makers_call_returns_has_its_descriptors(tmp_path: Path) -> None:
    read = 'read(3</d/x>, "a"..., 4096) = 4096 <0.000010>'
    text = strace(
        (7, 0, OPEN.format("O_RDONLY")),
        (7, 1, "vfork( <unfinished ...>"),
        (8, 2, read),
        (7, 3, "<... vfork resumed>) = 8 <0.002000>"),
        (7, 4, read),
    )
    rows, _ = imported(tmp_path, text, strict=True)
    assert rows["page"].to_list() == [0, 1]
    assert rows["process"].to_list() == [0, 1]


@pytest.mark.parametrize("rest", [", child_tidptr=0x7fee) = 8 <0.000120>\n", " <unfinished ...>\n", ""])
def test_a_message_of_strace_inside_a_line_cuts_it_in_two(tmp_path: Path, rest: str) -> None:
    whole = "" if rest.startswith(",") else strace((7, 4, "<... clone resumed>) = 8 <0.002000>"))
    text = (
        strace((7, 0, OPEN.format("O_RDONLY")))
        + strace((7, 1, "clone(child_stack=NULL, flags=SIGCHLD")).rstrip()
        + "strace: Process 8 attached\n"
        + rest
        + strace((8, 2, 'read(3</d/x>, "a"..., 4096) = 4096 <0.000010>'))
        + whole
        + strace((7, 5, 'read(3</d/x>, "a"..., 4096) = 4096 <0.000010>'))
    )
    rows, _ = imported(tmp_path, text, strict=True)
    assert rows["page"].to_list() == [0, 1]
