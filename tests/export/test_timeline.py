"""A timeline of two operations, all of it on a screen, in both formats; and windows of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.export import rows as timeline_rows
from pipeline.export.export import Exported, export
from pipeline.export.timeline import Size
from tests.export.reading import Timeline, chrome, perfetto
from tests.export.small import EVENTS, OPERATIONS, small_run
from tests.sql.handmade import make_run

READERS = {"perfetto": perfetto, "chrome": chrome}

# begin-end in ns; slices within others are further in.
WHOLE = """\
CPUs: cpu 0
  0-5 switch
  10-65 map
    10-60 hold
      10-30 scan
      30-55 flush
  65-100 use
  100-115 unmap
    100-112 hold
      109-111 wake
  115-120 switch
  120-130 map
    122-128 hold
  130-150 use
  150-154 unmap
    150-153 hold
CPUs: cpu 1
  0-5 switch
  15-70 map
    15-62 lock wait
    62-70 hold
CPUs interrupted: cpu 1 interrupted
  35-44 ipi
Lock: lock holder
  10-60 map
  62-70 map
  100-112 unmap
  122-128 map
  150-153 unmap
Tasks: task 0
  10-115 page_fault
    10-65 map
    65-100 use
    100-115 unmap
Tasks: task 1
  15-154 copy_to_user
    15-130 map
      15-62 lock wait
      68-109 asleep
      109 woken
    130-150 use
    150-154 unmap"""


def read(tmp_path: Path, form: str, run: Path, **window: float) -> tuple[Timeline, Exported]:
    done = export(run, form, tmp_path / "out", **window)
    return READERS[form](tmp_path / "out"), done


@pytest.mark.parametrize("form", READERS)
def test_every_slice_is_where_it_happened(tmp_path, form):
    timeline, done = read(tmp_path, form, small_run(tmp_path / "run"))
    assert timeline.picture() == WHOLE
    assert done.timeline == Size(slices=36, instants=1, tracks=7, arrows=2)


@pytest.mark.parametrize("form", READERS)
@pytest.mark.parametrize("together", [1, 2, 7])
def test_slices_stay_open_from_one_batch_of_rows_to_the_next(tmp_path, form, together, monkeypatch):
    run = small_run(tmp_path / "run")
    whole, _ = read(tmp_path, form, run)
    monkeypatch.setattr(timeline_rows, "TOGETHER", together)
    parts, done = read(tmp_path, form, run)
    assert parts == whole
    assert done.timeline == Size(slices=36, instants=1, tracks=7, arrows=2)


@pytest.mark.parametrize("form", READERS)
def test_arrows_lead_from_a_flush_to_whom_it_interrupts_and_from_a_wake_to_whom_it_wakes(tmp_path, form):
    timeline, _ = read(tmp_path, form, small_run(tmp_path / "run"))
    assert [(a.name, a.track, b.name, b.track) for a, b in timeline.arrows] == [
        ("flush", "cpu 0", "ipi", "cpu 1 interrupted"),
        ("wake", "cpu 0", "woken", "task 1"),
    ]


@pytest.mark.parametrize("form", READERS)
def test_counters_count_what_is_open(tmp_path, form):
    timeline, _ = read(tmp_path, form, small_run(tmp_path / "run"))
    assert timeline.counters == {
        "CPUs spinning": [(0, 0), (15, 1), (62, 0)],
        "tasks asleep": [(0, 0), (68, 1), (109, 0)],
        "mappings in force": [(0, 0), (65, 1), (115, 0), (130, 1), (154, 0)],
    }


@pytest.mark.parametrize("form", READERS)
def test_arguments_say_what_the_log_knows_and_leave_out_what_it_does_not(tmp_path, form):
    timeline, _ = read(tmp_path, form, small_run(tmp_path / "run"))
    (wait,) = timeline.of("Tasks", "lock wait")
    assert wait.args == {"op": 1, "cpu": 1, "lock": 0, "holder": 0, "flush_op": 0}
    (scan,) = timeline.of("CPUs", "scan")
    assert scan.args == {"op": 0, "task": 0, "scanned": 4, "freed": 3}
    assert timeline.of("Tasks", "operation")[0].args == {
        "op": 0, "page": 7, "slot": 3, "process": 0, "depth": 0, "probed": 2, "scanned": 4,
        "map_wait_ns": 0, "map_hold_ns": 50, "unmap_wait_ns": 0, "unmap_hold_ns": 12, "asleep_ns": 0,
        "served": "miss",
    }  # fmt: skip
    assert [a.args["served"] for a in timeline.of("CPUs", "map")] == ["miss", "hit", "hit"]


@pytest.mark.parametrize("form", READERS)
def test_a_window_has_all_that_reaches_into_it_cut_to_it(tmp_path, form):
    timeline, done = read(tmp_path, form, small_run(tmp_path / "run"), from_ms=50e-6, to_ms=64e-6)
    assert done.window == (50, 64)
    assert timeline.picture() == (
        "CPUs: cpu 0\n  50-64 map\n    50-60 hold\n      50-55 flush\n"
        "CPUs: cpu 1\n  50-64 map\n    50-62 lock wait\n    62-64 hold\n"
        "Lock: lock holder\n  50-60 map\n  62-64 map\n"
        "Tasks: task 0\n  50-64 page_fault\n    50-64 map\n"
        "Tasks: task 1\n  50-64 copy_to_user\n    50-64 map\n      50-62 lock wait"
    )
    assert timeline.of("CPUs", "flush")[0].args["whole_ns"] == 25
    assert timeline.counters["CPUs spinning"] == [(50, 1), (62, 0)]


def test_the_surroundings_of_an_operation_are_at_least_a_millisecond_on_either_side(tmp_path):
    late = [o | {k: v + 5_000_000 for k, v in o.items() if k.endswith("ed_ns") or k == "done_ns"}
            for o in OPERATIONS[:1]]  # fmt: skip
    run = make_run(tmp_path / "run", "a", [*OPERATIONS, late[0] | {"op": 2, "task": 2}], EVENTS)
    timeline, done = read(tmp_path, "perfetto", run, around_op=2)
    assert done.window == (4_000_010, 6_000_115)
    assert {s.track for s in timeline.slices if s.group == "Tasks"} == {"task 2"}


@pytest.mark.parametrize("form", READERS)
def test_a_run_says_what_was_replayed_on_what_in_any_letters(tmp_path, form):
    label = 'it\'s <b> "50 %" 表 {x} \\'
    timeline, _ = read(tmp_path, form, small_run(tmp_path / "run", label))
    (run,) = timeline.of("Run", "run")
    assert run.name == f"{label} on tiny: tiny"
    wanted = {"run": label, "machine": "tiny", "trace": "tiny", "seed": 1}
    assert wanted.items() <= timeline.metadata.items()
    assert timeline.metadata == run.args


def test_a_name_ending_in_gz_is_compressed_and_the_same_each_time(tmp_path):
    run = small_run(tmp_path / "run")
    for form, reader in READERS.items():
        files = [tmp_path / f"{i}.{form}.gz" for i in range(2)]
        for path in files:
            export(run, form, path)
        assert files[0].read_bytes() == files[1].read_bytes()
        assert reader(files[0]).picture() == WHOLE


def test_holds_of_several_locks_lie_side_by_side(tmp_path):
    lock = {"map_hold_ns": 10, "mapped_ns": 50, "unmap_asked_ns": 50, "done_ns": 50}
    rows = [
        {"task": i, "cpu_map": i, "asked_ns": at, "locked_ns": at} | lock for i, at in enumerate((10, 15, 22))
    ]
    timeline, _ = read(tmp_path, "chrome", make_run(tmp_path / "run", "a", rows))
    holds = timeline.of("Lock", "hold")
    assert [(h.begin, h.end, h.depth) for h in holds] == [(10, 20, 0), (15, 25, 0), (22, 32, 0)]


@pytest.mark.parametrize("form", READERS)
def test_a_slice_that_outlasts_what_it_lies_in_is_cut_and_counted(tmp_path, form):
    """A hold that the log gives until after the map's end would break the viewers' nesting."""
    row = {"locked_ns": 10, "map_hold_ns": 90, "asked_ns": 10, "mapped_ns": 50, "unmap_asked_ns": 200,
           "done_ns": 200}  # fmt: skip
    timeline, done = read(tmp_path, form, make_run(tmp_path / "run", "a", [row]))
    assert done.timeline.cut == 1
    assert "1 slices cut" in done.text
    (hold,) = timeline.of("CPUs", "hold")
    assert (hold.begin, hold.end, hold.args["cut_from_ns"]) == (10, 50, 90)
    assert timeline.sum_ns("Lock", "hold") == 90


def test_a_hazard_is_an_instant_with_its_name(tmp_path):
    met = {"event": "finding", "time_ns": 60, "value": 1, "task": 0, "op": 0, "slot": 3, "cpu": 0}
    run = make_run(tmp_path / "run", "a", OPERATIONS, [*EVENTS, met])
    timeline, _ = read(tmp_path, "perfetto", run)
    assert [(i.name, i.begin, i.args) for i in timeline.instants if i.category == "finding"] == [
        ("stale_translation", 60, {"op": 0, "task": 0, "slot": 3})
    ]
