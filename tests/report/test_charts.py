"""The specification of each kind of chart over a few rows, held against files; UPDATE_SPECS=1 writes them."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import polars as pl
import pytest

from pipeline.report import vega
from pipeline.report.chart_kind import ChartKind
from pipeline.report.charts import KINDS
from pipeline.report.charts.timeline import draw_lanes
from pipeline.report.definition import Item
from pipeline.report.document import Block
from pipeline.report.styles import PARTS, RunStyles, part_colour, shipped_text
from pipeline.report.vega import NEAR, Plot
from pipeline.sql.library import load_query

SPECS = Path(__file__).parent / "specs"
STYLES = RunStyles(("pool", "percpu"), {"free": "lower bound", "dear": "upper bound"})


def rows(**values):
    """Rows of a run each; a list of values is a row each."""
    long = [
        (run, i, v) for run, vs in values.items() for i, v in enumerate(vs if isinstance(vs, list) else [vs])
    ]
    return pl.DataFrame(long, schema=["run", "t", "v"], orient="row")


CHARTS = {
    "bars": ({"x": "v"}, rows(pool=10.0, percpu=4.0, free=12.0, dear=500.0)),
    "lines": ({"x": "t", "y": "v"}, rows(pool=[1, 2, 1], free=[1, 1, 1])),
    "tail": ({"x": "t_us", "y": "v"}, rows(pool=[100.0, 10.0, 1.0]).with_columns(t_us=pl.col("t") + 1.0)),
    "stacked": (
        {"x": "v", "series": "part"},
        rows(pool=[60.0, 40.0]).with_columns(part=pl.col("t").replace_strict({0: "spin", 1: "idle"})),
    ),
    "range": (
        {"x": "v", "low": "least", "high": "most"},
        rows(pool=5.0, free=4.0).with_columns(least=pl.col("v") - 1, most=pl.col("v") + 1),
    ),
    "curves": (
        {"x": "t", "y": "v", "low": "least", "high": "most"},
        rows(pool=[2.0, 3.0], free=[4.0, 4.5]).with_columns(least=pl.col("v") - 1, most=pl.col("v") + 1),
    ),
    "heatmap": (
        {"x": "t", "y": "cpus", "value": "v"},
        rows(pool=[2.0, 3.0], free=[4.0, 4.5]).with_columns(cpus=pl.col("t") + 1),
    ),
}
STRETCHES = pl.DataFrame(
    [("pool", 0, "flush", 0.0, 2.0, 7), ("pool", 1, "spin", -1.0, 3.0, 8)],
    schema=["run", "cpu", "doing", "from_us", "to_us", "op"],
    orient="row",
).with_columns(around=pl.lit("flush"), around_op=7, at_ms=0.5, length_us=2.0)


def plot(kind, frame, **fields):
    return Plot(Item(query="q", chart=kind, title="A title", **fields), frame, STYLES)


def lanes():
    return plot("timeline", STRETCHES)


def same_as_file(name, spec):
    path = SPECS / f"{name}.json"
    if os.environ.get("UPDATE_SPECS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(
            json.dumps(spec, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8"
        )
    assert spec == json.loads(path.read_text(encoding="utf-8")), (
        f"if it is meant, UPDATE_SPECS=1 pytest {__file__}"
    )


DRAWN = [name for name, kind in KINDS.items() if type(kind).draw is not ChartKind.draw]


def specify(kind):
    """Specification over the kind's own rows, or over rows that have whatever a kind can require."""
    any_rows = rows(pool=[3.0, 2.0], free=[2.0, 1.0]).with_columns(
        x=pl.col("t") + 1, y=pl.col("v"), low=pl.col("v") - 1, high=pl.col("v") + 1, series=pl.lit("spin")
    )
    fields, frame = CHARTS.get(kind) or ({field: field for field in KINDS[kind].requires}, any_rows)
    return KINDS[kind].specify(plot(kind, frame, **fields))


@pytest.mark.parametrize("kind", DRAWN)
def test_a_chart_has_the_specification_it_had(kind):
    same_as_file(kind, specify(kind))


def test_a_timeline_has_the_specification_it_had():
    same_as_file("timeline", vega.finish(lanes().item, draw_lanes(lanes(), cpus=2)))


