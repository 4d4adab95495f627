"""Queries about areas, over a run that fits on a screen."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.sql.library import queries, run_query
from pipeline.sql.query import sql
from pipeline.sql.session import Session, open_session
from tests.sql.handmade import make_run

MIB_PAGES = 256
# Three areas of 1 MiB; task 1 frees those of task 0, a worker (task 2) purges two of them, one stays mapped.
OPERATIONS = [
    {"asked_ns": 0, "locked_ns": 10, "map_hold_ns": 5, "mapped_ns": 20, "pages": MIB_PAGES, "map_lock": 0,
     "unmap_asked_ns": 1_000, "unmap_hold_ns": 7, "unmap_lock": 1, "done_ns": 1_100, "unmap_task": 1},
    {"asked_ns": 100, "locked_ns": 110, "map_hold_ns": 5, "mapped_ns": 120, "pages": MIB_PAGES, "map_lock": 0,
     "unmap_asked_ns": 2_000, "unmap_hold_ns": 7, "unmap_lock": 2, "done_ns": 2_200, "unmap_task": 1},
    {"asked_ns": 200, "locked_ns": 210, "map_hold_ns": 5, "mapped_ns": 220, "pages": MIB_PAGES, "map_lock": 0,
     "unmap_asked_ns": 8_000, "unmap_hold_ns": 7, "unmap_lock": 1, "done_ns": 8_100, "unmap_task": 1},
    {"asked_ns": 300, "locked_ns": 310, "map_hold_ns": 5, "mapped_ns": 320, "pages": 4, "map_lock": 0,
     "unmap_asked_ns": -1, "done_ns": -1, "unmap_task": -1},
]  # fmt: skip
EVENTS = [
    {"event": "scan", "time_ns": 3_000, "duration_ns": 50, "task": 2, "value": 2, "other": 2},
    {"event": "flush", "time_ns": 3_050, "duration_ns": 500, "task": 2, "value": 1},
    {"event": "ipi", "time_ns": 3_200, "duration_ns": 300, "cpu": 1, "task": -1, "other": 0},
    {"event": "relock", "time_ns": 3_600, "duration_ns": 40, "site": 2, "wait_ns": 6, "lock": 0, "task": 2},
    {"event": "work", "time_ns": 2_900, "duration_ns": 800, "task": 2, "value": 90, "other": 0},
]


@pytest.fixture
def session(tmp_path: Path) -> Session:
    allocator = {
        "name": "vmap", "summary": "made up", "source_sha256": "cd" * 32, "options": {},
        "address_space_pages": 4, "page_struct_bytes": 0, "lock_names": ["tree", "busy", "busy"],
    }  # fmt: skip
    totals = {"wall_ns": 10_000}
    make_run(tmp_path / "a", "a", OPERATIONS, EVENTS, totals, areas=True, allocator=allocator)
    make_run(tmp_path / "b", "b", OPERATIONS[:1], EVENTS[:2], totals)
    return open_session([tmp_path / "a", tmp_path / "b"])


def _answer(session: Session, name: str) -> list[dict]:
    return run_query(session, queries()[name], {}).to_dicts()


def test_drains_are_runs_of_the_worker(session: Session) -> None:
    (row,) = _answer(session, "drains")
    assert (row["run"], row["who"], row["drains"], row["areas_mean"]) == ("a", "worker", 1, 2.0)
    assert (row["mean_us"], row["max_us"], row["delay_mean_us"]) == (0.8, 0.8, 0.09)
    assert row["per_second"] == 100_000


def test_an_unmap_that_flushes_is_a_drain_of_its_task(tmp_path: Path, session: Session) -> None:
    flush = {"event": "flush", "time_ns": 1_050, "duration_ns": 20, "op": 0, "value": 1}
    allocator = {
        "name": "vmap", "summary": "made up", "source_sha256": "cd" * 32, "options": {},
        "address_space_pages": 4, "page_struct_bytes": 0, "lock_names": ["list"],
    }  # fmt: skip
    make_run(tmp_path / "c", "c", OPERATIONS, [flush], {"wall_ns": 10_000}, areas=True, allocator=allocator)
    (row,) = _answer(open_session([tmp_path / "c"]), "drains")
    assert (row["who"], row["drains"], row["mean_us"], row["areas_mean"]) == ("task", 1, 0.1, None)


def test_space_waits_from_an_unmap_to_the_next_purge(session: Session) -> None:
    rows = [(row["time_ms"], row["most_mib"], row["at_end_mib"]) for row in _answer(session, "lazy_space")]
    width = 10_000 // 100 + 1
    begins = [ns // width * width / 1e6 for ns in (1_100, 2_200, 3_000, 8_100)]
    assert rows == list(zip(begins, (1.0, 2.0, 0.0, 1.0), (1.0, 2.0, 0.0, 1.0), strict=True))


def test_interrupts_are_counted_for_each_cpu(session: Session) -> None:
    (row,) = _answer(session, "interrupted_cpus")
    assert (row["cpu"], row["interrupts"], row["per_second"], row["idle_percent"]) == (1, 1, 100_000, 100)
    assert (row["stolen_ms"], row["stolen_percent"]) == (0.0003, 3.0)


def test_locks_of_one_name_are_counted_together(session: Session) -> None:
    rows = {(row["lock"], row["site"]): row for row in _answer(session, "lock_hold_by_lock")}
    assert set(rows) == {("tree", "map"), ("tree", "worker"), ("busy", "unmap")}
    assert (rows["busy", "unmap"]["locks"], rows["busy", "unmap"]["acquisitions"]) == (2, 3)
    assert rows["tree", "worker"]["contended_percent"] == 100
    assert rows["tree", "worker"]["hold_mean_ns"] == 40
    assert rows["tree", "map"]["acquisitions"] == 4


def test_what_was_never_unmapped_has_no_time(tmp_path: Path, session: Session) -> None:
    found = sql([tmp_path / "a"], "SELECT done_ns, unmap_asked_ns, unmap_task FROM operations WHERE op = 3")
    assert found.row(0) == (None, None, None)
    held = sql([tmp_path / "a"], "SELECT DISTINCT task FROM lock_holds WHERE site = 'unmap'")
    assert held["task"].to_list() == [1]
