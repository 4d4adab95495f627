"""The designs side by side as an HTML page: one line per design over the number of CPUs, with the bounds.

The page is a report with the same parts as a report of runs. Here, many runs share the name of a design, and
each chart shows one trace on one machine.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from pipeline.io.files import check_no_directory, complete_file
from pipeline.io.numbers import format_number
from pipeline.report.charts import KINDS
from pipeline.report.document import Block, Chart, Document, Part, Spec
from pipeline.report.read_definition import load_definition
from pipeline.report.render import render_html
from pipeline.report.styles import RunStyles, style_runs
from pipeline.report.vega import Plot, add_filters
from pipeline.runs.store import Run, find_runs
from pipeline.sql.library import run_query
from pipeline.sql.session import Session
from pipeline.studies.matrix.designs_page import Comparison
from pipeline.studies.matrix.grid import LOWER, Grid

DEFINITION = Path(__file__).with_name("chart_page.toml")
HEIGHT = 230
LINES = KINDS["lines"]


def write_report(path: Path, comparison: Comparison, command: str | None = None) -> Path:
    """Write the page of `comparison`, whose runs must still exist, and return its path.

    Raises OutputError if it cannot be written.
    """
    check_no_directory(path)
    html = render_html(make_document(comparison.grid, command))
    with complete_file(path) as temporary:
        temporary.write_text(html, encoding="utf-8")
    return path


def make_document(grid: Grid, command: str | None = None) -> Document:
    """Query the grid's runs and compose the page."""
    definition, queries = load_definition(DEFINITION)
    with Session(find_runs(grid.run_directories())) as session:
        runs = [as_allocator(run) for run in session.runs]
        styles = style_runs(list({run.name: run for run in runs}.values()))
        frames = {name: run_query(session, query, {"beside": LOWER}) for name, query in queries.items()}
    parts = []
    for section in definition.section:
        blocks = []
        for item in section.item:
            frame = frames[item.query].select("run", "trace", "machine", item.x, item.y)
            blocks.append(Block(item, queries[item.query], frame))
            _fill(blocks[-1], styles, grid)
        parts.append(Part(section.title, section.text, blocks))
    return Document(definition.title, definition.text, parts, runs, styles, command, template="designs")


def as_allocator(run: Run) -> Run:
    """Rename a run to its design; its findings name their setting."""
    m = run.manifest
    where = f"{m.trace.name}, {m.machine.cpus} CPU{'s' * (m.machine.cpus > 1)} of {m.machine.name}"
    found = [one.model_copy(update={"message": f"{where}: {one.message}"}) for one in m.findings]
    return Run(m.label, run.directory, m.model_copy(update={"findings": found}))


def _fill(block: Block, styles: RunStyles, grid: Grid) -> None:
    """Add the charts of one measure, except for settings without data or with the same data as another."""
    item = block.item
    plot = Plot(item, LINES.select(item, block.frame), styles)
    if not plot.allocators:
        block.empty = item.empty
        return
    notes = []
    alike: list[str] = []
    first: pl.DataFrame | None = None
    if absent := [name for name in styles.allocators if name not in plot.runs]:
        notes.append(f"{item.none}: {', '.join(absent)}.")
    for trace in grid.traces:
        for machine in grid.machines:
            title = f"{trace.name} on {machine}"
            there = plot.where("trace", trace.name).where("machine", machine)
            if not (there.rows[item.y].fill_null(0) != 0).any():
                notes.append(f"None on {title}.")
                continue
            lines = there.rows.select("run", item.x, item.y).sort("run", item.x)
            if first is not None and lines.equals(first):
                alike.append(title)
                continue
            first = lines if first is None else first
            spec = _specify(there, {"trace": trace.name, "machine": machine})
            block.charts.append(Chart(title, spec, _alt_text(there, title)))
            if beyond := LINES.bounds_beyond(there):
                notes.append(f"Beyond the axis of {title}: {'; '.join(beyond)}.")
    if alike:
        notes.append(f"Same as {block.charts[0].title}: {', '.join(alike)}.")
    block.legend = plot.runs
    block.left_out = " ".join(notes)


def _specify(plot: Plot, setting: dict[str, str]) -> Spec:
    """Specify a line chart of the report, over the number of CPUs instead of time."""
    spec = LINES.specify(plot) | {"height": HEIGHT}
    cpus = sorted(set(plot.rows[plot.item.x].to_list()))
    spec["mark"] |= {"interpolate": "linear", "point": {"size": 26, "filled": True}}
    scale = {"type": "log", "base": 2, "nice": False, "domain": [cpus[0] * 0.95, cpus[-1] * 1.06]}
    axis = {"values": cpus, "grid": False, "format": "d"}
    spec["encoding"]["x"] |= {"title": plot.item.x_title or "CPUs", "scale": scale, "axis": axis}
    add_filters(spec, {"run": plot.runs} | setting)
    return spec


def _alt_text(plot: Plot, title: str) -> str:
    """Describe every line of the chart, with a value for each number of CPUs."""
    item = plot.item
    lines = []
    for run in plot.runs:
        values = plot.where("run", run).rows.sort(item.x)[item.y].to_list()
        texts = " / ".join(format_number(value, 3) or "unknown" for value in values)
        lines.append(f"{plot.styles.label(run)}: {texts}")
    across = " / ".join(map(str, sorted(set(plot.rows[item.x].to_list()))))
    return f"{item.title} in {item.y_title}, {title}, with {across} CPUs. {'; '.join(lines)}."