def test_the_documentation_lists_every_kind_with_what_it_draws_and_requires():
    document = (Path(__file__).parents[2] / "docs" / "report.md").read_text(encoding="utf-8")
    table = document[document.index("| chart | draws | requires |") :].split("\n\n")[0].splitlines()[2:]
    wanted = {
        f"| `{name}` | {kind.draws} | {', '.join(f'`{field}`' for field in kind.requires)}"
        for name, kind in KINDS.items()
    }
    missing = [start for start in wanted if not any(row.startswith(start) for row in table)]
    assert not missing, "docs/report.md lacks these rows"
    assert len(table) == len(KINDS)


def test_every_mark_that_is_seen_fades_when_others_are_picked():
    for kind in DRAWN:
        spec = specify(kind)
        assert spec["params"] == [{"name": "picked", "value": []}]
        for unit in spec.get("layer", [spec]):
            hidden = unit["mark"].get("opacity") == 0
            assert hidden or "indexof(picked" in unit["encoding"]["opacity"]["condition"]["test"], kind


def test_an_axis_is_made_for_the_designs_and_reaches_bounds_that_are_near():
    bars = plot("bars", rows(pool=10.0, free=10.0 * NEAR, dear=10.0 * NEAR + 1), x="v")
    spec = KINDS["bars"].specify(bars)
    assert spec["layer"][1]["encoding"]["x"]["scale"]["domain"] == [0, pytest.approx(10 * NEAR * 1.3)]
    assert KINDS["bars"].bounds_beyond(bars) == ["dear (upper bound), at 31"]


def test_a_timeline_in_words_adds_up_what_cpus_did():
    assert KINDS["timeline"].alt_text(lanes()) == (
        "A title. pool, around the flush of operation 7 at 0.5 ms, 2 µs long: in 4 µs 2 CPUs spent in "
        "total spin 4 µs, flush 2 µs."
    )


@pytest.mark.parametrize(("least", "begins"), [(99.0, 98.92), (50.0, 0)])
def test_curves_that_lie_close_together_have_an_axis_that_does_not_begin_at_zero(least, begins):
    spec = KINDS["curves"].specify(
        plot("curves", rows(pool=[least, 100.0], percpu=[99.5, 99.5]), x="t", y="v")
    )
    up = spec["layer"][0]["encoding"]["y"]
    assert up["scale"]["domain"][0] == pytest.approx(begins)
    assert ("not from 0" in up["title"]) == (begins > 0)


@pytest.mark.parametrize("block", [0, 1], ids=["light", "dark"])
def test_a_colour_of_the_style_sheet_means_one_thing(block):
    sheet = shipped_text("page.css")
    theme = re.findall(r":root \{(.*?)\}", sheet, re.DOTALL)[block]
    meanings = dict(re.findall(r"--((?:run|part|series)-[\w-]+|bound): (#\w+)", theme))
    assert {part_colour(part) for part in PARTS} <= meanings.keys()
    assert len(set(meanings.values())) == len(meanings)


def test_a_design_has_its_look_in_every_document_unless_another_one_has_the_colour():
    for names in (("percpu_pinned", "global_pool"), ("mine", "global_pool (slots=64)", "percpu_pinned")):
        styles = RunStyles(names, {})
        assert [styles.colour(name) for name in names if name.startswith("global")] == ["run-0"]
        assert styles.colour("percpu_pinned") == "run-1"
    assert RunStyles(("epoch_pool", "percpu_pinned"), {}).colour("percpu_pinned") == "run-1"
    # split_pool has the colour of global_pool, and another one beside it.
    assert RunStyles(("split_pool",), {}).colour("split_pool") == "run-0"
    both = RunStyles(("global_pool", "split_pool"), {})
    assert both.colour("split_pool") != both.colour("global_pool")
    many = RunStyles(tuple(f"design {k}" for k in range(20)), {})
    assert len({(many.colour(name), *many.dash(name)) for name in many.allocators}) == 20


def test_single_events_are_ticks_and_rates_are_steps():
    frame = rows(pool=[0, 30], percpu=[1, 0]).with_columns(
        per_second=pl.when(pl.col("run") == "pool").then(pl.col("v") * 10.0)
    )
    marks = {}
    for runs in (["pool", "percpu"], ["pool"], ["percpu"]):
        chosen = plot("lines", frame.filter(pl.col("run").is_in(runs)), x="t", y="per_second", count="v")
        block = Block(chosen.item, load_query("flushes_over_time"), chosen.rows)
        KINDS["lines"].show(block, STYLES, [])
        marks[" ".join(runs)] = [(chart.title, chart.spec["mark"]["type"]) for chart in block.charts]
    assert marks == {
        "pool percpu": [("Rates", "line"), ("Single events", "tick")],
        "pool": [("", "line")],
        "percpu": [("", "tick")],
    }
