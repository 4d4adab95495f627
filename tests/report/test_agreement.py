"""One replayed run: what replay prints, SQL, lockmeter's form, the report and the export say is the same."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from pipeline.explain.explain import explain
from pipeline.export.export import export
from pipeline.report.report import report
from pipeline.runs.execute import replay
from pipeline.runs.summary import summary
from pipeline.sql.library import load_query, run_query
from pipeline.sql.session import open_session
from pipeline.workload.generate import generate


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("agreement")
    generate("fault_storm", directory / "storm.parquet", operations=400)
    return replay(
        directory / "storm.parquet", allocator="global_pool", machine="smp4-2002",
        options={"slots": "64"}, output=directory / "runs", compiled=False,
    ).path  # fmt: skip


def test_totals_log_report_and_export_agree(run, tmp_path):
    with open_session([run]) as session:
        manifest = session.runs[0].manifest
        (whole,) = session.query("SELECT * FROM runs").to_dicts()
        (lock,) = [r for r in run_query(session, load_query("lockmeter")).to_dicts() if r["site"] == "all"]
        (holds,) = session.query(
            "SELECT count(*) AS n, sum(hold_ns) AS ns, count(*) FILTER (WHERE relock) AS again "
            "FROM lock_holds"
        ).to_dicts()
        (logged,) = session.query(
            "SELECT (SELECT count(*) FROM flushes) AS flushes, (SELECT count(*) FROM sleeps) AS sleeps, "
            "(SELECT sum(wait_ns) FROM lock_waits) AS wait_ns"
        ).to_dicts()
        (slowest,) = run_query(session, load_query("slowest_operations"), {"top": 1}).to_dicts()
    assert whole["flushes"] == logged["flushes"] > 0
    assert whole["sleeps"] == logged["sleeps"] > 0
    assert (lock["acquisitions"], holds["again"] > 0) == (holds["n"], True)
    assert lock["hold_mean_us"] == pytest.approx(holds["ns"] / holds["n"] / 1e3)
    assert lock["cpu_percent"] == pytest.approx(100 * logged["wait_ns"] / (whole["wall_ns"] * whole["cpus"]))
    printed = summary(manifest, True, run)
    assert f"lock: {lock['acquisitions']:,} acquisitions, {lock['con_percent']:.1f}% contended" in printed
    assert f"{whole['flushes']:,} flushes ({whole['ipis']:,} IPIs)" in printed

    page = json.loads(report([run], tmp_path / "r.json").read_text(encoding="utf-8"))
    items = {item["name"]: item for section in page["sections"] for item in section["items"]}

    def reported(name: str) -> dict:
        return dict(zip([c["name"] for c in items[name]["columns"]], items[name]["rows"][0], strict=True))

    assert reported("lockmeter")["hold_mean_us"] == pytest.approx(lock["hold_mean_us"], rel=1e-6)
    assert reported("flushes-per-second")["flushes"] == whole["flushes"]
    assert reported("sleeps")["sleeps"] == whole["sleeps"]
    assert reported("slowest")["op"] == slowest["op"]

    (told,) = explain(run, slowest_of=1)
    assert told.op == slowest["op"]
    assert told.phases[0].ns / 1e3 == pytest.approx(slowest["map_us"])

    export(run, "parquet", tmp_path / "log.parquet")
    log = pl.read_parquet(tmp_path / "log.parquet")
    counted = dict(log.group_by("event").len().iter_rows())
    assert (counted["flush"], counted["sleep"]) == (whole["flushes"], whole["sleeps"])
    assert log.filter(pl.col("event") == "lock_hold")["duration_ns"].sum() == holds["ns"]
