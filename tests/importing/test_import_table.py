"""CSV and Parquet tables of other tools, explained by a mapping."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import InputError, UsageError
from pipeline.importing.import_trace import ImportResult, import_trace
from pipeline.trace.doctor import doctor
from tests.importing.recorded import imported

CSV = """\
start,tid,op,dev,ino,index,len,took
100.5,11,read,8:1,5,0,4096,2.5
101,12,write,8:1,5,1,100,2
110.25,11,fault,8:1,6,0,0,0.5
"""
MAPPING = """\
recorder = "my tool"
clock = "monotonic"
[columns]
time = { column = "start", unit = "us" }
held = { column = "took", unit = "us" }
task = "tid"
cpu = { constant = 3 }
page = ["dev", "ino", "index"]
bytes = "len"
kind = { column = "op", values = { read = "copy_to_user", write = "copy_from_user" }, default = "other" }
"""


def _mapping(tmp_path: Path, text: str = MAPPING) -> Path:
    (tmp_path / "m.toml").write_text(text)
    return tmp_path / "m.toml"


def test_columns_units_constants_and_kinds_are_translated(tmp_path: Path) -> None:
    rows, result = imported(tmp_path, CSV, mapping=_mapping(tmp_path))
    assert result.format == "table"
    assert rows["time_ns"].to_list() == [0, 500, 9750]
    assert rows["task"].to_list() == rows["process"].to_list() == [0, 1, 0]
    assert rows["page"].to_list() == [0, 1, 2]
    assert rows["kind"].to_list() == ["copy_to_user", "copy_from_user", "other"]
    assert rows["hold_ns"].to_list() == [2500, 2000, 500]
    assert rows["think_ns"].to_list() == [0, 0, 7250]
    assert rows["cpu"].to_list() == [3, 3, 3]
    assert rows["bytes"].to_list() == [4096, 100, 0]
    assert result.metadata.columns["cpu"] == "assumed"
    assert result.metadata.columns["hold_ns"] == "derived"
    assert result.metadata.source.recorder == "my tool"


def test_a_parquet_table_is_read_alike(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(CSV)
    pl.read_csv(tmp_path / "r.csv").write_parquet(tmp_path / "r.parquet")
    text = (tmp_path / "r.parquet").read_bytes()
    rows, _ = imported(tmp_path, text, mapping=_mapping(tmp_path), file="r2.parquet")
    assert rows["hold_ns"].to_list() == [2500, 2000, 500]


def test_holds_that_a_table_lacks_are_drawn_and_never_overlap(tmp_path: Path) -> None:
    mapping = _mapping(tmp_path, MAPPING.replace('held = { column = "took", unit = "us" }\n', ""))
    text = "start,tid,op,dev,ino,index,len,took\n" + "".join(f"{i},1,fault,0,0,{i},0,0\n" for i in range(500))
    rows, result = imported(tmp_path, text, mapping=mapping)
    assert len(rows) == 500
    assert rows["depth"].max() == 0
    assert rows["hold_ns"].max() >= 1000
    assert result.metadata.columns["hold_ns"] == "assumed"
    assert any("traces/holds.csv" in note for note in result.metadata.notes)
    assert doctor(tmp_path / "t.parquet").usable


def test_exact_durations_stay_as_they_are(tmp_path: Path) -> None:
    text = "t,k,p,h,b,th,w\n0,1,1,10,5,0,0\n100,1,1,20,0,70,15\n"
    mapping = """\
