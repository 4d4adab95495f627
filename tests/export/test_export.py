"""The log as a table, and what a user can get wrong."""

from __future__ import annotations

import gzip
import json
import re

import polars as pl
import pyarrow.parquet as pq
import pytest

from pipeline.errors import InputError, OutputError, PipelineError, UsageError
from pipeline.export import export as module
from pipeline.export import rows as timeline_rows
from pipeline.export.export import export
from pipeline.export.log_table import METADATA_KEY
from tests.cli.command import answer
from tests.export.small import OPERATIONS, small_run
from tests.sql.handmade import make_run


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_table_is_the_event_log_in_order_of_time(tmp_path, form):
    run = small_run(tmp_path / "run", 'it\'s "a", 表')
    done = export(run, form, tmp_path / "out")
    read = pl.read_csv if form == "csv" else pl.read_parquet
    frame = read(tmp_path / "out")
    assert frame.height == done.rows == 20
    assert frame["time_ns"].is_sorted()
    assert frame["run"].unique().to_list() == ['it\'s "a", 表']
    waits = frame.filter(pl.col("event") == "lock_wait")
    assert waits.select("time_ns", "duration_ns", "cpu", "task", "op", "page", "other").rows() == [
        (15, 47, 0, 1, 1, None, 0)
    ]


def test_a_parquet_file_says_what_it_is(tmp_path):
    run = small_run(tmp_path / "run")
    export(run, "parquet", tmp_path / "out.parquet")
    schema = pq.read_schema(tmp_path / "out.parquet")
    assert schema.field("duration_ns").metadata == {b"unit": b"ns", b"meaning": b"duration of the event"}
    manifest = json.loads((run / "manifest.json").read_text())
    assert json.loads(schema.metadata[METADATA_KEY])["fingerprint"] == manifest["fingerprint"]


def test_a_window_of_a_table_has_whole_rows(tmp_path):
    export(small_run(tmp_path / "run"), "csv", tmp_path / "out.csv.gz", from_ms=50e-6, to_ms=56e-6)
    lines = gzip.decompress((tmp_path / "out.csv.gz").read_bytes()).decode().splitlines()
    assert [line.split(",")[1:5] for line in lines[1:]] == [
        ["10", '"map_asked"', "", "55"],
        ["10", '"lock_hold"', '"map"', "50"],
        ["15", '"map_asked"', "", "115"],
        ["15", '"lock_wait"', '"map"', "47"],
        ["30", '"flush"', "", "25"],
    ]


def test_the_command_says_what_it_wrote(tmp_path):
    small_run(tmp_path / "run")
    said = answer("export", "run", "-o", "out.pftrace", cwd=tmp_path)
    assert said.startswith("out.pftrace: 36 slices on 7 tracks, 2 arrows, 0 to 0.000154 ms, ")


MISTAKES = [
    ({"form": "perfeto"}, UsageError, "unknown format 'perfeto' (did you mean 'perfetto'"),
    ({"form": "parquet", "name": "x.parquet.gz"}, UsageError, "name the file without .gz"),
    ({"from_ms": 2, "to_ms": 1}, UsageError, "expected a window that ends after it begins, found 2 to 1 ms"),
    ({"from_ms": 2, "to_ms": 3}, UsageError, "nothing happened from 2 to 3 ms; the run lasts from 0 to"),
    ({"from_ms": 6e-6, "to_ms": 9e-6}, UsageError, "nothing happened from 0.000006 to 0.000009 ms"),
    ({"form": "csv", "from_ms": 6e-6, "to_ms": 9e-6}, UsageError, "nothing happened from 0.000006"),
    ({"around_op": 2}, UsageError, "no operation 2; its operations are 0 to 1"),
    ({"around_op": 1, "to_ms": 1}, UsageError, "give either --around-op or --from-ms and --to-ms"),
    ({"run": "."}, UsageError, "expected one run, found 2: bare, run; give the path of one"),
    ({"run": "bare"}, InputError, "expected a run with its log, found totals only; replay it"),
    ({"run": "nowhere"}, InputError, "found no such directory"),
    ({"name": "run"}, OutputError, "expected a file to write, found a directory"),
]  # fmt: skip


@pytest.mark.parametrize(("how", "error", "said"), MISTAKES)
def test_a_mistake_is_told_and_leaves_nothing_behind(tmp_path, how, error, said):
    small_run(tmp_path / "run")
    make_run(tmp_path / "bare", "b", OPERATIONS, events="none")
    before = sorted(tmp_path.iterdir())
    given = {"run": "run", "form": "perfetto", "name": "out"} | how
    run, form, name = (given.pop(key) for key in ("run", "form", "name"))
    with pytest.raises(PipelineError) as raised:
        export(tmp_path / run, form, tmp_path / name, **given)
    assert type(raised.value) is error
    assert said in str(raised.value)
    assert sorted(tmp_path.iterdir()) == before


def test_a_file_that_grows_too_large_for_the_viewer_is_told_of_once(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LARGE_BYTES", 40_000)
    monkeypatch.setattr(timeline_rows, "TOGETHER", 2_048)
    rows = [
        {
            "asked_ns": 100 * i,
            "mapped_ns": 100 * i + 20,
            "unmap_asked_ns": 100 * i + 60,
            "done_ns": 100 * i + 70,
        }
        for i in range(4_000)
    ]
    warnings: list[str] = []
    run = make_run(tmp_path / "run", "a", rows, stretches=[{"end_ns": 1}])
    export(run, "chrome", tmp_path / "out.gz", warn=warnings.append)
    assert len(warnings) == 1
    (advised,) = re.findall(r"--from-ms 0 --to-ms (\S+) or", warnings[0])
    warnings.clear()
    done = export(run, "chrome", tmp_path / "out", to_ms=float(advised), warn=warnings.append)
    assert done.size == pytest.approx(40_000, rel=0.2)
    warnings.clear()
    export(run, "chrome", tmp_path / "out", to_ms=float(advised) / 2, warn=warnings.append)
    assert warnings == []
