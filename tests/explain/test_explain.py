"""What happened to an operation: on runs made by hand, word for word; on a replayed one, the sums."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import InputError, UsageError
from pipeline.explain.attribution import Hold, LockWait, Passes, Stretch, attribute_wait, divide
from pipeline.explain.explain import Explanation, explain
from pipeline.explain.narrative import narrate
from pipeline.schema.names import FINDINGS
from pipeline.sql.session import open_session
from tests.sql.handmade import make_run

US = 1000


def operation(task: int, asked: int, wait: int, hold: int, mapped: int, **more: object) -> dict:
    """An operation, in us, that maps under the lock, uses nothing and unmaps without it."""
    times = {"asked_ns": asked, "locked_ns": asked + wait, "map_wait_ns": wait, "map_hold_ns": hold}
    ends = dict.fromkeys(("mapped_ns", "unmap_asked_ns", "done_ns"), mapped)
    return {"task": task} | {name: ns * US for name, ns in (times | ends).items()} | more


# Task 7 holds the lock from 90 to 303 us; task 41 asks at 100 us, then three others have their turns.
CONVOY = [
    operation(7, 90, 0, 213, 303, served="miss"),
    operation(8, 95, 208, 3, 306, cpu_map=1),
    operation(9, 96, 210, 3, 309, cpu_map=2),
    operation(10, 97, 212, 3, 312, cpu_map=4),
    operation(41, 100, 212, 2, 315, cpu_map=3, cpu_unmap=3, kind="copy_to_user", page=77, slot=5, holder=7),
]
FLUSH = [
    *({"event": "scan", "time_ns": k, "duration_ns": 1, "op": 0, "task": 7, "value": 4} for k in range(11)),
    {
        "event": "scan",
        "time_ns": 95 * US,
        "duration_ns": 40 * US,
        "op": 0,
        "task": 7,
        "value": 1024,
        "other": 9,
    },
    {"event": "flush", "time_ns": 135 * US, "duration_ns": 160 * US, "op": 0, "task": 7, "value": 15},
    {"event": "ipi", "time_ns": 136 * US, "duration_ns": 5 * US, "op": 0, "task": 41, "cpu": 3, "other": 0},
]


def lines_of(run: Path, op: int) -> list[str]:
    (explained,) = explain(run, [op])
    return [line.strip() for line in narrate(explained).splitlines()]


def test_a_wait_behind_a_flush_and_three_holders_is_told_with_figures_that_add_up(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", operations=CONVOY, event_rows=FLUSH)
    assert lines_of(run, 4) == [
        "operation 4: copy_to_user of page 77, requested by task 41 (process 0) at 100 us",
        "mapped on cpu 3 after 215 us, a hit: the page was already mapped, slot 5",
        "task 41 on cpu 3 waited 212 us for the lock: 9 us behind 3 holders (longest: task 8, 3 us), 203 us "
        "behind the flush by task 7 at wrap 12 (operation 0: scan 35 us, flush 160 us, rest of its "
        "hold 8 us)",
        "it held the lock 2 us",
        "1 us other code outside the lock, including interrupts",
        "1 IPI took 5 us of cpu 3's time, while it waited for the lock anyway: from the flush of task 7 "
        "(operation 0)",
        "kept the mapping 0 us",
        "unmapped on cpu 3 in 0 us",
        "215 us from request to done",
    ]


def test_the_operation_that_flushed_says_what_its_hold_was_made_of(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", operations=CONVOY, event_rows=FLUSH)
    assert lines_of(run, 0)[1:3] == [
        "mapped on cpu 0 after 213 us, a miss, slot 0",
        "it held the lock 213 us: 40 us scan of 1,024 slots, 9 freed; 160 us flush at wrap 12, 15 CPUs "
        "interrupted; 13 us other work",
    ]


def test_who_came_when_the_flush_was_over_waited_behind_a_holder_only(tmp_path: Path) -> None:
    late = operation(5, 299, 16, 1, 316)
    run = make_run(tmp_path / "run", operations=[CONVOY[0], late, {}], event_rows=FLUSH)
    assert lines_of(run, 1)[2] == (
        "task 5 on cpu 0 waited 16 us for the lock: 4 us behind task 7 (map of operation 0), 12 us while "
        "the lock was transferred"
    )


def test_sleeps_say_who_woke_the_task_and_which_were_for_nothing(tmp_path: Path) -> None:
    sleeper = {"op": 0, "task": 3, "cpu": 2}
    events = [
        {"event": "sleep", "time_ns": 2 * US, "duration_ns": 10 * US, "value": 1, "other": 8} | sleeper,
        {"event": "switch", "time_ns": 15 * US, "duration_ns": 5 * US, "other": 6} | sleeper,
        {"event": "relock", "time_ns": 24 * US, "duration_ns": US, "wait_ns": 4 * US, "lock": 0, "site": 0}
        | sleeper,
        {"event": "sleep", "time_ns": 25 * US, "duration_ns": 20 * US, "value": 1, "other": 9} | sleeper,
        {"event": "pin_wait", "time_ns": 45 * US, "duration_ns": 30 * US, "value": 2} | sleeper,
        {"event": "switch", "time_ns": 75 * US, "duration_ns": 5 * US} | sleeper | {"cpu": 1},
    ]
    slept = operation(3, 0, 0, 2, 81, served="miss", slot=4, cpu_map=1, cpu_unmap=1)
    run = make_run(tmp_path / "run", operations=[slept], event_rows=events)
    assert lines_of(run, 0)[1:11] == [
        "mapped on cpu 1 after 81 us, a miss, slot 4",
        "it held the lock 2 us",
        "it slept 10 us on queue 1 until task 8 woke it, a futile wake-up, as it slept again",
        "it was ready for 3 us before it ran on cpu 2, which had been running task 6",
        "the switch to it on cpu 2 took 5 us",
        "task 3 on cpu 2 waited 4 us for the lock again: 4 us while the lock was transferred, or while it "
        "was held by an operation that never finished",
        "it held the lock 1 us",
        "it slept 20 us on queue 1 until task 9 woke it",
        "it was ready for 30 us, but pinned to cpu 2, which ran another task, while 2 CPUs were idle",
        "the switch to it on cpu 1 took 5 us",
    ]


def test_nested_operations_say_within_which_they_are_and_which_are_in_them(tmp_path: Path) -> None:
    outer = {"asked_ns": 0, "mapped_ns": 100, "unmap_asked_ns": 5000, "done_ns": 5100, "task": 2}
    inner = {
        "asked_ns": 1000,
        "mapped_ns": 1200,
        "unmap_asked_ns": 2000,
        "done_ns": 2500,
        "task": 2,
        "depth": 1,
    }
    run = make_run(tmp_path / "run", operations=[outer, inner])
    assert "nested in operation 0" in lines_of(run, 1)[0]
    assert lines_of(run, 0)[3:6] == [
        "kept the mapping 4.9 us",
        "operation 1, nested in it, took 1.5 us",
        "3.4 us in use or blocked (not distinguished in the log)",
    ]


MINE, OTHER, LATER = (
    Hold("map", 1, 5, 0, 50, 100, lock=3),
    Hold("map", 2, 6, 1, 120, 40, lock=4),
    Hold("map", 3, 8, 2, 180, 20, lock=3),
)


def unnumbered(holds: list[Hold]) -> list[Hold]:
    return [replace(hold, lock=None) for hold in holds]


@pytest.mark.parametrize(
    ("holds", "holder", "lock", "behind", "unheld", "untold"),
    [
        ([MINE, LATER], None, 3, [(5, 50), (8, 20)], 30, 0),
        ([MINE, OTHER, LATER], None, 3, [(5, 50), (8, 20)], 30, 0),
        ([MINE, OTHER, LATER], None, 4, [(6, 40)], 60, 0),
        ([OTHER], None, 3, [], 100, 0),
        (unnumbered([MINE, LATER]), 5, None, [(5, 50)], 30, 20),
        (unnumbered([MINE, LATER]), None, None, [], 30, 70),
        (unnumbered([MINE, OTHER, LATER]), 5, None, [(5, 50)], 20, 30),
    ],
)
def test_holds_of_several_locks_are_not_mixed_up(
    holds: list[Hold], holder: int | None, lock: int | None, behind: list, unheld: int, untold: int
) -> None:
    wait = attribute_wait(Stretch("lock_wait", 100, 100), holds, Passes(), "map", False, holder, lock)
    assert [(b.task, b.ns) for b in wait.behind] == behind
    assert (wait.unheld_ns, wait.untold_ns) == (unheld, untold)


def test_a_hold_of_another_lock_is_not_waited_behind(tmp_path: Path) -> None:
    run = make_run(
        tmp_path / "run",
        operations=[
            operation(1, 0, 0, 10, 10),
            operation(2, 0, 0, 30, 30, map_lock=7),
            operation(3, 5, 6, 1, 12),
        ],
    )
    assert lines_of(run, 2)[2] == (
        "task 3 on cpu 0 waited 6 us for the lock: 5 us behind task 1 (map of operation 0), 1 us while "
        "the lock was transferred"
    )


def test_a_log_that_does_not_number_locks_says_so() -> None:
    (waited,) = explain(Path(__file__).parents[1] / "runs" / "format_1", slowest_of=1)
    assert isinstance(waited, Explanation)
    waits = [s.detail for p in waited.phases for s in p.stretches if isinstance(s.detail, LockWait)]
    assert waits
    assert all(wait.ns == sum(b.ns for b in wait.behind) + wait.unheld_ns + wait.untold_ns for wait in waits)
    assert sum(wait.untold_ns for wait in waits) > 0


def test_a_finding_met_in_its_course_is_told(tmp_path: Path) -> None:
    code = list(FINDINGS).index("stale_translation")
    met = {"event": "finding", "op": 0, "value": code, "time_ns": 5}
    run = make_run(tmp_path / "run", operations=[{"done_ns": 10}], event_rows=[met])
    assert lines_of(run, 0)[-1] == "finding: stale_translation"


def test_an_operation_that_a_deadlock_left_unfinished_is_said_to_be_so(tmp_path: Path) -> None:
    run = make_run(
        tmp_path / "run",
        operations=[operation(0, 0, 0, 1, 9)],
        event_rows=[{"event": "scan", "time_ns": 4 * US, "duration_ns": US, "op": 2, "task": 5, "value": 4}],
        findings=[
            {"finding": "deadlock", "time_ns": 9000, "message": "deadlock: 1 task sleeps", "tasks": [5]}
        ],
    )
    assert lines_of(run, 2) == [
        "operation 2: never finished, so it has no row in the log; the run ended at 9 us: deadlock: "
        "1 task sleeps",
        "events in the log of task 5:",
        "at 4 us: scan for 1 us, cpu 0",
    ]
    assert lines_of(run, 1)[1] == "the log has no events of this operation; it may not have started"


def test_a_gap_between_holds_may_be_an_operation_that_never_finished(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", operations=[operation(4, 0, 7, 1, 9)])
    assert lines_of(run, 0)[2].endswith(
        "7 us while the lock was transferred, or while it was held by an operation that never finished"
    )


@pytest.mark.parametrize(
    ("ops", "slowest", "says"),
    [
        ([5], 0, "--op 5: this run has operations 0 to 4"),
        ([-1], 0, "--op -1: this run has operations 0 to 4"),
        ([], 0, "give either operations (--op N) or a number of slowest operations (--slowest K)"),
        ([1], 1, "give either operations"),
        ([], -3, "--slowest -3: must be at least 1"),
    ],
)
def test_mistakes_say_what_there_is(tmp_path: Path, ops: list[int], slowest: int, says: str) -> None:
    run = make_run(tmp_path / "run", operations=CONVOY)
    with pytest.raises(UsageError) as refused:
        explain(run, ops, slowest)
    assert says in str(refused.value)


def test_only_one_run_with_a_log_can_be_explained(tmp_path: Path) -> None:
    make_run(tmp_path / "a" / "one", operations=CONVOY)
    make_run(tmp_path / "a" / "two", operations=CONVOY, seed=2)
    with pytest.raises(UsageError, match="expected one run, found 2; give the directory of one, such as "):
        explain(tmp_path / "a", [0])
    nolog = make_run(tmp_path / "nolog", operations=CONVOY, events="none")
    with pytest.raises(
        UsageError, match=r"has no log.*replay it again with '--events full'.*pipeline replay"
    ):
        explain(nolog, [0])
    with pytest.raises(InputError, match="expected a run directory"):
        explain(tmp_path / "nowhere", [0])


def test_the_slowest_come_first(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", operations=CONVOY, event_rows=FLUSH)
    assert [explained.op for explained in explain(run, slowest_of=3)] == [3, 4, 0]


def test_earlier_claims_win_and_the_rest_is_said() -> None:
    parts = divide(
        0, 100, [Stretch("lock_hold", 10, 20), Stretch("asleep", 25, 35), Stretch("switch", 90, 40)]
    )
    assert [(p.what, p.begin_ns, p.ns) for p in parts] == [
        ("rest", 0, 10), ("lock_hold", 10, 20), ("asleep", 30, 30), ("rest", 60, 30), ("switch", 90, 10),
    ]  # fmt: skip


def test_json_has_the_figures_and_the_sentences(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", operations=CONVOY, event_rows=FLUSH)
    command = [Path(sys.executable).with_name("pipeline"), "explain", run, "--op", "4", "--format", "json"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    (found,) = json.loads(printed)
    wait = found["phases"][0]["stretches"][0]["detail"]
    assert sum(b["ns"] for b in wait["behind"]) == wait["ns"] == 212_000
    assert found["sentences"][0].startswith("operation 4: copy_to_user")


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run with contention, flushes, sleeps, relocks and nested operations."""
    directory = tmp_path_factory.mktemp("replayed")
    command = str(Path(sys.executable).with_name("pipeline"))
    for words in (
        f"{command} generate kernel_build -o build.parquet --ops 500",
        f"{command} replay build.parquet -a global_pool --set slots=8 -m numaq16 -o runs",
    ):
        subprocess.run(words, shell=True, cwd=directory, check=True, capture_output=True)
    (run,) = (directory / "runs").iterdir()
    return run


