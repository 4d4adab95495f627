"""Every query of the library against three operations that fit on a screen.

A query that is added is asked by the tests here and in the other files. What it should answer can be worked
out by hand and put in EXPECTED, which no test insists on.
"""

from __future__ import annotations

import polars as pl
import pytest

from pipeline.errors import InputError, UsageError
from pipeline.sql.library import load_query, queries, read_query, run_query
from pipeline.sql.session import Session, open_session
from tests.sql.handmade import make_run

# Two CPUs, 100 us. Task 1 waits for task 0 at both sites; task 0 scans, flushes, sleeps and comes back.
OPERATIONS = [
    {
        "task": 0,
        "asked_ns": 0,
        "locked_ns": 0,
        "map_hold_ns": 2000,
        "mapped_ns": 2000,
        "unmap_asked_ns": 10_000,
        "unmap_hold_ns": 1000,
        "done_ns": 11_000,
        "served": "miss",
        "probed": 1,
        "page": 7,
        "slot": 1,
    },
    {
        "task": 1,
        "asked_ns": 500,
        "locked_ns": 2000,
        "map_wait_ns": 1500,
        "map_hold_ns": 1000,
        "mapped_ns": 3000,
        "unmap_asked_ns": 10_000,
        "unmap_wait_ns": 1000,
        "unmap_hold_ns": 1000,
        "done_ns": 12_000,
        "holder": 0,
        "cpu_map": 1,
        "cpu_unmap": 1,
        "page": 7,
        "slot": 1,
    },
    {
        "task": 0,
        "asked_ns": 12_000,
        "locked_ns": 12_000,
        "map_hold_ns": 4000,
        "mapped_ns": 80_000,
        "unmap_asked_ns": 90_000,
        "unmap_hold_ns": 2000,
        "done_ns": 100_000,
        "served": "miss",
        "kind": "copy_to_user",
        "asleep_ns": 50_000,
        "sleeps": 1,
        "pin_wait_ns": 10_000,
        "scanned": 4,
        "page": 8,
        "slot": 2,
        "flush_op": -1,
    },
]
EVENTS = [
    {"event": "scan", "time_ns": 12_500, "duration_ns": 1500, "op": 2, "task": 0, "value": 4, "other": 3},
    {"event": "flush", "time_ns": 14_000, "duration_ns": 2000, "op": 2, "task": 0, "value": 1},
    {"event": "sleep", "time_ns": 16_000, "duration_ns": 50_000, "op": 2, "task": 0, "value": 0, "other": 1},
    {"event": "wake", "time_ns": 66_000, "cpu": 1, "task": 1, "op": 1, "value": 1, "other": 0},
    {"event": "pin_wait", "time_ns": 66_000, "duration_ns": 10_000, "op": 2, "task": 0, "value": 1},
    {"event": "relock", "time_ns": 77_000, "duration_ns": 3000, "op": 2, "site": 0, "wait_ns": 0},
]

