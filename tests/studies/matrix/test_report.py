"""The page of charts that `pipeline study matrix --report` writes."""

from __future__ import annotations

import pytest

from pipeline.errors import OutputError
from pipeline.report.document import Document
from pipeline.runs.store import find_runs
from pipeline.studies.matrix.chart_page import as_allocator, make_document, write_report
from pipeline.studies.matrix.designs_page import Comparison
from pipeline.studies.matrix.grid import BOUNDS, TRACES, Grid
from pipeline.studies.runner import Runner
from pipeline.sweeps.directory import create_sweep
from tests.report.browser import assert_all_drawn, chromium, needs_chromium
from tests.sql.handmade import make_run


@pytest.fixture(scope="module")
def grid(tmp_path_factory) -> Grid:
    runner = Runner(create_sweep(tmp_path_factory.mktemp("runs") / "sweep"))
    designs = (*BOUNDS, "atomic", "global_pool")
    return Grid(runner, designs, ("numaq16",), (1, 4), 60, traces=TRACES[:2], replications=2)


@pytest.fixture(scope="module")
def made(grid) -> Document:
    return make_document(grid, "pipeline study matrix --report x")


def block(made: Document, title: str):
    return next(b for b in made.blocks if b.item.title == title)


def test_every_measure_has_a_chart_for_each_trace_and_a_line_for_each_design(made, grid):
    assert made.styles.allocators == ("atomic", "global_pool")
    assert list(made.styles.bounds) == ["direct_map", "clairvoyant", "always_flush"]
    throughput = block(made, "Throughput")
    assert [chart.title for chart in throughput.charts] == [
        "kernel_build on numaq16",
        "read_one_byte on numaq16",
    ]
    assert throughput.legend == [*made.styles.names]
    assert len(throughput.frame) == len(TRACES[:2]) * 2 * len(grid.shown)
    (runs, trace, machine, *_) = throughput.charts[1].spec["transform"]
    assert runs["filter"]["oneOf"] == [*made.styles.names]
    assert trace == {"filter": {"field": "trace", "equal": "read_one_byte"}}
    assert machine == {"filter": {"field": "machine", "equal": "numaq16"}}


def test_figures_are_those_of_the_tables(made, grid):
    rows = {(r["run"], r["trace"], r["cpus"]): r for r in block(made, "Throughput").frame.to_dicts()}
    waits = {(r["run"], r["trace"], r["cpus"]): r for r in block(made, "Lock wait").frame.to_dicts()}
    dearer = {(r["run"], r["trace"], r["cpus"]): r for r in
              block(made, "Extra CPU time of an operation").frame.to_dicts()}  # fmt: skip
    for trace, machine, cpus in grid.settings():
        for allocator, point in grid.column(trace, machine, cpus).items():
            key = (allocator, trace.name, cpus)
            assert rows[key]["throughput_percent"] == pytest.approx(100 * point.share)
            assert waits[key]["lock_wait_percent"] == pytest.approx(point.lock_wait_percent)
            assert dearer[key]["dearer_us"] == pytest.approx(point.dearer_us)


def test_a_chart_says_in_words_what_it_shows_and_what_it_leaves_out(made):
    waits = block(made, "Lock wait")
    assert "No CPU waited for a lock with: atomic." in waits.left_out
    assert "with 1 / 4 CPUs. global_pool: 0 / " in waits.charts[0].alt_text
    assert block(made, "Pin waits").empty.startswith("No task waited")


def test_a_chart_that_would_be_as_the_first_is_named_and_not_drawn_again(made):
    space = block(made, "Kernel address space")
    assert [chart.title for chart in space.charts] == ["kernel_build on numaq16"]
    assert "Same as kernel_build on numaq16: read_one_byte on numaq16." in space.left_out


def test_many_runs_go_by_one_designs_name(made, grid):
    assert [run.name for run in made.runs[: len(grid.shown)]] == list(grid.shown)
    assert len(made.runs) == 4 * len(grid.shown)


def test_a_finding_says_in_which_setting_it_was_met(tmp_path):
    met = {"finding": "deadlock", "time_ns": 5, "message": "2 tasks sleep"}
    (run,) = find_runs([make_run(tmp_path / "run", "pool", findings=[met])])
    allocator = as_allocator(run)
    assert allocator.name == "pool"
    assert allocator.manifest.findings[0].message == "tiny, 2 CPUs of tiny: 2 tasks sleep"


def test_a_directory_is_no_file_to_write(grid, tmp_path):
    with pytest.raises(OutputError, match="found a directory"):
        write_report(tmp_path, Comparison(grid, [], []))


@needs_chromium
@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (400, "dark")])
def test_everything_is_drawn_and_nothing_fetched(grid, tmp_path, width, scheme):
    page = write_report(tmp_path / "designs.html", Comparison(grid, [], []))
    text = page.read_text(encoding="utf-8")
    assert "differ in" not in text
    assert str(grid.runner.directory.path) not in text
    assert page.stat().st_size < 3_000_000
    with chromium() as browser:
        assert_all_drawn(browser, page, width, scheme, at_least=8)