def test_of_every_operation_of_a_replay_the_parts_add_up_exactly(replayed: Path) -> None:
    with open_session([replayed]) as session:
        rows = {row["op"]: row for row in session.query("FROM operations").to_dicts()}
    contended = slept = nested = 0
    for explained in explain(replayed, sorted(rows)):
        assert isinstance(explained, Explanation)
        row = rows[explained.op]
        bounds = [row[name] for name in ("asked_ns", "mapped_ns", "unmap_asked_ns", "done_ns")]
        for phase, begin, end in zip(explained.phases, bounds, bounds[1:], strict=False):
            assert phase.ns == end - begin == sum(stretch.ns for stretch in phase.stretches)
            assert all(stretch.ns > 0 for stretch in phase.stretches)
        waits = [s for p in explained.phases for s in p.stretches if isinstance(s.detail, LockWait)]
        for stretch in waits:
            wait = stretch.detail
            assert stretch.ns == wait.ns == sum(b.ns for b in wait.behind) + wait.unheld_ns
            assert wait.untold_ns == 0
        slept += any(s.what == "asleep" for s in explained.phases[0].stretches)
        contended += len(waits)
        nested += explained.within is not None
        if row["holder"] is not None:
            longest = max((b for s in waits for b in s.detail.behind), key=lambda b: b.ns, default=None)
            # Of equally long holds the simulator notes the first in time.
            tied = {b.task for s in waits for b in s.detail.behind if longest and b.ns == longest.ns}
            assert row["holder"] in tied, explained.op
            if row["flush_op"] is not None:
                assert row["flush_op"] in {b.op for s in waits for b in s.detail.behind if b.flush_ns}
    assert (contended > 300, slept > 10, nested > 1) == (True, True, True)
