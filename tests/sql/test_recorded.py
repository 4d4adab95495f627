"""A recording of the kernel's pool as a run: its facts where it has them, NULL where it has not."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq
import pytest

from pipeline.errors import InputError
from pipeline.importing.import_trace import import_trace
from pipeline.importing.kmap_pool.recordings import recording_path
from pipeline.report.report import report
from pipeline.sql.library import load_query, queries, run_query
from pipeline.sql.session import open_session
from tests.sql.handmade import make_run

SLOT_3 = 0xFF003000

# Task 7 scans and flushes, sleeps, and maps a page on slot 3; task 8 maps the same page and unmaps it again.
# (time, cpu, pid, event, page, vaddr, slot, count)
EVENTS = [
    (1_000, 0, 7, "ke", 50, None, None, None),
    (1_100, 0, 7, "fz", None, None, None, None),
    (1_150, 0, 7, "spa", 90, 0, None, None),
    (1_160, 0, 7, "spa", 91, 0, None, None),
    (1_200, 0, 7, "ftlb", None, None, None, None),
    (1_500, 0, 7, "slp", 50, None, None, None),
    (3_500, 1, 7, "wak", 50, None, None, None),
    (3_600, 1, 7, "spa", 50, SLOT_3, None, None),
    (3_700, 1, 7, "km", 50, SLOT_3, 3, 2),
    (4_000, 0, 8, "ke", 50, None, None, None),
    (4_100, 0, 8, "km", 50, SLOT_3, 3, 3),
    (5_000, 0, 8, "ku", 50, None, 3, 2),
    (6_000, 1, 7, "ku", 50, None, 3, 1),
]
CALLER = "copy_page_from_iter+0x10/0x20"


@pytest.fixture
def recording(tmp_path):
    names = ("time_ns", "cpu", "pid", "ev", "page", "vaddr", "nr", "cnt")
    columns = dict(zip(names, map(list, zip(*EVENTS, strict=True)), strict=True))
    columns |= {
        "seq": list(range(len(EVENTS))),
        "caller": [CALLER if ev == "ke" else None for ev in columns["ev"]],
    }
    path = tmp_path / "it's <b>.kmap.parquet"
    pq.write_table(pa.table(columns), path)
    return path


def test_operations_and_events_are_what_the_kernel_did(recording):
    with open_session([recording], recordings=True) as session:
        operations = session.query(
            "SELECT op, task, page, slot, served, asked_ns, mapped_ns, done_ns, sleeps, asleep_ns, cpu_map, "
            "cpu_unmap, kind FROM operations ORDER BY op"
        )
        events = session.query("SELECT event, time_ns, duration_ns, op, task, other FROM events")
        scans = session.query("SELECT scanned, freed FROM scans")
    assert operations.rows() == [
        (0, 0, 0, 3, "miss", 0, 2_700, 5_000, 1, 2_000, 1, 1, "copy_from_user"),
        (1, 1, 0, 3, "hit", 3_000, 3_100, 4_000, 0, 0, 0, 0, "copy_from_user"),
    ]
    assert events.rows() == [
        ("scan", 100, 100, 0, 0, 2), ("flush", 200, 300, 0, 0, None), ("sleep", 500, 2_000, 0, 0, None),
    ]  # fmt: skip
    assert scans.rows() == [(None, 2)]


def test_what_was_not_recorded_is_null_and_never_0(recording):
    with open_session([recording], recordings=True) as session:
        run = session.query("FROM runs").row(0, named=True)
        waits = session.query(
            "SELECT locked_ns, unmap_asked_ns, map_wait_ns, map_hold_ns, unmap_wait_ns, unmap_hold_ns, "
            "pin_wait_ns, flush_op, probed, scanned, local_flushes, holder, process FROM operations"
        )
        assert session.query("FROM lock_holds").is_empty()
    assert set(waits.rows()) == {(None,) * 13}
    assert (run["run"], run["provenance"], run["cpus"], run["machine"]) == ("it's <b>", "recorded", 2, None)
    counted = ("operations", "hits", "misses", "scans", "freed", "flushes", "sleeps", "asleep_ns", "map_ns")
    assert [run[name] for name in counted] == [2, 1, 1, 1, 2, 1, 1, 2_000, 2_800]
    unknown = ("ipis", "scanned", "probed", "wakes", "pin_waits", "switches", "findings", "seed", "loop")
    assert [run[name] for name in unknown] == [None] * 9


@pytest.mark.parametrize("name", sorted(queries()))
def test_every_query_answers_over_a_recording_beside_a_run(recording, tmp_path, name):
    make_run(tmp_path / "a", "pool", [{"done_ns": 10, "mapped_ns": 5}])
    with open_session([recording, tmp_path / "a"], recordings=True) as session:
        frame = run_query(session, load_query(name))
    assert frame.columns == [column.name for column in load_query(name).columns]
    # What is asked of locks and CPUs has no answer from a recording, and no row of zeros either; and two
    # tasks of one operation each are too few for the others.
    of_machine = {
        "convoys", "cpu_time", "cpu_time_by_cpu", "fairness", "hold_distribution", "hold_makeup",
        "hold_tail", "lock_stat", "lockmeter", "slept_again", "spinning_over_time",
        "wait_distribution", "wait_tail", "waited_behind", "waits_by_kind",
    }  # fmt: skip
    of_both = {
        "address_space", "by_kind", "by_task", "flush_frequency", "flush_log", "flushes_over_time",
        "hit_rate", "pin_waits", "reuse_interval", "scan_lengths", "scan_pinned", "sleepers",
        "sleepers_over_time", "sleeping", "slots_in_use", "slowest_operations", "summary",
    }  # fmt: skip
    named = "it's <b>" in frame["run"].to_list()
    assert named or name not in of_both
    assert not named or name not in of_machine


def test_one_query_asks_model_and_machine(recording, tmp_path):
    make_run(tmp_path / "a", "pool", totals={"misses": 1, "flushes": 2, "wall_ns": 5_000}, events="none")
    with open_session([recording, tmp_path / "a"], recordings=True) as session:
        rows = run_query(session, load_query("flush_frequency")).select("run", "per_1000_misses").rows()
    assert rows == [("it's <b>", 1_000), ("pool", 2_000)]


def test_operations_are_numbered_as_in_the_imported_trace(tmp_path):
    path = recording_path("kcsleep2")
    import_trace(path, tmp_path / "trace.parquet", threads=True)
    with open_session([path], recordings=True) as session:
        recorded = session.query("SELECT task, page, kind, depth FROM operations ORDER BY op").rows()
        totals = session.query("SELECT misses, scans, flushes, sleeps, freed, max_mapped FROM runs").rows()
    trace = pq.read_table(tmp_path / "trace.parquet", columns=["task", "page", "kind", "depth"])
    assert recorded == [tuple(row.values()) for row in trace.to_pylist()]
    # As in docs/validation.md, where lock-step counts them in another way.
    assert totals == [(11_465, 1_036, 772, 264, 11_004, 580)]


def test_runs_and_recordings_keep_their_order_and_have_names_of_their_own(recording, tmp_path):
    make_run(tmp_path / "a", "it's <b>")
    with open_session([tmp_path / "a", recording, recording], recordings=True) as session:
        names = session.query("SELECT run, provenance FROM runs ORDER BY run").rows()
    assert names == [("it's <b>", "simulated"), ("it's <b> #2", "recorded")]


def test_a_report_says_that_it_takes_no_recordings(recording, tmp_path):
    with pytest.raises(InputError, match="found a file"):
        report([recording], tmp_path / "out.html")


def test_a_file_that_is_no_recording_is_named(tmp_path):
    path = tmp_path / "x.parquet"
    for column, found in (("a", "another table"), ("think_ns", "a trace; replay it with 'pipeline replay'")):
        pq.write_table(pa.table({column: [1]}), path)
        with pytest.raises(InputError, match=f"expected a run directory or a recording .* found {found}"):
            open_session([path], recordings=True)
    with pytest.raises(InputError, match="found no such directory"):
        open_session([tmp_path / "wrap17"], recordings=True)


@pytest.mark.parametrize(
    ("kind", "nulls"),
    [
        ("fz", ("scans",)),
        ("ftlb", ("flushes",)),
        ("ke", ("map_ns", "map_max_ns")),
        ("slp", ("sleeps", "asleep_ns", "sleep_max_ns")),
    ],
)
def test_what_no_event_counts_is_null(recording, kind, nulls):
    table = pq.read_table(recording)
    pq.write_table(table.filter(pa.compute.not_equal(table.column("ev"), kind)), recording)
    with open_session([recording], recordings=True) as session:
        (row,) = session.query("SELECT * FROM runs").to_dicts()
        (asked,) = session.query("SELECT count(asked_ns) FROM operations").row(0)
    counted = ("scans", "flushes", "map_ns", "map_max_ns", "sleeps", "asleep_ns", "sleep_max_ns", "freed")
    assert {name for name in counted if row[name] is None} == set(nulls)
    assert asked == (0 if kind == "ke" else 2)


def test_a_recording_without_times_is_no_run(recording):
    pq.write_table(pq.read_table(recording).drop_columns(["time_ns"]), recording)
    with pytest.raises(InputError, match="expected a time for each event"):
        open_session([recording], recordings=True)
