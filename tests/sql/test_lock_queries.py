"""Queries about holds, waits, flushes and sleeps against one small run in which tasks wait behind a flush."""

from __future__ import annotations

import re

import polars as pl
import pytest

from pipeline.errors import UsageError
from pipeline.sql.library import load_query, run_query
from pipeline.sql.lock_tables import lock_stat_text, lockmeter_text
from pipeline.sql.session import open_session
from tests.sql.handmade import make_run, manifest_dict

PRICES = {
    "probe_ns": {"value": 10, "unit": "ns", "source": "assumed"},
    "pte_write_ns": {"value": 100, "unit": "ns", "source": "assumed"},
}
MACHINE = manifest_dict("x")["machine"] | {"costs": PRICES}

# Task 0 scans 20 us and flushes 30 us under the lock; task 1 waits for it and then sleeps twice for a slot.
FLUSHER = {
    "task": 0, "kind": "exec_args", "served": "miss", "probed": 5, "slot": 3, "page": 1, "locked_ns": 0,
    "map_hold_ns": 60_000, "mapped_ns": 60_000, "unmap_asked_ns": 70_000, "done_ns": 71_000,
    "unmap_hold_ns": 1_000,
}  # fmt: skip
WAITER = {
    "task": 1, "kind": "page_fault", "served": "miss", "slot": 4, "page": 2, "asked_ns": 10_000,
    "locked_ns": 60_000, "map_wait_ns": 50_000, "map_hold_ns": 1_000, "mapped_ns": 90_000,
    "unmap_asked_ns": 95_000, "done_ns": 100_000, "unmap_hold_ns": 1_000, "holder": 0, "flush_op": 0,
    "sleeps": 2, "asleep_ns": 25_000,
}  # fmt: skip
EVENTS = [
    {"event": "scan", "time_ns": 5_000, "duration_ns": 20_000, "op": 0, "task": 0, "value": 8, "other": 6},
    {"event": "flush", "time_ns": 25_000, "duration_ns": 30_000, "op": 0, "task": 0, "value": 3},
    {"event": "flush", "time_ns": 80_000, "duration_ns": 4_000, "op": 1, "task": 1, "value": 3},
]


@pytest.fixture
def ask(tmp_path):
    make_run(tmp_path / "a", "pool", [FLUSHER, WAITER], EVENTS, machine=MACHINE)

    def answer(name: str, **params: float) -> list[tuple]:
        with open_session([tmp_path]) as session:
            return run_query(session, load_query(name), params).rows()

    return answer


def test_a_hold_is_made_of_what_happened_in_it_and_what_its_counts_cost(ask):
    # The flush at 80 us was made without the lock. Of 61 us of holds at map, 50 are the scan and the flush,
    # 50 ns five probes and 200 ns two PTEs.
    assert [row[1:5] for row in ask("hold_makeup")] == [
        ("map", "flush", "measured", 0.03),
        ("map", "scan", "measured", 0.02),
        ("map", "book-keeping, interrupts", "rest", 0.01075),
        ("map", "pte_write", "derived", 0.0002),
        ("map", "search", "derived", 0.00005),
        ("unmap", "book-keeping, interrupts", "rest", 0.002),
    ]


@pytest.mark.parametrize("sample", [75_000, 200])
def test_line_traffic_of_a_sample_of_holds_is_that_of_all(tmp_path, sample):
    # A hold begins every 1,000 ns, lasts 900 and follows a wait of 2,500, so three CPUs spin at its end.
    queue = [
        {
            "op": i, "locked_ns": 1_000 * i + 3_000, "map_wait_ns": 2_500, "map_hold_ns": 900,
            "asked_ns": 1_000 * i + 500, "mapped_ns": 1_000 * i + 3_900, "done_ns": 1_000 * i + 3_900,
        }
        for i in range(2_000)
    ]  # fmt: skip
    spinner = {"hold_per_spinner_ns": {"value": 10, "unit": "ns", "source": "assumed"}}
    make_run(tmp_path / "a", "pool", queue, [], machine=MACHINE | {"costs": PRICES | spinner})
    with open_session([tmp_path]) as session:
        rows = run_query(session, load_query("hold_makeup"), {"sample": sample}).rows(named=True)
    per_hold_us = {row["part"]: row["per_hold_us"] for row in rows if row["site"] == "map"}
    assert per_hold_us["line traffic"] == pytest.approx(0.03, rel=0.005)


