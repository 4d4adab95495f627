"""What the log's files hold in fewer bits comes back as it was, in runs of each format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.runs.log_columns import ColumnBuffers
from pipeline.runs.log_writer import TableLog
from pipeline.schema.log import DICTIONARIES, LOG_TABLES, OPERATION_RECORD
from pipeline.schema.manifest import Manifest
from pipeline.sql.query import sql
from tests.sql.handmade import make_run

FORMAT_1 = Path(__file__).parent / "format_1"
LARGE = 1 << 40
_POLARS = {"int64": pl.Int64, "int32": pl.Int32, "int16": pl.Int16, "int8": pl.Int8}


@pytest.fixture(params=LOG_TABLES)
def table(request):
    return LOG_TABLES[request.param]


def read_back(directory: Path, name: str, order: str) -> list[dict]:
    return sql([directory], f"SELECT * EXCLUDE (run) FROM {name} ORDER BY {order}").to_dicts()


def test_differences_are_to_columns_that_are_stored_as_they_are(table):
    columns = {column.name: column for column in table.columns}
    for column in table.columns:
        for other in (*column.stored.plus, *column.stored.minus):
            assert not columns[other].stored.plus and not columns[other].none
    assert len(table.stored_schema) == len({column.stored_name for column in table.columns})


@pytest.mark.parametrize("areas", [False, True])
def test_every_number_comes_back_whatever_its_size(tmp_path, table, areas):
    rng = np.random.default_rng(3)
    rows = []
    for position in range(400):
        row = {}
        for column in table.columns:
            if pa.types.is_dictionary(column.type):
                row[column.name] = str(rng.choice(DICTIONARIES[column.name]))
                continue
            least = -1 if column.none else 0
            most = min(np.iinfo(column.type.to_pandas_dtype()).max, 1 << (40 if position % 50 == 7 else 20))
            row[column.name] = int(rng.choice([least, 0, 1, int(rng.integers(0, most))]))
        rows.append(row)
    if table.name == "operations":
        # Numbers of which the sums and differences are small, as they are in a run.
        for position, row in enumerate(rows):
            row["op"] = position
            row["asked_ns"] += 10 * LARGE
            row["locked_ns"] = -1 if position % 3 == 0 else row["asked_ns"] + row["map_wait_ns"]
            row["mapped_ns"] = row["asked_ns"] + row["map_wait_ns"] + row["map_hold_ns"] + 7
            row["done_ns"] = row["asked_ns"] + 90
            row["unmap_asked_ns"] = row["done_ns"] - row["unmap_wait_ns"] - row["unmap_hold_ns"]
            if areas and position % 5 == 0:
                row.update(done_ns=-1, unmap_asked_ns=-1, unmap_task=-1)
                row.update(unmap_wait_ns=0, unmap_hold_ns=0)
            elif not areas:
                row.update(pages=1, unmap_task=row["task"])
        run = make_run(tmp_path / "a", "a", rows, [], areas=areas)
    elif table.name == "events":
        for position, row in enumerate(rows):
            row["time_ns"] = position
        run = make_run(tmp_path / "a", "a", [], rows, areas=areas)
    else:
        for position, row in enumerate(rows):
            row["begin_ns"] = position
        run = make_run(tmp_path / "a", "a", stretches=rows, areas=areas)
    names = [column.name for column in table.columns if column.none or (areas and column.open)]
    for row in rows:
        for name in names:
            row[name] = None if row[name] == -1 else row[name]
    assert read_back(run, table.name, table.columns[0].name) == rows
    wide = pq.read_metadata(run / f"wide_{table.name}.parquet").num_rows
    assert 0 < wide < 10


@pytest.mark.parametrize(
    ("column", "value", "wide"),
    [
        ("map_hold_ns", (1 << 31) - 1, False),
        ("map_hold_ns", 1 << 31, True),
        ("mapped_ns", (1 << 31) + 999, False),
        ("mapped_ns", (1 << 31) + 1_000, True),
        ("locked_ns", 1_500, False),
        ("locked_ns", -1, False),
        # Less than what it is stored as the difference to: would read as none.
        ("locked_ns", 999, True),
        ("flush_op", -1, False),
        ("flush_op", 1 << 31, True),
    ],
)
def test_a_row_goes_into_the_wide_file_if_and_only_if_a_number_has_no_room(tmp_path, column, value, wide):
    plain = {"asked_ns": 1_000, "locked_ns": 1_000, "mapped_ns": 1_000, "unmap_asked_ns": 5, "done_ns": 5}
    run = make_run(tmp_path / "a", "a", [plain, plain | {column: value}, plain], [])
    expected = None if value == -1 else value
    assert [row[column] for row in read_back(run, "operations", "op")] == [
        plain.get(column, None if column == "flush_op" else 0),
        expected,
        plain.get(column, None if column == "flush_op" else 0),
    ]
    assert pq.read_metadata(run / "operations.parquet").num_rows == 3 - wide
    manifest = Manifest.model_validate_json((run / "manifest.json").read_text())
    assert manifest.tables.get("wide_operations", []) == ["wide_operations.parquet"] * wide


def test_records_are_taken_over_in_their_order_across_blocks():
    table = LOG_TABLES["operations"]
    records = np.zeros(10_000, OPERATION_RECORD)
    records["op"] = np.arange(len(records))[::-1]
    records["cpu_unmap"] = records["cpu_map"] = np.arange(len(records)) % 64
    records["depth"] = np.arange(len(records)) % 5
    buffers = ColumnBuffers(table, records.dtype, len(records) * 2)
    for _ in range(2):
        assert len(buffers.append(records[:3_000])) == len(buffers.append(records[3_000:])) == 0
        batch = buffers.take()
        assert batch.schema == table.stored_schema
        for name in ("op", "cpu_map", "depth"):
            assert np.array_equal(batch[name].to_numpy(), records[name])
        assert not batch["delta_cpu_unmap"].to_numpy().any()


def test_a_long_table_has_several_files(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.runs.log_writer._ROW_GROUP_ROWS", 100)
    monkeypatch.setattr("pipeline.runs.log_writer._FILE_ROWS", 200)

    log = TableLog(tmp_path, LOG_TABLES["operations"], np.zeros(50, OPERATION_RECORD))
    buffer = np.zeros(50, OPERATION_RECORD)
    for first in range(0, 500, 50):
        buffer["op"] = np.arange(first, first + 50)
        # One row of each buffer has no room.
        buffer["asleep_ns"][7] = LARGE
        buffer = log.exchange(buffer, 50)
    log.close(buffer, 0)
    assert log.files == {
        "operations": ["operations.parquet", "operations-2.parquet"],
        "wide_operations": ["wide_operations.parquet"],
    }
    names = [name for files in log.files.values() for name in files]
    found = [pq.read_table(tmp_path / name, columns=["op"])["op"].to_pylist() for name in names]
    # A row group is written when a buffer has filled it: 49 of three buffers.
    assert [len(part) for part in found] == [2 * 147, 490 - 2 * 147, 10]
    assert sorted(op for part in found for op in part) == list(range(500))


def test_a_run_of_the_first_format_reads_as_it_did():
    operations = "count(*), sum(done_ns), sum(map_wait_ns), sum(locked_ns), count(holder), sum(process)"
    assert sql([FORMAT_1], f"SELECT {operations} FROM operations").row(0) == (
        100, 3_146_168_030, 49_058_094, 763_419_087, 90, 4_719
    )  # fmt: skip
    events = "event, count(*), sum(duration_ns), sum(time_ns)"
    assert sql([FORMAT_1], f"SELECT {events} FROM events GROUP BY event ORDER BY event").rows() == [
        ("flush", 86, 14_620_000, 1_520_658_722),
        ("ipi", 258, 6_450_000, 4_595_516_166),
        ("relock", 62, 10_457_639, 1_699_085_838),
        ("scan", 86, 15_092_600, 1_505_252_602),
        ("sleep", 62, 111_678_834, 963_056_817),
        ("switch", 262, 1_310_000, 5_502_668_500),
        ("wake", 12, 124_000, 270_286_282),
    ]
    lockmeter = sql([FORMAT_1], name="lockmeter")
    assert lockmeter["run"].unique().to_list() == ["global_pool (slots=40)"]


def test_runs_of_both_formats_stand_beside_one_another(tmp_path):
    run = make_run(tmp_path / "a", "a", [{"asked_ns": 1, "mapped_ns": 5, "done_ns": 9}], [])
    rows = sql([FORMAT_1, run], "SELECT run, count(*) FROM operations GROUP BY run ORDER BY run").rows()
    assert rows == [("global_pool (slots=40)", 100), ("a", 1)]


def test_a_difference_has_no_room_beyond_its_own_type(tmp_path):
    rows = [{"cpu_map": a, "cpu_unmap": b} for a, b in ((5, 7), (-20_000, 20_000), (63, 0))]
    run = make_run(tmp_path / "a", "a", rows, [])
    assert sql([run], "SELECT cpu_map, cpu_unmap FROM operations ORDER BY op").to_dicts() == rows
    assert pq.read_metadata(run / "wide_operations.parquet").num_rows == 1


@pytest.mark.parametrize("name", LOG_TABLES)
def test_views_have_the_documented_types_whatever_the_format(tmp_path, name):
    wide = make_run(
        tmp_path / "a",
        "a",
        [{"asleep_ns": LARGE}, {}],
        [{"event": "wake", "value": LARGE}, {"event": "wake"}],
    )
    for run in (FORMAT_1, wide):
        columns = sql([run], f"SELECT * EXCLUDE (run) FROM {name}").schema
        for column in LOG_TABLES[name].columns:
            text = pa.types.is_dictionary(column.type)
            assert columns[column.name] == (pl.String if text else _POLARS[str(column.type)]), column.name
