import hashlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from pipeline.errors import InputError, UsageError
from pipeline.workload.draws import Drawer
from pipeline.workload.stream import RowStream
from tests.workload.specs import SPEC, named, outermost, rows


def test_the_batch_size_does_not_change_the_rows(tmp_path: Path) -> None:
    workload = named(tmp_path)
    large = rows(workload, 5_000, batch_rows=1 << 16)
    for batch_rows in (1, 100, 1 << 10):
        assert rows(workload, 5_000, batch_rows=batch_rows).equals(large)


def test_the_batch_size_does_not_change_the_rows_when_many_begin_at_the_same_time(tmp_path: Path) -> None:
    text = SPEC.replace("tasks = 7", "tasks = 300").replace("high_ns = 50_000", "high_ns = 2")
    for long, short in [
        ("5_000", "3"),
        ("1_000 }", "2 }"),
        ("20_000", "5"),
        ("9_000", "7"),
        ("= 800", "= 2"),
    ]:
        text = text.replace(long, short)
    large = rows(named(tmp_path, text), 20_000, batch_rows=1 << 16)
    assert large["time_ns"].n_unique() < 2_000
    assert rows(named(tmp_path, text), 20_000, batch_rows=200).equals(large)


def test_the_same_seed_gives_the_same_rows_and_another_seed_others(tmp_path: Path) -> None:
    workload = named(tmp_path)
    assert rows(workload, 1_000).equals(rows(workload, 1_000))
    assert not rows(workload, 1_000).equals(rows(workload, 1_000, seed=1))


def test_a_seed_means_the_same_rows_for_ever(tmp_path: Path) -> None:
    table = rows(named(tmp_path), 5_000)
    numbers = table.drop("kind").cast(pl.Int64).to_numpy().astype("<i8")
    assert hashlib.sha256(np.ascontiguousarray(numbers).tobytes()).hexdigest()[:16] == "ac00bf7144abe2f2"


def test_rows_are_sorted_by_time_and_the_first_begins_at_0(tmp_path: Path) -> None:
    table = rows(named(tmp_path), 5_000)
    assert table["time_ns"].is_sorted()
    assert table["time_ns"][0] == 0


def test_an_operation_begins_when_its_task_has_ended_the_last_thought_and_waited(tmp_path: Path) -> None:
    top = outermost(rows(named(tmp_path), 5_000))
    begin = top["previous_end_ns"] + top["think_ns"] + top["wait_ns"]
    assert (begin == top["time_ns"]).all()


def test_nested_operations_lie_inside_their_parent_and_are_counted_in_it(tmp_path: Path) -> None:
    table = rows(named(tmp_path), 5_000).sort("task", "row")
    previous = table.select(pl.all().shift(1).over("task").name.prefix("parent_"))
    inner = pl.concat([table, previous], how="horizontal").filter(pl.col("depth") == 1)
    assert len(inner) > 300
    assert (inner["parent_depth"] == 0).all()
    assert (inner["kind"] == "page_fault").all()
    assert (inner["time_ns"] == inner["parent_time_ns"] + inner["think_ns"] + inner["wait_ns"]).all()
    assert (inner["parent_hold_ns"] > inner["think_ns"] + inner["hold_ns"]).all()
    end = inner["time_ns"] + inner["hold_ns"] + inner["block_ns"]
    assert (end < inner["parent_time_ns"] + inner["parent_hold_ns"] + inner["parent_block_ns"]).all()
    assert (inner["parent_block_ns"] >= inner["block_ns"]).all()


