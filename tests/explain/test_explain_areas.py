"""What is said of mappings that other tasks unmap, or that no row unmaps."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.explain.explain import explain
from pipeline.explain.narrative import narrate
from pipeline.export.export import export
from tests.sql.handmade import make_run

OPERATIONS = [
    {"asked_ns": 0, "mapped_ns": 20, "unmap_asked_ns": 1_000, "done_ns": 1_100, "unmap_task": 1},
    {"asked_ns": 300, "mapped_ns": 320, "unmap_asked_ns": -1, "done_ns": -1, "unmap_task": -1},
]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "a", "a", OPERATIONS, totals={"wall_ns": 2_000}, areas=True)


def _said(run: Path, op: int) -> str:
    (found,) = explain(run, [op])
    return narrate(found)


def test_it_names_the_task_that_unmaps(run: Path) -> None:
    said = _said(run, 0)
    assert "0.98 us mapped, while task 0 went on" in said
    assert "unmapped by task 1 on cpu 0 in 0.1 us" in said
    assert said.endswith("1.1 us from request to done\n")


def test_a_mapping_that_remains_lasts_until_the_end(run: Path) -> None:
    said = _said(run, 1)
    assert "was not unmapped" in said
    assert said.endswith("1.7 us from request to the end of the run\n")


def test_a_row_that_unmaps_has_none_in_the_log(run: Path) -> None:
    assert "unmaps what another row mapped" in _said(run, 2)


@pytest.mark.parametrize("form", ["perfetto", "chrome", "csv", "parquet"])
def test_all_of_it_can_be_exported(run: Path, form: str, tmp_path: Path) -> None:
    output = tmp_path / f"x.{form}"
    export(run, form, output)
    assert output.stat().st_size > 0
    if form == "csv":
        assert sum('"unmap"' in line for line in output.read_text().splitlines()) == 1
