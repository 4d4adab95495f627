"""Each step on traces made at random: what it must keep and what it must change."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.schema.trace import COLUMN_NAMES
from pipeline.trace.losses import describe_losses
from tests.trace.transform.made import outermost_cpu_ns, read, same, transformed, write, write_random

SEEDS = st.integers(0, 10_000)
IDENTITIES = (
    "window=0..", "stretch=1", "replicate=1", "sample=1", "highmem=1", "tasks=0-{tasks}",
    "processes=0-{processes}",
)  # fmt: skip


@pytest.fixture(scope="module")
def random_trace(tmp_path_factory):
    directory = tmp_path_factory.mktemp("random")
    return lambda seed: write_random(directory / "t.parquet", seed)


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, step=st.sampled_from(IDENTITIES))
def test_a_step_that_changes_nothing_changes_nothing(random_trace, seed, step) -> None:
    before = read(random_trace(seed))
    step = step.format(tasks=before["task"].max(), processes=before["process"].max())
    after, result = transformed(random_trace(seed), step)
    same(after, before)
    assert set(result.metadata.columns.values()) == {"measured"}


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS)
def test_a_stretch_is_undone_by_its_inverse(random_trace, seed) -> None:
    path = random_trace(seed)
    there, back = "stretch=2,wait=5,hold=4,block=4", "stretch=0.5,wait=0.2,hold=0.25,block=0.25"
    after, result = transformed(path, there, back)
    same(after, read(path))
    assert result.metadata.columns["think_ns"] == "derived"
    assert result.metadata.columns["page"] == "measured"


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS)
def test_stretching_everything_alike_stretches_each_duration_and_the_time_between_begins(
    random_trace, seed
) -> None:
    path = random_trace(seed)
    before = read(path)
    after, _ = transformed(path, "stretch=3,hold=3,block=3")
    for name in ("think_ns", "wait_ns", "hold_ns", "block_ns"):
        assert after[name].sum() == 3 * before[name].sum()
    assert (np.diff(after["time_ns"]) >= 0).all()
    assert after["time_ns"][-1] <= 3 * before["time_ns"][-1]


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, copies=st.integers(2, 5))
def test_copies_have_the_same_operations_on_pages_of_their_own(random_trace, seed, copies) -> None:
    path = random_trace(seed)
    before = read(path)
    after, result = transformed(path, f"replicate={copies}")
    assert len(after["task"]) == copies * len(before["task"])
    assert outermost_cpu_ns(after) == copies * outermost_cpu_ns(before)
    tasks = before["task"].max() + 1
    pages = [set(after["page"][after["task"] // tasks == copy].tolist()) for copy in range(copies)]
    assert all(len(found) == len(set(before["page"].tolist())) for found in pages)
    assert len(set.union(*pages)) == sum(map(len, pages))
    for copy in range(copies):
        mine = after["task"] // tasks == copy
        for name in ("kind", "bytes", "think_ns", "wait_ns", "hold_ns", "block_ns", "depth"):
            np.testing.assert_array_equal(after[name][mine], before[name], name)
        assert len(set(np.diff(after["time_ns"][mine]) - np.diff(before["time_ns"]))) <= 1
    assert (result.metadata.cpus, result.metadata.lost_events) == (4 * copies, 2 * copies)


def test_shared_pages_are_the_same_in_all_copies_and_others_are_not(random_trace) -> None:
    path = random_trace(3)
    before = read(path)
    pages = len(set(before["page"].tolist()))
    counted = {}
    for share in (0, 0.5, 1):
        after, _ = transformed(path, f"replicate=3,share={share}")
        counted[share] = len(set(after["page"].tolist()))
    assert (counted[0], counted[1]) == (3 * pages, pages)
    assert pages < counted[0.5] < 3 * pages


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, share=st.sampled_from((0.3, 0.6, 0.9)))
def test_time_of_operations_that_need_no_mapping_is_not_lost(random_trace, seed, share) -> None:
    path = random_trace(seed)
    before = read(path)
    if not kept_by(before, share):
        return
    after, result = transformed(path, f"highmem={share}")
    said = re.search(r"; ([\d.]+) s of their CPU time", " ".join(result.metadata.notes))
    after_the_last_ns = round(float(said[1]) * 1e9) if said else 0
    # the note has microseconds
    assert abs(outermost_cpu_ns(after) + after_the_last_ns - outermost_cpu_ns(before)) <= 500
    assert len(after["task"]) == kept_by(before, share)


def kept_by(columns, share) -> int:
    """Operations whose page stays in highmem."""
    from pipeline.trace.transform.step import draw

    return int(draw(columns["page"], share, 0).sum())


def test_a_nested_operation_takes_the_place_of_one_that_needs_no_mapping(tmp_path) -> None:
    # Page 1 stays in highmem under seed 3, page 0 does not.
    columns = {
        "time_ns": [0, 60, 200], "task": [0, 0, 0], "process": [0, 0, 0], "cpu": [0, 0, 0], "kind": [1, 0, 0],
        "page": [0, 1, 1], "bytes": [-1, -1, -1], "think_ns": [0, 40, 30], "wait_ns": [0, 20, 0],
        "hold_ns": [100, 25, 10], "block_ns": [50, 5, 0], "depth": [0, 1, 0],
    }  # fmt: skip
    path = write(tmp_path / "t.parquet", {name: np.array(values) for name, values in columns.items()})
    after, result = transformed(path, "highmem=0.5,seed=3")
    assert after["page"].tolist() == [1, 1]
    assert after["depth"].tolist() == [0, 0]
    # 100 of the outer one less 40 + 25 nested: 35 come before the next operation's own 30.
    assert after["think_ns"].tolist() == [40, 65]
    assert after["wait_ns"].tolist() == [20, 25]
    assert result.metadata.columns["think_ns"] == "derived"


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, begin=st.integers(0, 3000), length=st.integers(1, 5000))
def test_a_window_has_whole_operations_and_what_is_nested_in_them(random_trace, seed, begin, length) -> None:
    path = random_trace(seed)
    before = read(path)
    outermost = before["depth"] == 0
    inside = outermost & (before["time_ns"] >= begin) & (before["time_ns"] < begin + length)
    if not inside.any():
        return
    after, _ = transformed(path, f"window={begin}ns..{begin + length}ns")
    assert (after["depth"] == 0).sum() == inside.sum()
    np.testing.assert_array_equal(after["hold_ns"][after["depth"] == 0], before["hold_ns"][inside])
    assert after["time_ns"][0] == 0


def test_a_trace_appended_to_itself_continues_its_tasks_or_brings_others(random_trace) -> None:
    path = random_trace(5)
    before = read(path)
    rows, tasks = len(before["task"]), int(before["task"].max()) + 1
    end = int((before["time_ns"] + before["hold_ns"] + before["block_ns"]).max())
    for tasks_are, pages_are, offset in (("same", "same", 0), ("fresh", "fresh", tasks)):
        after, result = transformed(path, f"append={path},tasks={tasks_are},pages={pages_are},gap=10ns")
        np.testing.assert_array_equal(after["task"][rows:], before["task"] + offset)
        np.testing.assert_array_equal(after["time_ns"][rows:], before["time_ns"] + end + 10)
        assert result.metadata.lost_events == 4


def test_what_two_joined_traces_lack_adds_up_and_each_copy_of_one_lacks_it(random_trace, tmp_path) -> None:
    path = random_trace(5)
    ours, theirs = {"cut_by_end": 2, "gaps": 1}, {"cut_by_end": 3}
    mine = write(tmp_path / "mine.parquet", read(path), losses=ours, notes=["lacking: old words"])
    other = write(tmp_path / "other.parquet", read(path), losses=theirs)
    for step, losses in (
        (f"append={other}", {"cut_by_end": 5, "gaps": 1}),
        ("replicate=3", {"cut_by_end": 6, "gaps": 3}),
        ("window=0ns..1us", ours),
    ):
        metadata = transformed(mine, step)[1].metadata
        assert metadata.losses == losses
        lacking = [note for note in metadata.notes if note.startswith("lacking: ")]
        assert lacking == [f"lacking: {said}" for said in describe_losses(losses)]


def test_provenance_of_two_joined_traces_is_the_weaker_one(random_trace, tmp_path) -> None:
    path = random_trace(5)
    described = dict.fromkeys(COLUMN_NAMES, "measured") | {"think_ns": "assumed"}
    other = write(tmp_path / "other.parquet", read(path), columns=described)
    _, result = transformed(path, f"append={other}")
    assert result.metadata.columns["think_ns"] == "assumed"
    assert any("weaker one: think_ns" in note for note in result.metadata.notes)


def test_sampled_processes_keep_all_their_tasks(random_trace) -> None:
    path = random_trace(1)
    before = read(path)
    after, _ = transformed(path, "sample=0.4,of=processes")
    counts = {int((before["process"] == p).sum()) for p in set(before["process"].tolist())}
    assert len(after["task"]) in counts