def test_operations_nest_three_deep(tmp_path: Path) -> None:
    text = SPEC.replace("nested = { page_fault = 0.2 }", "nested = { directory = 0.5 }").replace(
        "[kinds.copy_to_user]",
        """nested = { other = 0.3 }
        [kinds.directory]
        share = 0.0
        page_set = "cache"
        think = { dist = "constant", ns = 1 }
        hold = { dist = "constant", ns = 0 }
        block = { probability = 0.5, time = { dist = "constant", ns = 77 } }
        nested = { page_fault = 0.9 }
        [kinds.other]
        share = 0.0
        page_set = "cache"
        think = { dist = "constant", ns = 1 }
        hold = { dist = "constant", ns = 400 }
        [kinds.copy_to_user]""",
    )
    table = rows(named(tmp_path, text), 20_000, batch_rows=500)
    assert table.equals(rows(named(tmp_path, text), 20_000, batch_rows=1 << 14))
    open_until: dict[tuple[int, int], int] = {}
    for row in table.iter_rows(named=True):
        end = row["time_ns"] + row["hold_ns"] + row["block_ns"]
        if row["depth"]:
            assert row["time_ns"] <= end < open_until[row["task"], row["depth"] - 1]
        open_until[row["task"], row["depth"]] = end
    depths = table["depth"].value_counts()
    assert set(depths["depth"]) == {0, 1, 2, 3}


def test_shares_chances_and_sizes_come_out_as_the_spec_says(tmp_path: Path) -> None:
    table = rows(named(tmp_path), 100_000, batch_rows=1 << 15)
    top = table.filter(pl.col("depth") == 0)
    copies = top.filter(pl.col("kind") == "copy_to_user")
    inner = table.filter(pl.col("depth") == 1)
    # 5 standard deviations of a share of 60,000 or more are at most 0.0102
    assert len(copies) / len(top) == pytest.approx(0.75, abs=0.01)
    assert (copies["wait_ns"] > 0).mean() == pytest.approx(0.3, abs=0.01)
    assert len(inner) / len(copies) == pytest.approx(0.2, abs=0.01)
    assert (copies["block_ns"] > 0).mean() == pytest.approx(0.1, abs=0.01)
    assert (copies["bytes"] == 4096).mean() == pytest.approx(0.75, abs=0.01)
    assert set(table.filter(pl.col("kind") == "page_fault")["bytes"]) == {-1}
    assert set(table.filter(pl.col("kind") == "copy_to_user")["bytes"]) == {512, 4096}


def test_changing_one_parameter_leaves_all_other_draws_as_they_were(tmp_path: Path) -> None:
    tasks = np.arange(7, dtype=np.int32)
    zero = np.zeros(7, np.int64)
    base, _, _ = Drawer(named(tmp_path), 3).draw(tasks, 4, zero)
    for old, new, changed in [
        ("median_ns = 800", "median_ns = 80_000", {"hold_ns"}),
        ("ns = 9_000", "ns = 90", {"block_ns"}),
        ("probability = 0.3", "probability = 0.6", {"wait_ns"}),
        ("skew = 1.0", "skew = 0.5", {"page"}),
        ("weights = [1, 3]", "weights = [3, 1]", {"bytes"}),
    ]:
        other, _, _ = Drawer(named(tmp_path, SPEC.replace(old, new)), 3).draw(tasks, 4, zero)
        top = base["depth"] == 0
        assert (top == (other["depth"] == 0)).all()
        names = {"kind", "page", "bytes", "think_ns", "wait_ns", "hold_ns", "block_ns"}
        differ = {name for name in names if (base[name] != other[name])[top].any()}
        assert differ == changed


def test_page_sets_are_shared_as_the_spec_says_and_lie_one_after_another(tmp_path: Path) -> None:
    table = rows(named(tmp_path), 20_000)
    copies = table.filter(pl.col("kind") == "copy_to_user")
    faults = table.filter(pl.col("kind") == "page_fault")
    assert set(copies["page"]) == set(range(100))
    assert set(faults["page"]) == set(range(100, 140))
    per_process = faults.group_by("process").agg(
        first=pl.col("page").min(), last=pl.col("page").max(), tasks=pl.col("task").n_unique()
    )
    assert len(per_process) == 4
    assert (per_process["last"] - per_process["first"] == 9).all()
    assert sorted(per_process["tasks"]) == [1, 2, 2, 2]


def test_tasks_and_processes_are_numbered_in_order_of_their_first_row(tmp_path: Path) -> None:
    table = rows(named(tmp_path), 2_000)
    for column in ("task", "process"):
        in_order = table[column].unique(maintain_order=True).to_list()
        assert in_order == list(range(len(in_order)))


