"""What tools print of locks, read back: figures, their units, what follows from them and what is absent.

Of the samples, lockmeter.txt is made of lines of a report of 4 June 2002 (R. Forester, linux-kernel) and
lock_stat.txt of those in Documentation/locking/lockstat.rst; perf 6.1 and Linux 6.18 made the others.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pytest

from pipeline.errors import InputError
from pipeline.importing.locks.measured import LockRow, MeasuredLocks
from pipeline.importing.locks.read import read_locks
from pipeline.importing.locks.sniff import find_lock_format
from pipeline.importing.text import blocks
from tests.importing.recorded import SAMPLES

LOCKS = SAMPLES / "locks"
EVENT = "bash 7/{task} [{cpu:03}] 100.{us:06}: lock:contention_{event}\n"


def read(tmp_path: Path, text: str) -> MeasuredLocks:
    path = tmp_path / "locks.txt"
    path.write_text(text, encoding="utf-8")
    (table,) = read_locks(path)
    return table


def find(table: MeasuredLocks, lock: str | None, site: str = "all", type_: str | None = None) -> LockRow:
    (row,) = (row for row in table.rows if (row.lock, row.site) == (lock, site) and type_ in (None, row.type))
    return row


def events(*lines: tuple[int, int, str, str]) -> str:
    """Lines of perf script: task, time in us, begin or end, and the rest."""
    return "".join(
        EVENT.format(task=task, cpu=task % 2, us=us, event=f"{event}: {rest}")
        for task, us, event, rest in lines
    )


# --- /proc/lock_stat ---


def test_lock_stats_classes_are_read_with_all_their_figures() -> None:
    (table,) = read_locks(LOCKS / "lock_stat.txt")
    assert find(table, "&mm->mmap_sem-W").figures == {
        "con_bounces": 46, "contended": 84, "wait_min_ns": 260, "wait_max_ns": 939_100,
        "wait_ns": 16_371_530, "wait_mean_ns": 194_900.0, "acq_bounces": 47_291, "acquisitions": 2_922_365,
        "hold_min_ns": 160, "hold_max_ns": 2_220_301_690, "hold_ns": 17_464_026_916_320,
        "hold_mean_ns": 5_975_990.0, "con_percent": 100 * 84 / 2_922_365,
    }  # fmt: skip
    assert find(table, "&mm->mmap_sem-W").derived == {"con_percent"}
    assert table.lacking() == []


def test_lock_stats_first_points_are_sites_that_waited_and_the_holders_are_not_sites() -> None:
    (table,) = read_locks(LOCKS / "lock_stat.txt")
    sites = {row.site: row.figures for row in table.rows if row.lock == "&mm->mmap_sem"}
    assert sites == {
        "khugepaged_scan_mm_slot+0x57/0x280": {"contended": 1},
        "__do_page_fault+0x1d4/0x510": {"contended": 96},
    }


def test_lock_stat_of_an_older_version_lacks_means_which_follow(tmp_path) -> None:
    table = read(
        tmp_path,
        "lock_stat version 0.3\n"
        "class name con-bounces contentions waittime-min waittime-max waittime-total acq-bounces "
        "acquisitions holdtime-min holdtime-max holdtime-total\n"
        "a lock: with (odd)->name/1: 1 4 0.50 2.00 6.00 5 8 0.10 1.00 2.00\n",
    )
    row = find(table, "a lock: with (odd)->name/1")
    assert (row.figures["wait_mean_ns"], row.figures["hold_mean_ns"]) == (1500, 250)
    assert row.derived == {"wait_mean_ns", "hold_mean_ns", "con_percent"}


def test_a_kernel_that_stopped_counting_is_a_loss(tmp_path) -> None:
    text = (LOCKS / "lock_stat.txt").read_text()
    head, rest = text.split("\n", 1)
    table = read(
        tmp_path, f"{head}\n*WARNING* lock debugging disabled!! - possibly due to a lockdep warning\n{rest}"
    )
    assert table.lacking() == ["1 times the kernel stopped counting before the end"]


# --- lockmeter ---


def test_lockmeters_row_is_read_and_sums_follow_from_means() -> None:
    (table,) = read_locks(LOCKS / "lockmeter.txt")
    row = find(table, "[0xd9fffc04]", "semctl_main+0x70")
    assert row.figures == {
        "util_percent": 3.7, "con_percent": 34.4, "hold_mean_ns": 18_000, "hold_max_ns": 481_000,
        "wait_mean_ns": 41_000, "wait_max_ns": 902_000, "cpu_percent": 0.18, "acquisitions": 20_794,
        "contended": 7_153, "hold_ns": 18_000 * 20_794, "wait_ns": 41_000 * 7_153,
        "wall_ns": 10_020_000_000, "cpus": 8,
    }  # fmt: skip
    assert row.derived == {"contended", "hold_ns", "wait_ns"}
    assert (row.type, table.lacking()) == ("spinlock", [])


def test_what_a_trylock_was_refused_is_no_acquisition() -> None:
    (table,) = read_locks(LOCKS / "lockmeter.txt")
    row = find(table, "[0xdb0848dc]", "net_tx_action+0xc4")
    # 36.4 % of 1,082 were refused, and nobody waited; HOLD is the mean over all of them.
    assert (row.figures["acquisitions"], row.figures["contended"], row.figures["con_percent"]) == (688, 0, 0)
    assert row.figures["hold_ns"] == 700 * 1_082
    assert find(table, "cache_alloc_refill+0x15c").figures["acquisitions"] == 0


def test_a_share_too_small_for_its_digits_is_no_count() -> None:
    (table,) = read_locks(LOCKS / "lockmeter.txt")
    row = find(table, "tcp_sendmsg+0x34")
    assert row.figures["wait_mean_ns"] == 31_000
    assert not {"contended", "wait_ns"} & row.figures.keys()


def test_locks_for_readers_and_writers_have_their_own_columns() -> None:
    (table,) = read_locks(LOCKS / "lockmeter.txt")
    reads, writes = (find(table, "tasklist_lock", type_=f"rwlock:{mode}") for mode in "RW")
    assert (reads.figures["hold_mean_ns"], reads.figures["acquisitions"]) == (1_916_900, 215)
    assert "hold_max_ns" not in reads.figures
    assert (writes.figures["hold_max_ns"], writes.figures["wait_max_ns"]) == (96_000, 3_418_000)
    assert writes.figures["contended"] == round(114 * 0.061) + round(114 * 0.0088)
    # A caller of a reader's lock has neither UTIL nor HOLD.
    assert (
        not {"hold_mean_ns", "util_percent"}
        & find(table, "tasklist_lock", "count_active_tasks+0xc").figures.keys()
    )


def test_a_report_for_each_cpu_is_a_table_each(tmp_path) -> None:
    report = (LOCKS / "lockmeter.txt").read_text()
    path = tmp_path / "locks.txt"
    path.write_text(report + report.replace("All (8) CPUs", "CPU:3"), encoding="utf-8")
    tables = read_locks(path)
    assert [table.title for table in tables] == ["1", "CPU:3"]
    assert [table.rows[0].figures["cpus"] for table in tables] == [8, 1]
    assert len(tables[0].rows) == len(tables[1].rows) == 22


def test_requests_a_second_in_the_place_of_util_are_no_util(tmp_path) -> None:
    table = read(
        tmp_path,
        "SPINLOCKS         HOLD            WAIT\n"
        "TOT/SEC CON    MEAN(  MAX )   MEAN(  MAX )(% CPU)     TOTAL NOWAIT SPIN RJECT  NAME\n\n"
        "  4089 28.4%   15us( 481us)   40us( 902us)(0.29%)     40973 71.6% 28.4%    0%  a_lock\n"
        "  12.5    0%  0.1us( 4.4us)    0us                      125  100%    0%    0%    a_site+0x1\n",
    )
    assert [(row.figures["con_percent"], "util_percent" in row.figures) for row in table.rows] == [
        (28.4, False), (0, False),
    ]  # fmt: skip


def test_the_shipped_rows_of_2002_are_a_table_for_each_row() -> None:
    tables = read_locks(Path("pipeline/studies/lockmeter/lockmeter_2002.csv"))
    assert [table.title for table in tables] == ["A", "D"]
    row = find(tables[0], "kmap_lock", "unmap")
    assert (row.figures["hold_mean_ns"], row.figures["wall_ns"], row.figures["cpus"]) == (
        5200,
        40 * 10**9,
        16,
    )
    assert "wall_ns" not in find(tables[1], "kmap_lock").figures


# --- perf lock contention ---


def test_perfs_text_is_read_with_its_units(tmp_path) -> None:
    table = read(
        tmp_path,
        " contended   total wait     max wait     avg wait         type   caller\n\n"
        "         8      2.33 s       2.28 s     291.18 ms     rwlock:W   a+0x44\n"
        "         2       953 ns       714 ns       476 ns        mutex   b c+0x1\n"
        "         1      1.50 m       0.50 h      1.00 us      unknown   d\n",
    )
    assert [row.figures for row in table.rows] == [
        {"contended": 8, "wait_ns": 2_330 * 10**6, "wait_max_ns": 2_280 * 10**6, "wait_mean_ns": 291.18e6},
        {"contended": 2, "wait_ns": 953, "wait_max_ns": 714, "wait_mean_ns": 476.0},
        {"contended": 1, "wait_ns": 90 * 10**9, "wait_max_ns": 1800 * 10**9, "wait_mean_ns": 1000.0},
    ]  # fmt: skip
    assert [(row.lock, row.site, row.type) for row in table.rows] == [
        (None, "a+0x44", "rwlock:W"), (None, "b c+0x1", "mutex"), (None, "d", "unknown"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("head", "row", "named"),
    [
        ("pid   comm", "4711   a b", (None, "task 4711 a b", None)),
        ("pid   owner", "-1   Unknown", (None, "task -1 Unknown", None)),
        ("address   symbol", "ffffffff851c0940   pack_mutex (mutex)", ("pack_mutex", "all", "mutex")),
        ("address   symbol", "ffff98d7031fb498   &task (mutex)", ("&task ffff98d7031fb498", "all", "mutex")),
        ("address   symbol", "ffff98d7031fb498   ", ("ffff98d7031fb498", "all", None)),
        ("cgroup", "/system.slice/a b.service", (None, "cgroup /system.slice/a b.service", None)),
    ],
)  # fmt: skip
def test_what_perf_adds_up_by_names_the_row(tmp_path, head, row, named) -> None:
    table = read(tmp_path, f" avg wait   contended   min wait   {head}\n\n  1.00 us   3   5 ns   {row}\n")
    (found,) = table.rows
    assert (found.lock, found.site, found.type) == named
    assert found.figures == {"wait_mean_ns": 1000, "contended": 3, "wait_min_ns": 5, "wait_ns": 3000}
    assert found.derived == {"wait_ns"}


def test_perfs_values_between_separators_are_whole_nanoseconds(tmp_path) -> None:
    text = (
        "# output: contended, total wait, max wait, avg wait, type, caller\n"
        "19, 194232, 21415, 10222, spinlock, process_one_work+0x1f0\n"
        "# debug: total=40, bad=6, bad_task=0, bad_stack=6, bad_time=0, bad_data=0\n"
    )
    for separator in (",", ";", "|", "\t"):
        table = read(tmp_path, text.replace(",", separator))
        assert table.rows == [
            LockRow(None, "process_one_work+0x1f0", "spinlock", {
                "contended": 19, "wait_ns": 194_232, "wait_max_ns": 21_415, "wait_mean_ns": 10_222.0,
            }),
        ]  # fmt: skip
        assert table.losses["tool_discarded"] == 6


@pytest.mark.parametrize(
    ("head", "row", "named"),
    [
        ("pid, comm", "4711, a b", (None, "task 4711 a b", None)),
        ("pid, owner", "-1, Unknown", (None, "task -1 Unknown", None)),
        ("address, symbol, type", "ff98d7031fb4, &task, mutex", ("&task ff98d7031fb4", "all", "mutex")),
        ("address, symbol, type", "ff98d7031fb4, , rwsem", ("ff98d7031fb4", "all", "rwsem")),
        ("cgroup", "/a/b.service", (None, "cgroup /a/b.service", None)),
    ],
)
def test_values_are_named_by_what_they_were_added_up_by(tmp_path, head, row, named) -> None:
    table = read(tmp_path, f"# output: min wait, contended, {head}\n5, 3, {row}\n")
    (found,) = table.rows
    assert (found.lock, found.site, found.type) == named
    assert found.figures == {"wait_min_ns": 5, "contended": 3}


def test_values_with_a_stack_and_owners_behind_them_are_read(tmp_path) -> None:
    head = "# output: contended, total wait, max wait, avg wait, type, caller, stacktrace\n"
    row = "2, 200, 150, 100, mutex, pipe_read+0x57, 0xac63 pipe_read+0x57: 0xac62 vfs_read+0x3\n"
    table = read(tmp_path, f"{head}{row}# owner stack trace:\n{row}")
    assert [(row.site, row.type, row.figures["wait_ns"]) for row in table.rows] == [
        ("pipe_read+0x57", "mutex", 200),
    ]  # fmt: skip


def test_stacks_and_lists_of_owners_are_no_locks(tmp_path) -> None:
    head = " contended   total wait     max wait     avg wait         type   caller\n\n"
    row = "       171      1.55 ms     20.26 us      9.06 us        mutex   pipe_read+0x57\n"
    stack = "\t\t\t0xffffffffac6318e7  pipe_read+0x57\n"
    footer = (
        "\n=== output for debug ===\n\nbad: 3, total: 10\nbad rate: 30.00 %\nhistogram of failure reasons\n"
    )
    table = read(tmp_path, head + row + stack + f"\n=== owner stack trace ===\n\n{row}{stack}{footer}")
    assert (len(table.rows), table.losses["bad_lines"], table.losses["tool_discarded"]) == (1, 0, 3)


def test_messages_above_the_table_are_passed_over(tmp_path) -> None:
    text = "# Running 'sched/messaging' benchmark:\npmu capabilities not available\n"
    table = read(tmp_path, text + (LOCKS / "contention.perf-lock.txt").read_text())
    assert (len(table.rows), table.lacking()) == (64, [])


# --- events ---


def test_events_and_perfs_own_sums_of_one_recording_agree() -> None:
    """perf lock contention printed what it made of the same perf.data, by caller."""
    (ours,), (perfs,) = (
        read_locks(LOCKS / f"contention.{kind}.txt") for kind in ("perf-script", "perf-lock")
    )
    assert ours.lacking() == perfs.lacking() == []

    def add_up(table: MeasuredLocks) -> dict[str, tuple[int, int, int]]:
        rows = pl.DataFrame([{"type": row.type, **row.figures} for row in table.rows])
        added = rows.group_by("type").agg(
            pl.col("contended").sum(), pl.col("wait_ns").sum(), pl.col("wait_max_ns").max()
        )
        return {type_: (count, total, most) for type_, count, total, most in added.iter_rows()}

    found, expected = add_up(ours), add_up(perfs)
    assert found.keys() == expected.keys() == {"spinlock", "rwsem:W"}
    for type_, (count, total, most) in found.items():
        # perf prints two decimals of us or ms of each row.
        of_type = sum(row.type == type_ for row in perfs.rows)
        assert count == expected[type_][0]
        assert abs(total - expected[type_][1]) <= of_type * 5_000
        assert abs(most - expected[type_][2]) <= 5_000


def test_who_waited_is_the_first_of_a_call_chain_that_is_no_lock_function() -> None:
    (table,) = read_locks(LOCKS / "chains.perf-script.txt")
    rows = {(row.lock, row.site): row.figures["contended"] for row in table.rows}
    runqueue = "0xffff888627c2ba40"
    assert rows["0xffff8885d57de4e8", "do_truncate+0x77"] == rows["0xffff8885d57de4e8", "all"] == 1
    assert rows[runqueue, "__schedule+0xad"] + rows[runqueue, "sched_tick+0x43"] == rows[runqueue, "all"]


def test_chains_of_other_events_are_nobodys_callers(tmp_path) -> None:
    chain = "\tffffffff8220171b {} ([kernel.kallsyms])\n"
    begin = events((1, 10, "begin", "0xa1 (flags=SPIN)")) + chain.format("_raw_spin_lock+0x3b")
    switch = "bash 7/1 [001] 100.000011: sched:sched_switch: prev_comm=bash\n" + chain.format("other+0x1")
    end = events((1, 12, "end", "0xa1 (ret=0)"), (2, 20, "begin", "0xa1 (flags=SPIN)"))
    rest = chain.format("mine+0x2") + events((2, 22, "end", "0xa1 (ret=0)"))
    table = read(tmp_path, begin + switch + end + rest)
    assert {row.site: row.figures["contended"] for row in table.rows} == {
        "all": 2,
        "[unknown]": 1,
        "mine+0x2": 1,
    }


@pytest.mark.parametrize("size", [300, 1_000, 7_777])
@pytest.mark.parametrize("name", ["chains.perf-script.txt", "contention.tracefs.txt", "lock_stat.txt"])
def test_where_the_text_is_cut_into_blocks_does_not_matter(monkeypatch, name, size) -> None:
    (whole,) = read_locks(LOCKS / name)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", size)
    assert read_locks(LOCKS / name) == [whole]


def test_a_wait_lasts_from_begin_to_end_of_the_same_task_and_lock(tmp_path) -> None:
    table = read(
        tmp_path,
        events(
            (1, 10, "begin", "0xa1 (flags=WRITE)"),
            (1, 12, "begin", "0xb2 (flags=SPIN)"),
            (2, 13, "begin", "0xa1 (flags=READ)"),
            (1, 15, "end", "0xb2 (ret=0)"),
            (1, 20, "end", "0xa1 (ret=0)"),
            (2, 30, "end", "0xa1 (ret=-4)"),
        ),
    )
    waits = {(row.lock, row.type): row.figures["wait_ns"] for row in table.rows}
    assert waits == {("0xa1", "rwsem:W"): 10_000, ("0xb2", "spinlock"): 3_000, ("0xa1", "rwsem:R"): 17_000}
    assert table.rows[0].figures["wall_ns"] == 20_000
    assert table.notes == ["1 of 3 waits ended without the lock (ret is not 0)"]
    absent = {"acquisitions", "hold_ns", "hold_mean_ns", "con_percent", "util_percent"}
    assert not absent & {*table.rows[0].figures}


def test_spinning_for_a_mutex_and_sleeping_for_it_are_one_wait(tmp_path) -> None:
    table = read(
        tmp_path,
        events(
            (1, 10, "begin", "0xa1 (flags=SPIN|MUTEX)"),
            (1, 14, "begin", "0xa1 (flags=MUTEX)"),
            (1, 20, "end", "0xa1 (ret=0)"),
        ),
    )
    (row,) = table.rows
    assert (row.type, row.figures["contended"], row.figures["wait_ns"]) == ("mutex", 1, 10_000)
    assert table.lacking() == []


def test_halves_of_waits_are_counted_and_left_out(tmp_path) -> None:
    table = read(
        tmp_path,
        events(
            (1, 5, "end", "0xa1 (ret=0)"),
            (1, 10, "begin", "0xa1 (flags=SPIN)"),
            (1, 11, "begin", "0xa1 (flags=SPIN)"),
            (1, 13, "end", "0xa1 (ret=0)"),
            (2, 14, "begin", "0xa1 (flags=SPIN)"),
        ),
    )
    (row,) = table.rows
    assert (row.figures["contended"], row.figures["wait_ns"]) == (1, 2_000)
    assert table.lacking() == [
        "2 omitted waits without a recorded end", "1 omitted ends of waits without a recorded begin",
    ]  # fmt: skip


def test_the_idle_task_of_each_cpu_waits_for_itself(tmp_path) -> None:
    line = "<idle>-0 [{cpu:03}] d.h1. 5.{us:06}: contention_{event}: 00000000a2d379c6 ({rest})\n"
    text = "# entries-in-buffer/entries-written: 4/9   #P:4\n" + "".join(
        line.format(cpu=cpu, us=us, event=event, rest=rest)
        for cpu, us, event, rest in (
            (0, 1, "begin", "flags=SPIN"), (1, 2, "begin", "flags=SPIN"),
            (0, 4, "end", "ret=0"), (1, 9, "end", "ret=0"),
        )
    )  # fmt: skip
    table = read(tmp_path, text)
    (row,) = table.rows
    assert (row.figures["contended"], row.figures["wait_ns"], row.figures["cpus"]) == (2, 10_000, 4)
    assert table.lacking() == ["5 events that the recorder reports as lost"]


def test_tracefs_and_compressed_text_are_read(tmp_path) -> None:
    path = tmp_path / "locks.txt.gz"
    path.write_bytes(gzip.compress((LOCKS / "contention.tracefs.txt").read_bytes()))
    (table,) = read_locks(path)
    row = find(table, "00000000a2d379c6")
    assert (row.type, row.figures["contended"], row.figures["wait_max_ns"]) == ("rwsem:W", 10, 3_513_000)


def test_ticks_of_a_clock_are_no_times(tmp_path) -> None:
    text = "bash-7 [000] d.... 123456: contention_begin: 00000000a2d379c6 (flags=SPIN)\n"
    with pytest.raises(InputError, match="are ticks of a clock; record again with 'echo mono"):
        read(tmp_path, text)


# --- other and damaged files ---


@pytest.mark.parametrize("name", ["excerpt.perf-script.txt", "excerpt.strace.txt", "kcsleep2.tracefs.txt.gz"])
def test_recordings_of_mappings_have_no_locks(name) -> None:
    assert find_lock_format(SAMPLES / name) is None
    with pytest.raises(
        InputError, match="expected lock measurements in one of these formats: /proc/lock_stat, lockmeter"
    ):
        read_locks(SAMPLES / name)


def test_a_table_of_which_most_lines_are_damaged_is_refused_and_quoted(tmp_path) -> None:
    text = (LOCKS / "contention.perf-lock.txt").read_text().replace(" us ", " xs ").replace(" ms ", " xs ")
    with pytest.raises(
        InputError, match=r"found 0 lines of locks and 64 unknown lines \(line 3: .*path_openat"
    ):
        read(tmp_path, text)


def test_a_damaged_line_is_counted_and_quoted(tmp_path) -> None:
    text = (LOCKS / "contention.perf-lock.txt").read_text().replace("3.22 ms", "3,22 ms")
    table = read(tmp_path, text)
    assert (len(table.rows), table.lacking()) == (63, ["1 lines that could not be read and were skipped"])
    assert table.notes == ["bad line 3: not a line of this format"]


def test_a_file_without_its_end_is_said_to_break_off(tmp_path) -> None:
    text = (LOCKS / "contention.perf-lock.txt").read_text()
    table = read(tmp_path, text[: text.rindex("spinlock")])
    assert table.lacking() == [
        "1 lines that could not be read and were skipped",
        "1 the file is truncated",
    ]


def test_a_figure_beyond_64_bits_is_refused(tmp_path) -> None:
    head = " contended   total wait   type   caller\n"
    with pytest.raises(InputError, match=r"wait_ns of the lock a is .*, which exceeds 64 bits"):
        read(tmp_path, head + "  5   999999999999999 h   spinlock   a\n")


# --- as people have them in mails ---

WRAPPED_LOCKMETER = """\
Delta Time: 10.00 sec.
- - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - -
- - - - - - - - - - - - - - -
SPINLOCKS         HOLD            WAIT
  UTIL  CON    MEAN(  MAX )   MEAN(  MAX )(% CPU)     TOTAL NOWAIT SPIN
