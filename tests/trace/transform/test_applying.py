"""Steps in order, what the new trace says of them, and the mistakes one can make."""

from __future__ import annotations

import pytest

from pipeline.errors import InputError, UsageError
from pipeline.io.files import sha256_of
from pipeline.trace.reader import open_trace
from pipeline.trace.transform.apply import transform
from tests.trace.small import write_damaged
from tests.trace.transform.made import read, same, transformed, write_random


def test_steps_are_applied_in_order_and_written_down(tmp_path) -> None:
    path = write_random(tmp_path / "t.parquet", 4)
    _, result = transformed(path, "window=0s..2us", "replicate=2,share=1,over=5us")
    steps = result.metadata.transformations
    assert [step.step for step in steps] == ["window=0ns..2us", "replicate=2,share=1,over=5us,seed=0"]
    assert [step.operations_before for step in steps] == list(result.operations[:2])
    assert {step.source_sha256 for step in steps} == {sha256_of(path)}
    one_by_one, _ = transformed(path, "window=0s..2us", name="a.parquet")
    one_by_one, second = transformed(
        path.with_name("a.parquet"), "replicate=2,share=1,over=5us", name="b.parquet"
    )
    same(one_by_one, read(result.output))
    assert second.metadata.transformations[1].source_sha256 == sha256_of(path.with_name("a.parquet"))


def test_what_is_written_down_can_be_done_again(tmp_path) -> None:
    path = write_random(tmp_path / "t.parquet", 8)
    first, result = transformed(path, "sample=0.7,seed=3", "stretch=1.5,hold=0.1", "highmem=0.8")
    again, _ = transformed(path, *result.steps, name="again.parquet")
    same(again, first)


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("windw=1s..2s", "did you mean 'window'"),
        ("window=5s", "expected an interval such as"),
        ("window=2s..1s", "with its end after its begin"),
        ("window=1..2", "a duration with its unit"),
        ("window=100s..", "no operation of .* begins in this window"),
        ("tasks=0-200", "expected task 200, found 0 to"),
        ("tasks=3-1", "expected numbers below"),
        ("sample=1.5", "expected a number from 0 to 1"),
        ("sample=0.5,off=tasks", "did you mean 'of'"),
        ("replicate=0", "expected a whole number from 1"),
        ("replicate=100000000", "more than the .* that a trace can have"),
        ("stretch=-1", "expected a number from 0"),
        ("stretch=1000000,wait=1000000,hold=1000000", "longer than the maximum of 19.5 hours"),
        ("stretch=2,hold", "KEY=VALUE"),
        ("highmem=0", "use a larger share"),
        ("append=nowhere.parquet", "found no such file"),
    ],
)
def test_a_mistake_says_what_was_wanted_and_leaves_nothing(tmp_path, step, said) -> None:
    path = write_random(tmp_path / "t.parquet", 2)
    factor = "stretch=1000000,hold=1000000,block=1000000"
    steps = [factor, step] if said.startswith("longer") else [step]
    with pytest.raises((UsageError, InputError), match=said):
        transform(path, tmp_path / "new.parquet", steps)
    assert [file.name for file in tmp_path.iterdir()] == ["t.parquet"]


def test_a_trace_is_not_written_over_itself(tmp_path) -> None:
    path = write_random(tmp_path / "t.parquet", 2)
    with pytest.raises(UsageError, match="this is the original trace"):
        transform(path, path, ["stretch=2"])
    assert open_trace(path).metadata.transformations == []


@pytest.mark.parametrize("step", ["window=0..", "tasks=0", "stretch=2", "highmem=0.5"])
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ({"task": [0, 1, 0, 0, 1 << 17]}, "column task contains 131,072"),
        ({"process": [0, 0, 0, 0, -1]}, "column process contains -1"),
        ({"page": [7, 3, 2, 7, 1 << 31]}, "column page contains 2,147,483,648"),
        ({"hold_ns": [100, 50, -20, 9, 5]}, "column hold_ns contains -20"),
        ({"time_ns": [0, 10, 40, 200, 100]}, "rows 0 to 4 are not in order of time_ns"),
        ({"depth": [0, 0, 16, 0, 0]}, "column depth contains 16"),
    ],
)
def test_a_trace_with_damaged_rows_is_refused(tmp_path, step, damage, said) -> None:
    path = write_damaged(tmp_path / "t.parquet", **damage)
    with pytest.raises(InputError, match=said):
        transform(path, tmp_path / "new.parquet", [step])
    assert list(tmp_path.iterdir()) == [path]