EXPECTED = {
    "address_space": [("pool", 4, 16, 3, 4, 16), ("bare", 4, 16, 0, 4, 16)],
    "convoys": [("pool", 0, 0, None, None, None)],
    "cpu_time": [("pool", "idle", 98.75, 0.0002), ("pool", "spin", 1.25, 0.0)],
    # The flush from 14 to 16 us; 2 us are little, so that 100 us are looked at, 25 of them after it.
    "cpu_timeline": [("pool", *row, "flush", 2, 0.014, 2) for row in (
        (0, "hold", -14, -12, 0, 0), (0, "map or unmap", -14, -12, 0, 0),
        (1, "spin", -13.5, -12, 1, 1), (1, "map or unmap", -13.5, -11, 1, 1), (1, "hold", -12, -11, 1, 1),
        (0, "hold", -4, -3, 0, 0), (0, "map or unmap", -4, -3, 0, 0),
        (1, "spin", -4, -3, 1, 1), (1, "map or unmap", -4, -2, 1, 1), (1, "hold", -3, -2, 1, 1),
        # The third operation's map until it sleeps, where it did that.
        (0, "hold", -2, 2, 0, 2), (0, "map or unmap", -2, 2, 0, 2),
        (0, "scan", -1.5, 0, 0, 2), (0, "flush", 0, 2, 0, 2),
    )],
    "flush_frequency": [
        ("pool", 1, 10_000, 500, 1, 3, 1, 4, 0, 0),
        ("bare", 0, None, None, None, None, 0, None, 0, 0),
    ],
    "flushes_over_time": [("pool", 0.014, 1, None), ("pool", 0.1, 0, None)],
    "hit_rate": [
        ("pool", "all", 3, 1, 2, 33.3333), ("pool", "page_fault", 2, 1, 1, 50),
        ("pool", "copy_to_user", 1, 0, 1, 0), ("bare", "all", 0, 0, 0, None),
    ],
    "hold_distribution": [("pool", "map", 4, 2.5, 2, 4, 4, 4), ("pool", "unmap", 3, 1.3333, 1, 2, 2, 2)],
    "hold_tail": [
        ("pool", "map", 1, 4, 100), ("pool", "map", 2, 3, 75), ("pool", "map", 3, 2, 50),
        ("pool", "map", 4, 1, 25), ("pool", "unmap", 1, 3, 100), ("pool", "unmap", 2, 1, 33.3333),
    ],
    "lockmeter": [
        ("pool", "kmap_lock", "all", 14, 28.5714, 2, 4, 1.25, 1.5, 1.25, 7),
        ("pool", "kmap_lock", "map", 10, 25, 2.5, 4, 1.5, 1.5, 0.75, 4),
        ("pool", "kmap_lock", "unmap", 4, 33.3333, 1.3333, 2, 1, 1, 0.5, 3),
    ],
    "pin_waits": [
        ("pool", 1, 0.01, 0.1, 10, 10, 1, 100), ("bare", 0, 0, None, None, None, None, None),
    ],
    "ranking": [("pool", 0, 1, 0.011, 3), ("pool", 8, 1, 0.012, 4.5), ("pool", 16, 1, 0.1, 78)],
    "scan_lengths": [("pool", 1, 4, 4, 4, 4, 4, 3, 1.5, 1.5)],
    "sleepers": [("pool", 0, 1, 0.05, 100, 50, 1)],
    "sleepers_over_time": [
        ("pool", 0, 0, 0), ("pool", 0.01, 0.4, 1), ("pool", 0.02, 1, 1), ("pool", 0.03, 1, 1),
        ("pool", 0.04, 1, 1), ("pool", 0.05, 1, 1), ("pool", 0.06, 0.6, 1), ("pool", 0.07, 0, 0),
        ("pool", 0.08, 0, 0), ("pool", 0.09, 0, 0),
    ],
    "sleeping": [
        ("pool", 1, 333.3333, 1, 0.05, 0.5, 50, 50, 1, 1, 0),
        ("bare", 0, None, None, 0, None, None, None, 0, None, None),
    ],
    "slowest_operations": [
        ("pool", 2, 0.012, 0, 0, "copy_to_user", 8, "miss", 68, 0, 7, 50, 11, 10, 4, None, None),
        ("pool", 1, 0.0005, 1, 1, "page_fault", 7, "hit", 2.5, 1.5, 1, 0, 0, 0, 0, 0, None),
        ("pool", 0, 0, 0, 0, "page_fault", 7, "miss", 2, 0, 2, 0, 0, 0, 0, None, None),
    ],
    "spinning_over_time": [
        ("pool", 0, 0.15, 1), ("pool", 0.01, 0.1, 1),
        *(("pool", bucket / 100, 0, 0) for bucket in range(2, 10)),
    ],
    "summary": [
        ("pool", 0.1, 30_000, 33.3333, 24.1667, 2, 1.25, 1, 1, 1, 0.05, 0.01, 98.75, 16, 0),
        ("bare", 0, None, None, None, None, 0, 0, 0, 0, 0, 0, None, 16, 0),
    ],
    "wait_distribution": [
        ("pool", "map", 1, 1.5, 1.5, 1.5, 1.5, 1.5), ("pool", "unmap", 1, 1, 1, 1, 1, 1),
    ],
    "wait_tail": [("pool", "map", 1.5, 1, 25), ("pool", "unmap", 1, 1, 33.3333)],
}  # fmt: skip