RJECT  NAME

       29.4%  4.8us(2809ms)   40us(1780ms)(62.4%)  15255259 70.6% 29.4%
0.00%  *TOTAL*

  6.6%  9.1%  1.3us( 111us)   14us( 234us)( 1.7%)   3773504 90.9%  9.1%
0%  io_request_lock
  6.0%  9.0%  1.2us( 111us)   14us( 234us)( 1.6%)   3000000 91.0%  9.0%
0%    __make_request+0xec
"""
WRAPPED_LOCK_STAT = """\
lock_stat version 0.3
---------------------------------------------------------------------
                              class name    con-bounces    contentions
waittime-min   waittime-max waittime-total    acq-bounces
acquisitions   holdtime-min   holdtime-max holdtime-total
---------------------------------------------------------------------

                         &mm->mmap_sem-W:          4631
7196          82.92      146246.85    33118519.70
7373          17160           2.52        2653.19      100180.33
                           ---------------
                           &mm->mmap_sem           1953
[<ffffffff802bf4d7>] sys_munmap+0x47/0x80
"""


def test_lines_that_a_mail_program_cut_are_put_together(tmp_path) -> None:
    table = read(tmp_path, WRAPPED_LOCKMETER)
    assert [(row.lock, row.site) for row in table.rows] == [
        ("*TOTAL*", "all"), ("io_request_lock", "all"), ("io_request_lock", "__make_request+0xec"),
    ]  # fmt: skip
    assert table.rows[2].figures["acquisitions"] == 3_000_000
    table = read(tmp_path, WRAPPED_LOCK_STAT)
    assert find(table, "&mm->mmap_sem-W").figures["hold_ns"] == 100_180_330
    assert find(table, "&mm->mmap_sem", "sys_munmap+0x47/0x80").figures == {"contended": 1953}
    assert table.lacking() == []


@pytest.mark.parametrize("text", [WRAPPED_LOCKMETER, WRAPPED_LOCK_STAT])
def test_the_marks_of_a_quotation_do_not_matter(tmp_path, text) -> None:
    quoted = "".join(f"> > {line}\n" for line in ["He wrote:", *text.splitlines()])
    assert read(tmp_path, quoted).rows == read(tmp_path, text).rows


def test_a_damaged_line_before_one_that_was_cut_takes_nothing_with_it(tmp_path) -> None:
    table = read(tmp_path, WRAPPED_LOCKMETER.replace("\n  6.6%", "\n  ?.?%  9.1%  1.3us\n  6.6%"))
    assert (len(table.rows), table.losses["bad_lines"]) == (3, 1)


def test_reports_of_2001_end_in_total_and_name(tmp_path) -> None:
    table = read(
        tmp_path,
        "SPINLOCKS         HOLD           WAIT\n"
        "  UTIL  CON    MEAN(  MAX )  MEAN(  MAX )( %CPU)   TOTAL NAME\n"
        " 38.8% 41.0%  7.6us(  31ms)  15us(  18ms)( 7.7%) 1683368 kernel_flag\n"
        " 0.87%  9.1%   13ms(  31ms) 129us( 231us)(0.00%)      22  do_exit+0x120\n"
        "\n"
        " 29.2% 50.9%   10us( 400us)  15us( 892us)( 5.4%)  957740  ext2_get_block+0x64\n",
    )
    assert [(row.lock, row.site, row.figures["contended"]) for row in table.rows] == [
        ("kernel_flag", "all", 690_181), ("kernel_flag", "do_exit+0x120", 2),
        ("ext2_get_block+0x64", "all", 487_490),
    ]  # fmt: skip


def test_a_machine_without_a_counter_of_cycles_has_counts_and_no_times(tmp_path) -> None:
    table = read(
        tmp_path,
        "SPINLOCKS         HOLD            WAIT\n"
        "  UTIL  CON    MEAN(  MAX )   MEAN(  MAX )(% CPU)     TOTAL NOWAIT SPIN RJECT  NAME\n\n"
        "    0%  2.0%                   0us                     1000 98.0%  2.0%    0%  a_lock\n",
    )
    (row,) = table.rows
    assert row.figures == {"acquisitions": 1000, "contended": 20, "con_percent": 2.0}
