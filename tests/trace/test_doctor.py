from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from pipeline.cli.doctor import doctor as doctor_command
from pipeline.errors import InputError
from pipeline.io.numbers import format_duration
from pipeline.schema.trace import MAX_TIME_NS, ROW_GROUP_ROWS
from pipeline.trace.check import TraceCheck
from pipeline.trace.doctor import doctor
from pipeline.trace.scan import Scan, _bucket, bucket_floor
from tests.trace.small import GOOD, as_arrays, write_damaged, write_good, writer


def changed(column: str, row: int, value: object) -> dict[str, list]:
    values = list(GOOD[column])
    values[row] = value
    return {column: values}


def test_a_good_trace_has_no_problem_and_is_described(tmp_path) -> None:
    found = doctor(write_good(tmp_path / "t.parquet"))
    assert found.problems == []
    assert found.usable
    assert (found.operations, found.tasks, found.processes, found.pages) == (5, 2, 1, 8)
    assert found.span_ns == 305
    assert found.max_depth == 1
    assert found.kinds["page_fault"] == 2
    assert found.quantiles_ns["hold_ns"] == {"0.5": 20, "0.9": 100, "0.99": 100, "1.0": 100}
    # Page 7 comes again after 3 operations and page 3 too.
    assert found.reuse is not None
    assert (found.reuse.share, found.reuse.median_distance) == (0.4, 3)


@pytest.mark.parametrize(
    ("code", "row", "severity", "damage"),
    [
        ("time_order", 4, "error", changed("time_ns", 4, 150)),
        ("negative_time", 1, "error", changed("wait_ns", 1, -5)),
        ("absurd_time", 3, "error", changed("think_ns", 3, MAX_TIME_NS + 1)),
        ("unknown_kind", 2, "error", changed("kind", 2, "fork")),
        ("unknown_kind", 0, "error", changed("kind", 0, None)),
        ("task_range", 4, "error", changed("task", 4, -1)),
        ("task_range", 4, "error", changed("task", 4, 1 << 17)),
        ("process_range", 0, "error", changed("process", 0, 1 << 17)),
        ("process_changes", 3, "error", changed("process", 3, 1)),
        ("page_range", 1, "error", changed("page", 1, -2)),
        ("page_range", 1, "error", changed("page", 1, 1 << 31)),
        ("depth_range", 2, "error", changed("depth", 2, 16)),
        ("depth_jump", 2, "error", changed("depth", 2, 2)),
        ("depth_jump", 0, "error", changed("depth", 0, 1)),
        ("nested_before_parent", 2, "error", {"time_ns": [20, 30, 10, 200, 300]}),
        ("nested_uses_more", 2, "error", changed("hold_ns", 2, 61)),
        ("nested_uses_more", 2, "error", changed("block_ns", 2, 1)),
        ("nested_after_parent", 2, "warning", {"time_ns": [0, 10, 101, 200, 300]}),
        ("overlap", 3, "warning", changed("hold_ns", 0, 201)),
        ("overlap", 4, "warning", changed("block_ns", 1, 241)),
        ("null_page", 1, "error", changed("page", 1, None)),
        ("null_time_ns", 2, "error", changed("time_ns", 2, None)),
        ("negative_bytes", 3, "error", changed("bytes", 3, -1)),
        ("negative_cpu", 0, "error", changed("cpu", 0, -4)),
        ("task_not_dense", None, "error", {"task": [0, 2, 0, 0, 2]}),
        ("process_not_dense", None, "error", {"process": [1, 1, 1, 1, 1]}),
        ("metadata_tasks", None, "error", {"task": [0, 0, 0, 0, 0]}),
        ("metadata_pages", None, "error", changed("page", 0, 9)),
    ],
)
def test_each_damage_is_found_with_its_first_row(tmp_path, code, row, severity, damage) -> None:
    found = doctor(write_damaged(tmp_path / "t.parquet", **damage))
    problem = {problem.code: problem for problem in found.problems}[code]
    assert (problem.first_row, problem.severity) == (row, severity)
    assert problem.count == 1 or row is None
    assert found.usable == all(other.severity == "warning" for other in found.problems)
    assert problem.what in found.text()


def test_damage_of_one_row_raises_no_complaint_about_others(tmp_path) -> None:
    for damage in (changed("bytes", 3, -1), changed("hold_ns", 4, -1), changed("time_ns", 2, None)):
        assert len(doctor(write_damaged(tmp_path / "t.parquet", **damage)).problems) == 1


def test_state_is_carried_from_batch_to_batch() -> None:
    columns = as_arrays(GOOD | {"hold_ns": [100, 500, 80, 9, 5], "process": [0, 0, 0, 1, 0]})
    whole, parts = (Scan(8), TraceCheck()), (Scan(8), TraceCheck())
    whole[0].add(columns)
    whole[1].add_columns(columns)
    for row in range(5):
        one = {name: values[row : row + 1] for name, values in columns.items()}
        parts[0].add(one)
        parts[1].add_columns(one)
    assert sum(problem.count for problem in whole[1].problems()) == 3
    assert whole[1].problems() == parts[1].problems()
    np.testing.assert_array_equal(whole[0].histograms, parts[0].histograms)


def test_the_first_row_counts_from_the_beginning_of_the_file(tmp_path) -> None:
    rows = ROW_GROUP_ROWS + 5
    columns = {name: np.resize(values, rows) for name, values in as_arrays(GOOD).items()}
    columns |= {"time_ns": np.arange(rows) * 1000, "depth": np.zeros(rows, np.int8)}
    columns["hold_ns"][-2] = -1
    with writer(tmp_path / "t.parquet") as out:
        out.write(columns)
    assert [(p.code, p.first_row) for p in doctor(tmp_path / "t.parquet").problems] == [
        ("negative_time", rows - 2)
    ]


@given(st.integers(0, (1 << 63) - 1))
def test_a_bucket_is_at_most_one_part_in_256_below_its_value(value) -> None:
    floor = bucket_floor(int(_bucket(value)))
    assert floor <= value
    assert value - floor <= value // 256


def test_what_is_no_trace_is_an_input_error(tmp_path) -> None:
    path = write_good(tmp_path / "t.parquet")
    pq.write_table(pq.read_table(path).drop_columns("page"), path)
    with pytest.raises(InputError, match="missing: page"):
        doctor(path)


def test_the_command_prints_json_and_exits_with_3_if_the_trace_cannot_be_used(tmp_path, capsys) -> None:
    path = write_good(tmp_path / "t.parquet")
    doctor_command(path, "json")
    assert json.loads(capsys.readouterr().out)["usable"] is True
    write_damaged(path, **changed("time_ns", 4, 150))
    with pytest.raises(typer.Exit) as stopped:
        doctor_command(path)
    assert stopped.value.exit_code == 3
    assert "error: rows that begin before the previous row: 1 (first at row 4)" in capsys.readouterr().out


def test_durations_are_printed_with_their_unit() -> None:
    assert [format_duration(n) for n in (0, 999, 25_500, 167_000_000, 22_340_000_000, 4_000_000_000_000)] == [
        "0 ns", "999 ns", "25.5 us", "167 ms", "22.3 s", "4,000 s",
    ]  # fmt: skip