def test_bursts_add_idle_time_before_one_operation_in_so_many(tmp_path: Path) -> None:
    text = SPEC + '[bursts]\nmean_operations = 20.0\nidle = { dist = "constant", ns = 10_000_000 }\n'
    top = outermost(rows(named(tmp_path, text), 50_000))
    assert (top["wait_ns"] >= 10_000_000).mean() == pytest.approx(0.05, abs=0.005)


def test_kinds_come_in_runs_of_the_mean_length_and_keep_their_shares(tmp_path: Path) -> None:
    text = SPEC + "[kind_runs]\nmean_operations = 20.0\n"
    top = outermost(rows(named(tmp_path, text), 200_000))
    assert (top["kind"] == "copy_to_user").mean() == pytest.approx(0.75, abs=0.02)
    changes = top.sort("task", "time_ns").select(
        (pl.col("kind").cast(pl.String) != pl.col("kind").cast(pl.String).shift().over("task")).mean()
    )
    # Two kinds: one draw in 20 operations, which changes the kind with probability 2 * 0.75 * 0.25.
    assert changes.item() == pytest.approx(0.375 / 20, rel=0.1)
    alike = rows(named(tmp_path, text), 5_000, batch_rows=100)
    assert alike.equals(rows(named(tmp_path, text), 5_000))


def test_long_lived_operations_and_tasks_hold_for_as_long_as_said(tmp_path: Path) -> None:
    where = "[kinds.copy_to_user]\nshare = 0.75"
    line = 'long_lived = {{ of = "{}", share = 0.3, block = {{ dist = "constant", ns = 123_456 }} }}\n'
    by_row = SPEC.replace("nested =", line.format("operations") + "nested =")
    copies = outermost(rows(named(tmp_path, by_row), 20_000)).filter(pl.col("kind") == "copy_to_user")
    assert where in by_row
    assert (copies["block_ns"] == 123_456).mean() == pytest.approx(0.3, abs=0.02)

    by_task = SPEC.replace("nested = { page_fault = 0.2 }", line.format("tasks")).replace(
        "tasks = 7", "tasks = 400"
    )
    copies = rows(named(tmp_path, by_task), 40_000).filter(pl.col("kind") == "copy_to_user")
    long_share = copies.group_by("task").agg((pl.col("block_ns") == 123_456).mean().alias("long"))["long"]
    assert set(long_share) == {0.0, 1.0}
    assert long_share.mean() == pytest.approx(0.3, abs=0.12)


@pytest.mark.parametrize("batch_rows", [64, 1 << 10, 1 << 13])
def test_the_carry_stays_bounded_when_some_tasks_are_a_thousand_times_slower(
    tmp_path: Path, batch_rows: int
) -> None:
    slow = 'long_lived = { of = "tasks", share = 0.5, hold = { dist = "constant", ns = 20_000_000 } }\n'
    text = SPEC.replace("nested = { page_fault = 0.2 }", slow).replace("tasks = 7", "tasks = 60")
    stream = RowStream(Drawer(named(tmp_path, text), 0), batch_rows=batch_rows)
    emitted = 0
    for columns in stream.batches():
        emitted += len(columns["time_ns"])
        assert stream.carried <= max(4 * batch_rows, 16 * 60)
        if emitted > 60_000:
            break


def test_a_workload_that_outlasts_the_format_says_after_how_many_operations(tmp_path: Path) -> None:
    text = SPEC.replace("mean_ns = 20_000", "mean_ns = 3_600_000_000_000")
    stream = RowStream(Drawer(named(tmp_path, text), 0))
    with pytest.raises(UsageError, match=r"19\.5 hours, after \d+ operations"):
        for columns in stream.batches():
            assert columns["time_ns"][-1] < 1 << 46


def test_a_workload_that_takes_no_time_is_refused(tmp_path: Path) -> None:
    text = """
    description = "nothing"
    tasks = 1
    operations = 1
    [page_sets.p]
    pages = 1
    [kinds.other]
    share = 1.0
    page_set = "p"
    think = { dist = "constant", ns = 0 }
    hold = { dist = "constant", ns = 0 }
    """
    with pytest.raises(InputError, match="must be at least 1"):
        Drawer(named(tmp_path, text), 0)
