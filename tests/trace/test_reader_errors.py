from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import InputError
from pipeline.schema.trace_metadata import METADATA_KEY
from pipeline.trace.reader import numpy_column, open_trace
from tests.trace.small import write_damaged, write_good


def refusal(path) -> str:
    with pytest.raises(InputError) as caught:
        open_trace(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def with_metadata(path, text: bytes):
    table = pq.read_table(write_good(path))
    pq.write_table(table.replace_schema_metadata({METADATA_KEY: text}), path)
    return path


def test_a_missing_file_and_a_directory_are_told_apart(tmp_path) -> None:
    assert "no such file" in refusal(tmp_path / "none.parquet")
    assert "directory" in refusal(tmp_path)


def test_a_file_that_is_not_parquet_is_told_from_one_cut_short(tmp_path) -> None:
    (tmp_path / "text").write_text("task-1 [000] 1.0: kmap\n" * 9)
    assert "pipeline import" in refusal(tmp_path / "text")
    (tmp_path / "empty").touch()
    assert "another format" in refusal(tmp_path / "empty")
    path = write_good(tmp_path / "t.parquet")
    path.write_bytes(path.read_bytes()[:-100])
    assert "truncated or damaged" in refusal(path)


def test_damaged_data_is_found_when_it_is_read(tmp_path) -> None:
    path = write_good(tmp_path / "t.parquet")
    content = bytearray(path.read_bytes())
    content[4:400] = bytes(396)
    path.write_bytes(content)
    with pytest.raises(InputError, match="the file is damaged"):
        list(open_trace(path).batches())


def test_missing_columns_are_named_with_the_nearest_there_are(tmp_path) -> None:
    path = write_good(tmp_path / "t.parquet")
    table = pq.read_table(path)
    pq.write_table(table.rename_columns(["hold" if n == "hold_ns" else n for n in table.schema.names]), path)
    assert "missing: hold_ns ('hold' resembles 'hold_ns')" in refusal(path)


def test_columns_of_another_type_are_named_with_both_types(tmp_path) -> None:
    path = write_good(tmp_path / "t.parquet")
    table = pq.read_table(path)
    pq.write_table(table.set_column(1, "task", table.column("task").cast(pa.int64())), path)
    assert "task is int64, expected int32" in refusal(path)


def test_a_table_without_metadata_is_sent_to_import(tmp_path) -> None:
    path = write_good(tmp_path / "t.parquet")
    pq.write_table(pq.read_table(path).replace_schema_metadata(None), path)
    assert f"pipeline import {path}" in refusal(path)


def test_metadata_that_is_no_metadata_is_refused(tmp_path) -> None:
    assert "cannot be read" in refusal(with_metadata(tmp_path / "a.parquet", b"{"))
    assert "cannot be read" in refusal(with_metadata(tmp_path / "b.parquet", b"{}"))
    assert "'source'" in refusal(with_metadata(tmp_path / "c.parquet", b'{"format_version": 1}'))


def test_a_newer_format_is_refused_by_version_before_its_fields_are_looked_at(tmp_path) -> None:
    text = json.dumps({"format_version": 3, "strange": []}).encode()
    assert "version 2 or older, found 3" in refusal(with_metadata(tmp_path / "t.parquet", text))


def test_an_unknown_kind_is_named_with_its_row(tmp_path) -> None:
    kinds = ["other", "other", "other", "fork", "other"]
    trace = open_trace(write_damaged(tmp_path / "t.parquet", kind=kinds))
    with pytest.raises(InputError, match="row 3: kind is 'fork', expected one of page_fault"):
        list(trace.batches(rows=2))


def test_a_null_kind_is_named_with_its_row(tmp_path) -> None:
    trace = open_trace(write_damaged(tmp_path / "t.parquet", kind=["other", None, "other", "other", "other"]))
    with pytest.raises(InputError, match="row 1: kind is None"):
        list(trace.batches())


def test_a_null_where_a_number_is_wanted_is_refused(tmp_path) -> None:
    trace = open_trace(write_damaged(tmp_path / "t.parquet", page=[1, 2, None, 3, 4]))
    with pytest.raises(InputError, match="'page' of a trace is null at row 2"):
        numpy_column(next(trace.batches()), "page")