def test_who_waited_is_told_with_whom_it_waited_for(ask):
    assert ask("waited_behind") == [("pool", 1, 0, 1, 0.05, 100, 50, 1)]
    assert ask("waits_by_kind") == [("pool", "map", "page_fault", "exec_args", 1, 0.05, 50, 100)]


def test_a_flush_is_listed_with_its_scan_and_its_waiters(ask):
    with_scan = ("pool", 0.025, 30, 3, 0, 0, 0, "exec_args", 8, 6, 1, 0.05)
    without = ("pool", 0.08, 4, 3, 1, 1, 0, "page_fault", None, None, 0, 0)
    assert ask("flush_log") == [with_scan, without]
    assert ask("flush_log", top=1) == [with_scan]
    assert ask("flush_log", from_ms=0.05) == [without]
    assert ask("flush_log", to_ms=0.025) == []


def test_a_wake_up_for_nothing_is_one_after_which_the_same_operation_slept_again(ask):
    assert ask("slept_again") == [("pool", 1, 2, 1, 50, 1, 2, 0.025)]


def test_slots_mapped_at_an_instant_are_counted_once_however_many_map_them(tmp_path):
    # Two mappings of slot 1 from 10 to 30, one of slot 2 from 20 to 90: a scan at each of these times.
    spans = [(1, 10, 30), (1, 10, 30), (2, 20, 90)]
    operations = [{"slot": slot, "mapped_ns": begin, "done_ns": end} for slot, begin, end in spans]
    scans = [{"event": "scan", "time_ns": at, "value": 4, "other": 0} for at in (5, 10, 20, 30, 90)]
    make_run(tmp_path / "a", "pool", operations, scans)
    with open_session([tmp_path]) as session:
        rows = session.query(
            "SELECT time_ns, slots, mappings FROM mapped_at('scans') ORDER BY time_ns"
        ).rows()
    assert rows == [(5, 0, 0), (10, 1, 2), (20, 2, 3), (30, 1, 1), (90, 0, 0)]


def test_slots_in_use_are_seen_at_instants_that_are_no_whole_numbers(tmp_path):
    # A run of 1 ms in three buckets; the second begins at 333,333.3 ns, while there is a mapping.
    operations = [{"slot": 1, "mapped_ns": 300_000, "unmap_asked_ns": 400_000, "done_ns": 400_000}]
    make_run(tmp_path / "a", "pool", operations, totals={"wall_ns": 1_000_000})
    with open_session([tmp_path]) as session:
        rows = run_query(session, load_query("slots_in_use"), {"buckets": 3}).rows()
    assert [(round(row[1], 4), *row[2:4]) for row in rows] == [(0, 0, 0), (0.3333, 1, 1), (0.6667, 0, 0)]


def test_a_window_misses_pages_that_lie_outside_it(tmp_path):
    # Round and round 64 pages: each comes again after 64 operations, and any window of 128 has all of them.
    make_run(tmp_path / "a", "pool", [{"page": i % 64, "done_ns": 1} for i in range(1024)])
    with open_session([tmp_path]) as session:
        rows = run_query(session, load_query("reuse_interval")).to_dicts()
    assert [(r["operations_from"], r["maps"], r["distinct_pages"]) for r in rows] == [
        (64, 960, 64), (None, 64, None),
    ]  # fmt: skip