POOL = ("pool", "simulated", "kmap_lock")
EXPECTED |= {
    "by_kind": [
        ("pool", "page_fault", 2, 66.6667, 50, 2.25, 2.5, 9, 0.0025, 0.005, 0, 0, 0),
        ("pool", "copy_to_user", 1, 33.3333, 0, 68, 68, 20, 0, 0.006, 0.05, 0.01, 4),
    ],
    "by_task": [
        ("pool", 0, 2, 0.07, 96.5517, 35, 68, 0, 0.05, 0.01),
        ("pool", 1, 1, 0.0025, 3.4483, 2.5, 2.5, 0.0025, 0, 0),
    ],
    "cpu_time_by_cpu": [
        ("pool", 0, "idle", 98.75, 0.0988), ("pool", 0, "spin", 1.25, 0.0013),
        ("pool", 1, "idle", 98.75, 0.0988), ("pool", 1, "spin", 1.25, 0.0013),
    ],
    "designs": [
        ("pool", "tiny", "tiny", 2, 100, 24.1667, 0, 1.25, 333.3333, 333.3333, 333.3333, 333.3333, 16),
        ("bare", "tiny", "tiny", 2, *(None,) * 8, 16),
    ],
    "fairness": [
        ("pool", "asleep", 2, 12.5, 0.5, 0, 25, 2, 0), ("pool", "lock wait", 2, 1.25, 0.5, 0, 2.5, 2, 1),
        ("pool", "request to mapped", 2, 18.75, 0.5711, 2.5, 35, 1.8667, 0),
    ],
    "flush_log": [("pool", 0.014, 2, 1, 2, 0, 0, "copy_to_user", 4, 3, 0, 0)],
    "hold_makeup": [
        ("pool", "map", "book-keeping, interrupts", "rest", 0.0065, 65, 1.625),
        ("pool", "map", "flush", "measured", 0.002, 20, 0.5),
        ("pool", "map", "scan", "measured", 0.0015, 15, 0.375),
        ("pool", "unmap", "book-keeping, interrupts", "rest", 0.004, 100, 1.3333),
    ],
    # Nothing was measured of real locks.
    "lock_comparison": [
        (*POOL, "all", "spinlock", 7, 2, 28.5714, 2, 4, 1.25, 1.5, 0.0025, 0.1, None),
        (*POOL, "map", "spinlock", 4, 1, 25, 2.5, 4, 1.5, 1.5, 0.0015, 0.1, None),
        (*POOL, "unmap", "spinlock", 3, 1, 33.3333, 1.3333, 2, 1, 1, 0.001, 0.1, None),
    ],
    "lock_stat": [
        ("pool", "kmap_lock", "all", None, 2, 1, 1.5, 2.5, 1.25, None, 7, 1, 4, 14, 2),
        ("pool", "kmap_lock", "map", None, 1, 1.5, 1.5, 1.5, 1.5, None, 4, 1, 4, 10, 2.5),
        ("pool", "kmap_lock", "unmap", None, 1, 1, 1, 1, 1, None, 3, 1, 2, 4, 1.3333),
    ],
    # Pages 7, 7, 8: of the two windows of two operations one has one page and one has two.
    "reuse_interval": [
        ("pool", 1, 2, 1, 33.3333, 33.3333, 1.5), ("pool", None, None, 2, 66.6667, None, None),
    ],
    "scan_pinned": [("pool", 0, 15, 1, 0, 4, 3, 1.5, 1.5)],
    "slept_again": [],
    "slots_in_use": [
        ("pool", 0, 0, 0, 0), ("pool", 0.01, 1, 2, 25),
        *(("pool", bucket / 100, 0, 0, 0) for bucket in range(2, 8)),
        ("pool", 0.08, 1, 1, 25), ("pool", 0.09, 1, 1, 25),
    ],
    "waited_behind": [("pool", 1, 0, 1, 0.0015, 60, 1.5, 0), ("pool", 1, None, 1, 0.001, 40, 1, 0)],
    "waits_by_kind": [
        ("pool", "map", "page_fault", None, 1, 0.0015, 1.5, 60),
        ("pool", "unmap", "page_fault", None, 1, 0.001, 1, 40),
    ],
}  # fmt: skip

