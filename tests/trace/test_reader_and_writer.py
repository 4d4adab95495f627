from __future__ import annotations

import itertools
import resource
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import OutputError
from pipeline.schema.names import KINDS
from pipeline.schema.trace import COLUMN_NAMES, ROW_GROUP_ROWS
from pipeline.schema.trace_metadata import METADATA_KEY
from pipeline.trace.reader import numpy_column, open_trace
from tests.trace.small import GOOD, as_arrays, write_damaged, write_good, writer


def random_rows(rows: int, seed: int) -> dict[str, np.ndarray | None]:
    random = np.random.default_rng(seed)

    def draw(top: int, dtype: str) -> np.ndarray:
        return random.integers(0, top, rows).astype(dtype)

    return {
        "time_ns": np.cumsum(draw(500, "i8")), "task": draw(50, "i4"), "process": draw(9, "i4"),
        "cpu": draw(5, "i2") - np.int16(1), "kind": draw(len(KINDS), "i1"), "page": draw(1 << 30, "i8"),
        "bytes": None, "think_ns": draw(1 << 40, "i8"), "wait_ns": draw(9, "i8"), "hold_ns": draw(999, "i8"),
        "block_ns": draw(2, "i8"), "depth": draw(2, "i1"),
    }  # fmt: skip


def read_back(path: Path, rows: int = ROW_GROUP_ROWS) -> dict[str, np.ndarray]:
    batches = list(open_trace(path).batches(rows=rows))
    return {n: np.concatenate([numpy_column(b, n) for b in batches]) for n in COLUMN_NAMES}


@settings(max_examples=25, deadline=None)
@given(rows=st.integers(1, 400), seed=st.integers(0, 99), cuts=st.lists(st.integers(0, 400), max_size=4))
def test_what_is_written_is_read_back_however_it_is_cut(tmp_path_factory, rows, seed, cuts) -> None:
    path = tmp_path_factory.mktemp("round") / "t.parquet"
    columns = random_rows(rows, seed)
    edges = [0, *sorted(min(cut, rows) for cut in cuts), rows]
    with writer(path) as out:
        for start, stop in itertools.pairwise(edges):
            out.write({n: None if c is None else c[start:stop] for n, c in columns.items()})
    found = read_back(path, rows=97)
    for name, values in columns.items():
        expected = np.full(rows, -1) if values is None else values
        np.testing.assert_array_equal(found[name], expected, name)
    metadata = open_trace(path).metadata
    assert metadata.operations == rows
    assert metadata.tasks == len(np.unique(columns["task"]))
    assert metadata.processes == len(np.unique(columns["process"]))
    assert metadata.pages == columns["page"].max() + 1


def test_rows_are_grouped_alike_and_give_the_same_bytes_however_they_come(tmp_path) -> None:
    columns = random_rows(ROW_GROUP_ROWS + 10, 1)
    paths = [tmp_path / "one.parquet", tmp_path / "many.parquet"]
    for path, step in zip(paths, (ROW_GROUP_ROWS + 10, 100_001), strict=True):
        with writer(path) as out:
            for start in range(0, ROW_GROUP_ROWS + 10, step):
                out.write({n: None if c is None else c[start : start + step] for n, c in columns.items()})
    file = pq.ParquetFile(paths[0])
    assert [file.metadata.row_group(g).num_rows for g in range(2)] == [ROW_GROUP_ROWS, 10]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_the_caller_may_reuse_its_arrays_at_once(tmp_path) -> None:
    columns = as_arrays(GOOD)
    with writer(tmp_path / "t.parquet") as out:
        out.write(columns)
        columns["page"][:] = 99
    assert read_back(tmp_path / "t.parquet")["page"].tolist() == GOOD["page"]


def test_columns_without_nulls_are_read_without_a_copy(tmp_path) -> None:
    batch = next(open_trace(write_good(tmp_path / "t.parquet")).batches())
    for name in ("time_ns", "kind", "hold_ns"):
        assert not numpy_column(batch, name).flags.owndata


def test_null_is_minus_one_in_numpy_and_null_in_the_file(tmp_path) -> None:
    path = write_good(tmp_path / "t.parquet")
    assert read_back(path)["cpu"].tolist() == [0, 1, 0, -1, 1]
    assert pq.read_table(path).column("cpu").to_pylist() == GOOD["cpu"]


def test_columns_can_be_chosen_and_ordered(tmp_path) -> None:
    batch = next(open_trace(write_good(tmp_path / "t.parquet")).batches(["page", "task"], rows=2))
    assert batch.schema.names == ["page", "task"]
    assert batch.num_rows == 2


def test_kinds_are_recoded_whatever_order_or_type_the_file_has(tmp_path) -> None:
    # Encoded in order of appearance, which is not the order of KINDS.
    path = write_damaged(tmp_path / "t.parquet")
    assert [KINDS[code] for code in read_back(path)["kind"]] == GOOD["kind"]
    table = pq.read_table(path)
    plain = table.set_column(4, "kind", table.column("kind").cast("string"))
    pq.write_table(plain, path)
    assert [KINDS[code] for code in read_back(path)["kind"]] == GOOD["kind"]


def test_the_largest_value_is_found_with_and_without_statistics(tmp_path) -> None:
    path = write_good(tmp_path / "t.parquet")
    assert open_trace(path).maximum("page") == 7
    metadata = {METADATA_KEY: pq.read_metadata(path).metadata[METADATA_KEY]}
    table = pq.read_table(path).replace_schema_metadata(metadata)
    pq.write_table(table, path, write_statistics=False)
    assert open_trace(path).maximum("page") == 7


def test_a_trace_of_no_rows_is_a_trace(tmp_path) -> None:
    with writer(tmp_path / "t.parquet"):
        pass
    trace = open_trace(tmp_path / "t.parquet")
    assert (trace.rows, list(trace.batches()), trace.maximum("page")) == (0, [], -1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"page": None}, "'page' of a trace cannot be null"),
        ({"page": np.arange(4)}, "differ in length"),
        ({"time_ns": np.array([0, 10, 5, 20, 30])}, "in order of time_ns"),
        ({"task": np.array([0, 1, 0, -3, 1], np.int32)}, "'task' of a trace has -3"),
        ({"page": np.array([0, 1, 0, 1 << 31, 1])}, "'page' of a trace has 2147483648"),
    ],
)
def test_rows_that_are_no_trace_are_refused_and_leave_no_file(tmp_path, change, message) -> None:
    with pytest.raises(ValueError, match=message), writer(tmp_path / "t.parquet") as out:
        out.write(as_arrays(GOOD) | change)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_column_is_refused_by_name(tmp_path) -> None:
    columns = as_arrays(GOOD)
    del columns["depth"]
    with pytest.raises(ValueError, match="'depth'"), writer(tmp_path / "t.parquet") as out:
        out.write(columns)


def test_an_exception_in_the_block_leaves_no_file_and_an_older_trace_alone(tmp_path) -> None:
    path = write_good(tmp_path / "t.parquet")
    before = path.read_bytes()
    with pytest.raises(KeyError), writer(path) as out:
        out.write(as_arrays(GOOD))
        raise KeyError
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_one_error_and_leaves_no_file(tmp_path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        with pytest.raises(OutputError, match="cannot be written"), writer(tmp_path / "t.parquet") as out:
            columns = random_rows(ROW_GROUP_ROWS, 1)
            for _ in range(6):
                out.write(columns)
                columns["time_ns"] += columns["time_ns"][-1]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_found_before_the_first_row(tmp_path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "t.parquet", tmp_path):
        with pytest.raises(OutputError), writer(path):
            pytest.fail("the block was entered")