[columns]
time = { column = "t" }
task = "k"
page = "p"
hold = { column = "h" }
block = { column = "b" }
think = { column = "th" }
wait = { column = "w" }
"""
    rows, result = imported(tmp_path, text, mapping=_mapping(tmp_path, mapping))
    assert rows.select("think_ns", "wait_ns", "hold_ns", "block_ns").rows() == [
        (0, 0, 10, 5),
        (70, 15, 20, 0),
    ]
    assert result.metadata.columns["think_ns"] == "measured"
    assert result.metadata.columns["kind"] == "assumed"


def test_mistakes_are_explained(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--mapping"):
        imported(tmp_path, CSV, format="table")
    for text, message in (
        (MAPPING.replace('"tid"', '"pid"'), "lacks: pid; found: start, tid"),
        (MAPPING.replace("cpu =", "cqu ="), r"columns\.cqu.*columns are time, task"),
        (
            MAPPING.replace(', default = "other"', ""),
            "contains 'fault', which the mapping does not translate",
        ),
        (MAPPING.replace('unit = "us"', 'unit = "h"'), r"columns\.time\.unit.*found 'h'"),
        ("[columns", "expected TOML"),
    ):
        with pytest.raises(InputError, match=message):
            imported(tmp_path, CSV, mapping=_mapping(tmp_path, text))
    with pytest.raises(InputError, match="column 'tid' is null at row 1"):
        imported(tmp_path, CSV.replace("101,12", "101,"), mapping=_mapping(tmp_path))


def test_rows_without_a_page_are_left_out_and_counted_and_bytes_may_be_unknown(tmp_path: Path) -> None:
    text = "start,tid,pid,cpu,op,inode,index,took,n\n"
    text += "1,7,7,0,read,5,0,1,100\n2,7,7,,read,5,1,1,\n3,7,7,0,read,,0,1,100\n"
    (tmp_path / "m.toml").write_text(
        '[columns]\ntime = "start"\ntask = "tid"\nprocess = "pid"\ncpu = "cpu"\nbytes = "n"\n'
        'page = ["inode", "index"]\n'
    )
    rows, result = imported(tmp_path, text, mapping=tmp_path / "m.toml")
    assert rows["bytes"].to_list() == [100, None]
    assert rows["cpu"].to_list() == [0, None]
    assert result.metadata.losses == {"operations_dropped": 1}
    assert result.dropped == {"their row has no page": 1}


@pytest.mark.parametrize(
    ("rows", "unit", "wanted"),
    [
        ("1,7,1\n2,,1\n", "ns", "'tid' is null at row 1"),
        ("1,7,1\n9000000000000000000,7,1\n", "s", "check its unit"),
        ("1,7,1\n90000000000000000,7,1\n", "ns", "hours in ns"),
        ("1,7,1\nnan,7,1\n", "ns", "'start' is null at row 1"),
    ],
)
def test_times_and_tasks_that_make_no_sense_are_refused(tmp_path: Path, rows, unit, wanted) -> None:
    mapping = tmp_path / "m.toml"
    mapping.write_text(
        f'[columns]\ntime = {{ column = "start", unit = "{unit}" }}\ntask = "tid"\npage = "page"\n'
    )
    with pytest.raises(InputError, match=wanted):
        imported(tmp_path, "start,tid,page\n" + rows, mapping=mapping)


CASES = Path(__file__).parent / "cases"


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("28-table-duplicate-column/input.csv", "input.csv: the table has two columns 't'; rename one"),
        ("29-table-numbers-cut/bytes.csv", r"'n' is 3000000000 at row 0; expected .* to 2147483647"),
    ],
)
def test_a_table_with_a_mistake_is_refused_by_name(tmp_path: Path, case: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        import_trace(CASES / case, tmp_path / "t.parquet", mapping=(CASES / case).parent / "map.toml")
    assert not list(tmp_path.iterdir())


def _parquet(tmp_path: Path, columns: dict[str, pa.Array]) -> tuple[pl.DataFrame, ImportResult]:
    """Import a table of columns of the mapping's names: time, task, page and whatever else there is."""
    pq.write_table(pa.table(columns), tmp_path / "r.parquet")
    lines = [f'{name} = "{name}"' for name in columns]
    mapping = _mapping(tmp_path, "\n".join(["[columns]", *lines]))
    result = import_trace(tmp_path / "r.parquet", tmp_path / "t.parquet", mapping=mapping)
    return pl.read_parquet(tmp_path / "t.parquet"), result


TIME, TASK, PAGE = pa.array([0, 1000, 2000]), pa.array([1, 2, 1]), pa.array([5, 6, 5])


@pytest.mark.parametrize(
    "type", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())]
)
def test_text_of_any_type_tells_tasks_and_pages(tmp_path: Path, type: pa.DataType) -> None:
    text = pa.array(["a", "b", "a"]).cast(type)
    rows, _ = _parquet(tmp_path, {"time": TIME, "task": text, "page": text})
    assert rows["task"].to_list() == rows["page"].to_list() == [0, 1, 0]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_timestamps_and_durations_have_units_of_their_own(tmp_path: Path, unit: str) -> None:
    columns = {
        "time": pa.array([0, 1, 2]).cast(pa.timestamp(unit)), "task": TASK, "page": PAGE,
        "held": pa.array([1, 1, 0]).cast(pa.duration(unit)),
    }  # fmt: skip
    rows, _ = _parquet(tmp_path, columns)
    step = {"s": 10**9, "ms": 10**6, "us": 1000, "ns": 1}[unit]
    assert rows["time_ns"].to_list() == [0, step, 2 * step]
    assert (rows["hold_ns"] + rows["block_ns"]).to_list() == [step, step, 0]


def test_not_a_number_is_no_page(tmp_path: Path) -> None:
    page = pa.array([5.0, float("nan"), float("nan")])
    rows, result = _parquet(tmp_path, {"time": TIME, "task": TASK, "page": page})
    assert len(rows) == 1
    assert result.dropped == {"their row has no page": 2}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"cpu": pa.array([1, 40_000, 2])}, "'cpu' is 40000 at row 1; expected a number from -1 to 32767"),
        ({"bytes": pa.array([1, 2, 1 << 40])}, "'bytes' is 1099511627776 at row 2"),
        (
            {"bytes": pa.array([1, 2, (1 << 64) - 1], pa.uint64())},
            "'bytes' is 18446744073709551615 at row 2",
        ),
        ({"bytes": pa.array([1.0, 2.5, 3.0])}, "'bytes' is 2.5 at row 1"),
        ({"time": pa.array([0.0, float("inf"), 1.0])}, "'time' is inf at row 1"),
        ({"time": pa.array([0.0, float("nan"), 1.0])}, "'time' is null at row 1"),
        ({"held": pa.array([1, -5, 1])}, "'held' is -5 at row 1; expected a number from 0"),
        (
            {"time": pa.array(["a", "b", "c"])},
            "'time' has the type string, but times or numbers are required",
        ),
        (
            {"page": pa.array([[1], [2], [3]])},
            "'page' has the type list<.*>, but numbers or text are required",
        ),
        ({"task": pa.array([1, None, 2])}, "'task' is null at row 1"),
    ],
)
def test_a_value_that_does_not_fit_is_named(
    tmp_path: Path, columns: dict[str, pa.Array], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        _parquet(tmp_path, {"time": TIME, "task": TASK, "page": PAGE} | columns)
    assert not (tmp_path / "t.parquet").exists()