# What the answers are asked with, where three operations call for another value than the default.
PARAMETERS = {"beside": "pool", "buckets": 10, "least_operations": 1}


@pytest.fixture(scope="module")
def session(tmp_path_factory) -> Session:
    directory = tmp_path_factory.mktemp("runs")
    make_run(directory / "a", "pool", OPERATIONS, EVENTS)
    make_run(directory / "b", "bare", events="none")
    with open_session([directory]) as opened:
        yield opened


def rounded(rows):
    return [tuple(round(v, 4) if isinstance(v, float) else v for v in row) for row in rows]


def answer(session: Session, name: str) -> pl.DataFrame:
    query = load_query(name)
    return run_query(
        session, query, {p.name: PARAMETERS[p.name] for p in query.params if p.name in PARAMETERS}
    )


@pytest.mark.parametrize("name", sorted(queries()))
def test_answers_with_its_columns_for_the_runs_that_there_are(session, name):
    frame = answer(session, name)
    assert frame.columns == [column.name for column in load_query(name).columns]
    assert {*frame["run"]} <= {"pool", "bare"}


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_answers_what_was_worked_out_by_hand(session, name):
    rows = rounded(answer(session, name).rows())
    if name.startswith("cpu_time"):
        rows = [row for row in rows if row[-2]]
    assert rows == rounded(EXPECTED[name])


@pytest.mark.parametrize("name", sorted(queries()))
def test_answers_with_its_columns_when_there_is_no_run(name):
    query = load_query(name)
    with open_session([]) as empty:
        frame = run_query(empty, query)
    assert frame.is_empty()
    assert frame.columns == [column.name for column in query.columns]


def test_every_query_is_documented():
    for query in queries().values():
        assert query.question.endswith("?"), query.name
        assert query.reads, query.name
        assert all(column.doc for column in query.columns), query.name


def test_a_convoy_that_begins_in_a_flush_is_counted_as_such(tmp_path):
    waits = [
        {
            "task": t,
            "asked_ns": 100 + t,
            "locked_ns": 1000 + t,
            "map_wait_ns": 900,
            "map_hold_ns": 1,
            "mapped_ns": 1001,
            "unmap_asked_ns": 1001,
            "done_ns": 2000,
            "holder": 0,
        }
        for t in range(4)
    ]
    flush = {"event": "flush", "time_ns": 50, "duration_ns": 200, "value": 1}
    make_run(tmp_path / "a", "pool", waits, [flush])
    with open_session([tmp_path]) as opened:
        rows = run_query(opened, load_query("convoys")).rows()
    # All four spin from 103 ns, when the last one comes, to 1000 ns, when the first one gets the lock.
    assert rows == [("pool", 1, pytest.approx(44.85), 0.897, 0.897, 100)]


def test_parameters_take_the_type_of_their_default(session):
    query = load_query("slowest_operations")
    assert len(run_query(session, query, {"top": "1"})) == 1
    with pytest.raises(UsageError, match="expected a whole number, found 'many'"):
        run_query(session, query, {"top": "many"})
    with pytest.raises(
        UsageError, match=r"unknown parameter of 'slowest_operations' 'tpo' \(did you mean 'top'"
    ):
        run_query(session, query, {"tpo": 1})


