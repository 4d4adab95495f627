"""Mappings with several pages, and with rows of their own for map and unmap."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.schema.names import KINDS
from pipeline.schema.trace import MAX_LENGTH, MAX_MAPPING, MAX_PAGE, OPTIONAL_NAMES, ROW_GROUP_ROWS
from pipeline.schema.trace_metadata import METADATA_KEY
from pipeline.trace.check import TraceCheck, refuse_claims
from pipeline.trace.doctor import doctor
from pipeline.trace.reader import Trace, numpy_column, open_trace
from tests.trace.small import (
    GOOD,
    PARTS,
    PROVENANCE,
    as_arrays,
    write_damaged_parts,
    write_good,
    write_parts,
    writer,
)

WITH_PARTS = PROVENANCE | dict.fromkeys(OPTIONAL_NAMES, "synthetic")


def random_parts(seed: int, mappings: int, tasks: int = 5) -> dict[str, np.ndarray]:
    """Rows of a trace: mappings with two rows, or only the first; and some whole rows."""
    random = np.random.default_rng(seed)
    maps_ns = np.sort(random.integers(0, 1000 * mappings, mappings))
    number = random.permutation(4 * mappings)[:mappings]
    unmapped = random.random(mappings) < 0.9
    length = random.integers(1, 9, mappings)
    page = np.cumsum(length)
    whole = mappings // 3
    index = np.concatenate([np.arange(mappings), np.flatnonzero(unmapped)])
    later_ns = maps_ns[unmapped] + 1 + random.integers(0, 5000, unmapped.sum())
    none = np.full(whole, -1)
    columns = {
        "time_ns": np.concatenate([maps_ns, later_ns, random.integers(0, 1000 * mappings, whole)]),
        "page": np.concatenate([page[index], random.integers(0, 9, whole)]),
        "pages": np.concatenate([length[index], random.integers(1, 3, whole)]).astype(np.int32),
        "mapping": np.concatenate([number[index], none]),
        "part": np.repeat(np.array([1, 2, 0], np.int8), [mappings, len(index) - mappings, whole]),
    }
    rows = len(columns["time_ns"])
    task = np.concatenate([np.arange(tasks), random.integers(0, tasks, rows)])[:rows].astype(np.int32)
    columns |= {
        "task": task, "process": task // 2, "kind": np.full(rows, KINDS.index("vmap"), np.int8),
        "cpu": np.full(rows, -1, np.int16), "bytes": np.full(rows, -1, np.int32),
        "depth": np.zeros(rows, np.int8),
    } | dict.fromkeys(("think_ns", "wait_ns", "hold_ns", "block_ns"), np.zeros(rows, np.int64))  # fmt: skip
    order = np.argsort(columns["time_ns"], kind="stable")
    columns = {name: values[order] for name, values in columns.items()}
    # A mapping whose unmap is at the time of another row can be numbered in any order, as sorting is stable.
    return columns | {"task": task, "process": task // 2}


def write(path: Path, columns: dict[str, np.ndarray]) -> Trace:
    with writer(path, columns=WITH_PARTS) as out:
        out.write(columns)
    return open_trace(path)


def problems(columns: dict[str, Any], step: int) -> list[tuple[str, int, int | None]]:
    check = TraceCheck()
    rows = len(columns["time_ns"])
    for start in range(0, rows, step):
        check.add_columns({name: values[start : start + step] for name, values in columns.items()})
    return [(problem.code, problem.count, problem.first_row) for problem in check.problems()]


@settings(max_examples=25, deadline=None)
@given(mappings=st.integers(3, 60), seed=st.integers(0, 999), step=st.integers(1, 50))
def test_parts_are_read_back_and_checked_however_they_are_cut(
    tmp_path_factory, mappings: int, seed: int, step: int
) -> None:
    columns = random_parts(seed, mappings)
    trace = write(tmp_path_factory.mktemp("parts") / "t.parquet", columns)
    assert (trace.metadata.format_version, trace.has_parts) == (2, True)
    assert trace.metadata.pages == (columns["page"] + columns["pages"]).max()
    batches = list(trace.batches(rows=step))
    for name, values in columns.items():
        found = np.concatenate([numpy_column(batch, name) for batch in batches])
        np.testing.assert_array_equal(found, values, name)
        assert found.dtype == values.dtype
    check = TraceCheck()
    for batch in batches:
        check.add(batch)
    assert check.problems() == check.problems_of_whole(trace) == []
    refuse_claims(trace)
    maps, unmaps = columns["part"] == 1, columns["part"] == 2
    task_of = dict(zip(columns["mapping"][maps], columns["task"][maps], strict=True))
    other = [
        task_of[m] != t for m, t in zip(columns["mapping"][unmaps], columns["task"][unmaps], strict=True)
    ]
    assert (check.mappings.mapped, check.mappings.unmapped) == (maps.sum(), unmaps.sum())
    assert check.mappings.handed_over == sum(other)
    assert check.mappings.remaining == maps.sum() - unmaps.sum()


@settings(max_examples=60, deadline=None)
@given(data=st.data(), seed=st.integers(0, 999), step=st.integers(1, 80))
def test_a_fault_planted_anywhere_is_found_in_its_row(data, seed: int, step: int) -> None:
    columns = {name: values.copy() for name, values in random_parts(seed, 30).items()}
    part, mapping = columns["part"], columns["mapping"]
    unmap = data.draw(st.sampled_from(np.flatnonzero(part == 2).tolist()))
    of = mapping[unmap]
    its_map = int(np.flatnonzero((part == 1) & (mapping == of))[0])
    later = st.integers(unmap, len(part))

    def insert(row: int, at: int, **changes: int) -> None:
        for name, values in list(columns.items()):
            columns[name] = np.insert(values, at, values[row])
        columns["time_ns"][at] = columns["time_ns"][at - 1]
        for name, value in changes.items():
            columns[name][at] = value

    fault = data.draw(st.sampled_from(
        ["mapped_twice", "unmapped_twice", "unmap_without_map", "unmap_differs", "unmap_uses", "part_nested"]
    ))  # fmt: skip
    row = unmap
    if fault == "mapped_twice":
        row = data.draw(later)
        insert(its_map, row)
    elif fault == "unmapped_twice":
        row = data.draw(later) + 1
        insert(unmap, min(row, len(part)))
        row = min(row, len(part))
    elif fault == "unmap_without_map":
        columns["mapping"][unmap] = 10_000
    elif fault == "unmap_differs":
        columns[data.draw(st.sampled_from(["page", "pages", "kind"]))][unmap] -= 1
    elif fault == "unmap_uses":
        columns[data.draw(st.sampled_from(["hold_ns", "block_ns"]))][unmap] = 1
    else:
        columns["depth"][unmap] = 1
    found = {(code, first) for code, count, first in problems(columns, step) if count == 1}
    assert (fault, row) in found


def test_a_column_that_is_not_named_at_the_start_is_refused(tmp_path) -> None:
    path = tmp_path / "t.parquet"
    with pytest.raises(ValueError, match="optional columns is missing: pages, part"), writer(path) as out:
        out.write(as_arrays(PARTS))
    with pytest.raises(ValueError, match="must be named when its writer is made"), writer(path) as out:
        out.write(as_arrays(GOOD))
        out.metadata.columns = WITH_PARTS
    assert list(tmp_path.iterdir()) == []


def test_a_trace_can_have_lengths_without_parts(tmp_path) -> None:
    path = tmp_path / "t.parquet"
    with writer(path, columns=PROVENANCE | {"pages": "synthetic"}) as out:
        out.write(as_arrays(GOOD))
        late = {n: v + 300 if n == "time_ns" else v for n, v in as_arrays(GOOD).items() if v is not None}
        out.write(late | {"pages": np.full(5, 3, np.int32)})
    trace = open_trace(path)
    assert (trace.has_parts, trace.columns[-1], trace.metadata.pages) == (False, "pages", 10)
    assert [trace.maximum(name) for name in OPTIONAL_NAMES] == [3, 0, -1]
    batch = next(trace.batches(["mapping", "pages", "page"]))
    assert batch.schema.names == ["pages", "page"]
    assert numpy_column(batch, "pages").tolist() == [1] * 5 + [3] * 5
    checked = TraceCheck().add(next(trace.batches()))
    assert [len(checked[name]) for name in OPTIONAL_NAMES] == [10, 0, 0]
    assert doctor(path).problems == []


def test_a_trace_without_parts_is_of_the_first_version(tmp_path) -> None:
    trace = open_trace(write_good(tmp_path / "t.parquet"))
    assert (trace.metadata.format_version, trace.has_parts) == (1, False)
    checked = TraceCheck().add(next(trace.batches()))
    assert [(len(checked[n]), checked[n].dtype) for n in OPTIONAL_NAMES] == [(0, "i4"), (0, "i1"), (0, "i8")]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pages": [0, 1, 4, 3, 2]}, "'pages' of a trace has 0; expected 1 to 1048576"),
        ({"pages": [MAX_LENGTH + 1, 1, 4, 3, 2]}, "'pages' of a trace has 1048577"),
        ({"mapping": [0, None, 0, MAX_MAPPING, None]}, "'mapping' of a trace has 2147483648"),
        ({"page": [4, 0, 4, MAX_PAGE - 2, 0]}, "mapping of a trace has page 2147483648"),
        ({"part": [1, 0, 3, 1, 0]}, "'part' of a trace has 3; expected 0 to 2"),
    ],
)
def test_numbers_out_of_range_are_not_written(tmp_path, change, message) -> None:
    with pytest.raises(ValueError, match=message):
        write_parts(tmp_path / "t.parquet", PARTS | change)
    assert list(tmp_path.iterdir()) == []


def test_doctor_describes_the_mappings(tmp_path) -> None:
    found = doctor(write_parts(tmp_path / "t.parquet"))
    assert found.mappings is not None
    assert found.mappings.model_dump() == {
        "apart": 2, "handed_over": 1, "remaining": 1, "least_pages": 1, "median_pages": 2, "most_pages": 4,
    }  # fmt: skip
    said = (
        "mappings    2 with a separate unmap: 1 by another task, 1 not in the trace; 1 to 4 pages, median 2"
    )
    assert said in found.text()
    # Row 2 unmaps only: its page is not reused, and its hold of 0 is no hold.
    assert (found.operations, found.kinds["vmap"], found.pages) == (5, 2, 11)
    assert found.reuse is not None
    assert found.reuse.share == 0
    assert found.quantiles_ns["hold_ns"]["0.5"] == 9
    assert doctor(write_good(tmp_path / "good.parquet")).mappings is None


def changed(column: str, row: int, value: object) -> dict[str, list]:
    values = list(PARTS[column])
    values[row] = value
    return {column: values}


@pytest.mark.parametrize(
    ("code", "row", "damage"),
    [
        ("unknown_part", 2, changed("part", 2, "half")),
        ("pages_range", 4, changed("pages", 4, 0)),
        ("pages_range", 4, changed("pages", 4, MAX_LENGTH + 1)),
        ("last_page_range", 3, changed("page", 3, MAX_PAGE - 2)),
        ("mapping_range", 3, changed("mapping", 3, -2)),
        ("mapping_range", 3, changed("mapping", 3, MAX_MAPPING)),
        ("mapping_missing", 3, changed("mapping", 3, None)),
        ("mapping_of_whole", 1, changed("mapping", 1, 7)),
        ("part_nested", 3, changed("depth", 3, 1)),
        ("nested_in_unmap", 4, changed("depth", 4, 1) | changed("hold_ns", 4, 0) | changed("think_ns", 4, 0)),
        ("unmap_uses", 2, changed("hold_ns", 2, 1)),
        ("unmap_uses", 2, changed("block_ns", 2, 1)),
        ("unmap_bytes", 2, changed("bytes", 2, 10)),
        ("mapped_twice", 3, changed("mapping", 3, 0)),
        ("unmap_without_map", 2, changed("mapping", 2, 1)),
        ("unmapped_twice", 3, changed("part", 3, "unmap") | changed("mapping", 3, 0)),
        ("unmap_differs", 2, changed("page", 2, 3)),
        ("unmap_differs", 2, changed("pages", 2, 3)),
        ("unmap_differs", 2, changed("kind", 2, "other")),
    ],
)  # fmt: skip
def test_each_damage_is_found_with_its_first_row(tmp_path, code, row, damage) -> None:
    found = doctor(write_damaged_parts(tmp_path / "t.parquet", **damage))
    problem = {problem.code: problem for problem in found.problems}[code]
    assert (problem.first_row, problem.count, problem.severity) == (row, 1, "error")
    assert problem.what in found.text()


def test_an_unknown_part_is_named_with_its_row(tmp_path) -> None:
    trace = open_trace(write_damaged_parts(tmp_path / "t.parquet", **changed("part", 2, "half")))
    with pytest.raises(InputError, match="row 2: part is 'half', expected one of whole, map, unmap"):
        list(trace.batches(rows=2))


def test_columns_and_metadata_that_contradict_each_other_are_refused(tmp_path) -> None:
    path = write_parts(tmp_path / "t.parquet")
    table = pq.read_table(path)
    text = pq.read_metadata(path).metadata[METADATA_KEY]
    pq.write_table(table.drop_columns(["pages"]).replace_schema_metadata({METADATA_KEY: text}), path)
    with pytest.raises(InputError, match=r"metadata names \(pages, part, mapping\), found part, mapping"):
        open_trace(path)
    text = pq.read_metadata(write_good(path)).metadata[METADATA_KEY]
    more = pq.read_table(path).append_column("pages", pa.array([1] * 5, pa.int32()))
    pq.write_table(more.replace_schema_metadata({METADATA_KEY: text}), path)
    with pytest.raises(InputError, match=r"metadata names \(none\), found pages"):
        open_trace(path)


def test_a_number_of_pages_that_cannot_be_is_refused_before_the_rows_are_read(tmp_path) -> None:
    path = write_parts(tmp_path / "t.parquet")
    text = pq.read_metadata(path).metadata[METADATA_KEY]
    assert b'"pages":11,' in text
    table = pq.read_table(path)
    for said, fits in ((8, False), (9, True), (12, True), (13, False)):
        changed_text = text.replace(b'"pages":11,', b'"pages":%d,' % said)
        pq.write_table(table.replace_schema_metadata({METADATA_KEY: changed_text}), path)
        if fits:
            refuse_claims(open_trace(path))
        else:
            with pytest.raises(InputError, match=f"records {said} as the number of page numbers"):
                refuse_claims(open_trace(path))
        assert [problem.code for problem in doctor(path).problems] == ["metadata_pages"]


def test_row_groups_with_other_kinds_are_read_alike(tmp_path) -> None:
    path = tmp_path / "t.parquet"
    rows = ROW_GROUP_ROWS + 10
    columns = {
        name: np.resize(values, rows) for name, values in as_arrays(GOOD).items() if values is not None
    }
    columns |= {"time_ns": np.arange(rows), "depth": np.zeros(rows, np.int8)}
    columns["kind"][-3:] = KINDS.index("vmap")
    with writer(path) as out:
        out.write(columns)
    for step in (ROW_GROUP_ROWS, 100_000):
        batches = list(open_trace(path).batches(["kind"], rows=step))
        np.testing.assert_array_equal(
            np.concatenate([numpy_column(batch, "kind") for batch in batches]), columns["kind"]
        )
        assert {tuple(batch.column("kind").dictionary.to_pylist()) for batch in batches} == {KINDS}