LOCK = {
    "run": ["a b"] * 3, "lock": ["kmap_lock"] * 3, "site": ["all", "map", "unmap"],
    "util_percent": [33.4, 17.4, 0.334], "con_percent": [63.5, 100.0, 0.0], "hold_mean_us": [5.4, 5.7, 0.2],
    "hold_max_us": [7893.0, 7893.0, 71.0], "wait_mean_us": [155.0, 158.0, None],
    "wait_max_us": [16_000.0, 16_000.0, 0.0], "cpu_percent": [37.8, 19.7, 0.05],
    "acquisitions": [2_551_814, 1_275_907, 1_275_907],
}  # fmt: skip


def test_lockmeters_form_is_what_lockmeter_printed():
    assert lockmeter_text(pl.DataFrame(LOCK)) == (
        "a b\n"
        "SPINLOCKS         HOLD            WAIT\n"
        "  UTIL  CON    MEAN(  MAX )   MEAN(  MAX )(% CPU)     TOTAL NOWAIT SPIN RJECT  NAME\n"
        " 33.4% 63.5%  5.4us(7893us)  155us(  16ms)(37.8%)   2551814 36.5% 63.5%    0%  kmap_lock\n"
        " 17.4%  100%  5.7us(7893us)  158us(  16ms)(19.7%)   1275907    0%  100%    0%    map\n"
        " 0.33%    0%  0.2us(  71us)    0us(   0us)(0.05%)   1275907  100%    0%    0%    unmap\n"
    )


def test_lock_stats_form_has_the_kernels_columns_and_contention_points(ask, tmp_path):
    with open_session([tmp_path]) as session:
        lines = lock_stat_text(run_query(session, load_query("lock_stat"))).splitlines()
    assert lines[0] == "lock_stat version 0.4"
    assert lines[2].split("  ")[-1].strip() == "holdtime-avg"
    head = re.findall(r"\S+", lines[2].replace("class name", "class_name"))
    assert head == [
        "class_name", "con-bounces", "contentions", "waittime-min", "waittime-max", "waittime-total",
        "waittime-avg", "acq-bounces", "acquisitions", "holdtime-min", "holdtime-max", "holdtime-total",
        "holdtime-avg",
    ]  # fmt: skip
    name, figures = lines[5].split(":")
    assert name.strip() == "pool"
    assert figures.split() == [
        "-", "1", "50.00", "50.00", "50.00", "50.00", "-", "4", "1.00", "60.00", "63.00", "15.75",
    ]  # fmt: skip
    assert [line.split() for line in lines[6:8]] == [["----"], ["pool", "1", "[<->]", "map"]]
    assert [len(line) for line in (lines[1], lines[2], lines[3], lines[5])] == [221, 220, 221, 220]


@pytest.mark.parametrize("form", [lockmeter_text, lock_stat_text])
def test_a_form_says_which_columns_it_wants(form):
    with pytest.raises(
        UsageError, match=r"requires the columns run, lock, site, .* lacks .*; use it with --name lock"
    ):
        form(pl.DataFrame({"run": ["a"], "site": ["all"]}))


def test_without_a_log_the_shortest_times_are_not_known(tmp_path):
    locks = [
        {"site": site, "acquisitions": 2, "contended": 1, "hold_ns": 10, "hold_max_ns": 9, "wait_ns": 4,
         "wait_max_ns": 4} for site in ("map", "unmap")
    ]  # fmt: skip
    make_run(tmp_path / "a", "pool", totals={"locks": locks}, events="none")
    with open_session([tmp_path]) as session:
        row = run_query(session, load_query("lock_stat")).row(0, named=True)
        text = lock_stat_text(run_query(session, load_query("lock_stat")))
    assert (row["waittime_min"], row["holdtime_min"], row["holdtime_max"]) == (None, None, 0.009)
    assert text.splitlines()[5].split(":")[1].split()[8] == "-"