def test_an_unknown_query_names_the_nearest():
    with pytest.raises(UsageError, match=r"unknown query 'lockmetre' \(did you mean 'lockmeter'"):
        load_query("lockmetre")


def test_a_header_line_that_does_not_fit_is_named_with_its_number(tmp_path):
    path = tmp_path / "mine.sql"
    path.write_text("-- question: What?\n-- param: top 5\nSELECT 1 AS one\n")
    with pytest.raises(InputError, match=r"mine.sql:2: expected '-- param: name = default; meaning'"):
        read_query(path)


def test_a_users_own_query_needs_no_header(tmp_path, session):
    path = tmp_path / "mine.sql"
    path.write_text("SELECT run, $x * 2 AS twice FROM runs ORDER BY run")
    query = load_query(path)
    assert run_query(session, query, {"x": "21"}).rows() == [("pool", 42), ("bare", 42)]
    with pytest.raises(UsageError, match="requires a value for x; give --set x=VALUE"):
        run_query(session, query)


def test_without_a_flush_the_slowest_map_is_looked_at_or_the_one_asked_for(tmp_path):
    run = make_run(tmp_path / "a", "pool", OPERATIONS, [])
    with open_session([run]) as session:
        slowest = run_query(session, load_query("cpu_timeline"))
        chosen = run_query(session, load_query("cpu_timeline"), {"focus_op": 1})
    assert set(slowest.select("around", "around_op", "at_ms").rows()) == {("map", 1, 0.0005)}
    assert set(chosen.select("around", "around_op", "length_us").rows()) == {("map", 1, 2.5)}


def test_time_until_the_lock_was_released_is_hold_and_not_sleep_as_well(tmp_path):
    # It takes the lock at 10 and decides to sleep at 30; a spinner delays the release until 35.
    slept = {
        "asked_ns": 0, "locked_ns": 10, "map_hold_ns": 25, "asleep_ns": 50, "sleeps": 1, "mapped_ns": 100,
        "unmap_asked_ns": 100, "done_ns": 100,
    }  # fmt: skip
    events = [
        {"event": "sleep", "op": 0, "time_ns": 30, "duration_ns": 50},
        {"event": "relock", "op": 0, "time_ns": 85, "duration_ns": 5, "wait_ns": 0, "site": 0},
    ]
    make_run(tmp_path / "a", "pool", [slept], events)
    columns = ["map_us", "lock_wait_us", "hold_us", "asleep_us", "rest_us"]
    with open_session([tmp_path]) as opened:
        rows = run_query(opened, load_query("slowest_operations")).select(columns).rows()
    # 0 to 10 outside the lock, 10 to 35 held, asleep to 80, 85 to 90 held again, 5 and 10 outside.
    assert rows == [(0.1, 0.0, 0.03, 0.045, 0.025)]


def test_quantiles_of_mapping_times_are_those_of_the_times_and_the_tail_counts_them(tmp_path):
    # 1,000 maps of 1 to 1,000 us; unmaps that take no time.
    operations = [
        {"mapped_ns": 1_000 * k, "unmap_asked_ns": 2_000_000, "done_ns": 2_000_000} for k in range(1, 1_001)
    ]
    run = make_run(tmp_path / "a", "pool", operations)
    with open_session([run]) as session:
        maps, unmaps = run_query(session, load_query("mapping_times")).rows(named=True)
        tail = run_query(session, load_query("mapping_time_tail"), {"per_octave": 1}).rows()
    assert (maps["operations"], maps["mean_us"], maps["max_us"]) == (1_000, 500.5, 1_000)
    for column, exact in (("p50_us", 500), ("p99_us", 990), ("p999_us", 999)):
        assert exact <= maps[column] <= 1.003 * exact
    assert {unmaps[column] for column in ("mean_us", "p50_us", "p999_us", "max_us")} == {0}
    # Doublings of 1 ns: each point is the shortest time of its own.
    for _, site, time_us, at_least, share in tail:
        assert (site, at_least) == ("map", 1_001 - time_us)
        assert share == at_least / 10
