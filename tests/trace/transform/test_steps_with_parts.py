"""Each step on traces in which mappings have several pages and rows of their own for map and unmap.

`transformed` asserts that the result has no error, such as an unmap before its map.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pipeline.errors import UsageError
from pipeline.schema.codes import PART_MAP, PART_UNMAP
from pipeline.schema.trace import BY_NAME, OPTIONAL_NAMES
from pipeline.trace.doctor import doctor
from pipeline.trace.prefix import write_prefix
from pipeline.trace.reader import open_trace
from pipeline.trace.transform.step import Columns, draw
from tests.trace.transform.made import outermost_cpu_ns, read, same, transformed, write, write_random
from tests.trace.transform.test_steps import IDENTITIES, SEEDS


@pytest.fixture(scope="module")
def random_trace(tmp_path_factory):
    directory = tmp_path_factory.mktemp("random")
    return lambda seed: write_random(directory / "t.parquet", seed, parts=True)


def pairs(columns: Columns) -> dict[int, list[int]]:
    """The parts of each mapping."""
    found: dict[int, list[int]] = {}
    for mapping, part in zip(columns["mapping"].tolist(), columns["part"].tolist(), strict=True):
        if part:
            found.setdefault(mapping, []).append(part)
    return found


def expected_pairs(columns: Columns, selected: np.ndarray, open_end: bool) -> dict[int, list[int]]:
    """The parts of each mapping of a selection."""
    before = pairs(columns)
    after = pairs({name: values[selected] for name, values in columns.items()})
    return {
        mapping: parts
        for mapping, parts in after.items()
        if parts == before[mapping] or (open_end and parts == [PART_MAP])
    }


@settings(max_examples=12, deadline=None)
@given(seed=SEEDS, step=st.sampled_from(IDENTITIES))
def test_a_step_that_changes_nothing_changes_nothing(random_trace, seed, step) -> None:
    before = read(random_trace(seed))
    step = step.format(tasks=before["task"].max(), processes=before["process"].max())
    after, result = transformed(random_trace(seed), step)
    same(after, before)
    assert set(result.metadata.columns.values()) == {"measured"}


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, factors=st.sampled_from(["7,wait=0", "0.1,wait=9", "1,hold=20", "0", "3,block=0.5"]))
def test_a_stretched_unmap_stays_behind_its_map(random_trace, seed, factors) -> None:
    before = read(random_trace(seed))
    after, _ = transformed(random_trace(seed), f"stretch={factors}")
    assert pairs(after) == pairs(before)
    assert after["hold_ns"][after["part"] == PART_UNMAP].sum() == 0


@settings(max_examples=8, deadline=None)
@given(seed=SEEDS, copies=st.integers(2, 4))
def test_copies_have_mappings_of_their_own(random_trace, seed, copies) -> None:
    before = read(random_trace(seed))
    after, _ = transformed(random_trace(seed), f"replicate={copies}")
    assert len(pairs(after)) == copies * len(pairs(before))
    assert sorted(map(tuple, pairs(after).values())) == sorted(
        copies * list(map(tuple, pairs(before).values()))
    )
    mine = after["task"] > before["task"].max()
    assert after["page"][mine].min(initial=1 << 30) > (before["page"] + before["pages"] - 1).max()


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, column=st.sampled_from(["task", "process"]))
def test_selected_tasks_keep_the_mappings_that_they_unmap_themselves(random_trace, seed, column) -> None:
    before = read(random_trace(seed))
    plural = {"task": "tasks", "process": "processes"}[column]
    selected = before[column] == 0
    expected = expected_pairs(before, selected, open_end=False)
    kept = selected & ((before["part"] == 0) | np.isin(before["mapping"], list(expected)))
    assume((kept & (before["depth"] == 0)).any())
    after, result = transformed(random_trace(seed), f"{plural}=0")
    assert pairs(after) == expected
    dropped = int(selected.sum() - kept.sum())
    assert len(after["task"]) == kept.sum()
    assert any(f"{dropped} rows were dropped" in note for note in result.metadata.notes) == (dropped > 0)
    assert result.metadata.columns["think_ns"] == ("derived" if dropped else "measured")
    assert outermost_cpu_ns(after) <= outermost_cpu_ns({n: v[selected] for n, v in before.items()})


def test_the_time_of_dropped_rows_is_kept(tmp_path) -> None:
    # Task 0 maps what task 1 unmaps, and then a page as a whole.
    columns = dict.fromkeys(BY_NAME, np.zeros(3, np.int64)) | {
        "time_ns": np.array([10, 50, 60]), "task": np.array([0, 0, 1]), "bytes": np.full(3, -1),
        "think_ns": np.array([10, 5, 60]), "wait_ns": np.array([0, 8, 0]), "hold_ns": np.array([20, 7, 0]),
        "block_ns": np.array([3, 0, 0]), "pages": np.full(3, 4), "part": np.array([PART_MAP, 0, PART_UNMAP]),
        "mapping": np.array([0, -1, 0]),
    }  # fmt: skip
    path = write(tmp_path / "t.parquet", columns, columns=dict.fromkeys(BY_NAME, "measured"))
    after, result = transformed(path, "tasks=0")
    assert [after[name].tolist() for name in ("think_ns", "wait_ns", "hold_ns")] == [[35], [11], [7]]
    assert "1 rows were dropped" in result.metadata.notes[-1]
    with pytest.raises(UsageError, match="expected rows"):
        transformed(path, "tasks=1")


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, begin=st.integers(0, 3000), length=st.integers(1, 5000))
def test_a_window_drops_unmaps_of_earlier_mappings(random_trace, seed, begin, length) -> None:
    path = random_trace(seed)
    before = read(path)
    outermost = before["depth"] == 0
    inside = outermost & (before["time_ns"] >= begin) & (before["time_ns"] < begin + length)
    expected = expected_pairs(before, inside, open_end=True)
    kept = inside & ((before["part"] == 0) | np.isin(before["mapping"], list(expected)))
    window = f"window={begin}ns..{begin + length}ns"
    if not kept.any():
        with pytest.raises(UsageError, match="no operation"):
            transformed(path, window)
        return
    after, _ = transformed(path, window)
    assert pairs(after) == expected
    np.testing.assert_array_equal(after["hold_ns"][after["depth"] == 0], before["hold_ns"][kept])
    assert after["time_ns"][0] == 0


@settings(max_examples=8, deadline=None)
@given(seed=SEEDS)
def test_both_rows_of_a_mapping_stay_in_highmem_or_leave_it(random_trace, seed) -> None:
    before = read(random_trace(seed))
    keep = draw(before["page"], 0.5, 0)
    assume(keep.any())
    after, _ = transformed(random_trace(seed), "highmem=0.5")
    assert pairs(after) == pairs({name: values[keep] for name, values in before.items()})


def test_traces_with_and_without_parts_can_be_appended_to_each_other(tmp_path) -> None:
    parts = write_random(tmp_path / "parts.parquet", 3, parts=True)
    whole = write_random(tmp_path / "whole.parquet", 4)
    with_parts, without = read(parts), read(whole)
    rows, pages = len(with_parts["task"]), doctor(parts).pages
    after, result = transformed(parts, f"append={whole}")
    assert [after[name][rows:].tolist() for name in OPTIONAL_NAMES] == [
        [null] * len(without["task"]) for null in (1, 0, -1)
    ]
    np.testing.assert_array_equal(after["page"][rows:], without["page"] + pages)
    assert result.metadata.format_version == 2
    after, _ = transformed(whole, f"append={parts}")
    np.testing.assert_array_equal(after["mapping"][-rows:], with_parts["mapping"])
    after, result = transformed(parts, f"append={parts}")
    assert len(pairs(after)) == 2 * len(pairs(with_parts))
    assert set(result.metadata.columns) == set(BY_NAME)


def test_a_prefix_of_a_trace_with_parts_is_a_trace(tmp_path) -> None:
    trace = open_trace(write_random(tmp_path / "t.parquet", 3, parts=True))
    for rows in (1, 7, trace.rows):
        write_prefix(trace, rows, tmp_path / "p.parquet", "shortened")
        assert doctor(tmp_path / "p.parquet").usable
        assert len(read(tmp_path / "p.parquet")["part"]) == rows
