"""The designs side by side as a page: one line a design, CPUs across, the bounds to measure by.

The page is a report like that of runs, made of the same parts. Here many runs go by one design's name, and a
chart is of one trace on one machine.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from pipeline.errors import OutputError
from pipeline.io.files import complete_file
from pipeline.io.numbers import format_number
from pipeline.report.blocks import Block, Chart
from pipeline.report.cells import head
from pipeline.report.charts import Spec, beyond, chart
from pipeline.report.definition import Item, load_definition
from pipeline.report.document import Document, Part
from pipeline.report.html import html_page
from pipeline.report.palette import Cast, cast
from pipeline.runs.discovery import RunFound, find_runs
from pipeline.sql.library import Query, run_query
from pipeline.sql.session import Session
from pipeline.studies.matrix.designs_page import Comparison
from pipeline.studies.matrix.grid import LOWER, Grid

DEFINITION = Path(__file__).with_name("chart_page.toml")
TEMPLATE = "designs.html.j2"
HEIGHT = 230


def write_report(path: Path, comparison: Comparison, command: str | None = None) -> Path:
    """Write the page of `comparison`, whose runs must still be there, and return its path.

    Raises OutputError if it cannot be written.
    """
    if path.is_dir():
        raise OutputError(f"{path}: wanted a file to write, found a directory; give a file name inside it")
    html = html_page(document(comparison.grid, command), TEMPLATE)
    with complete_file(path) as temporary:
        temporary.write_text(html, encoding="utf-8")
    return path


def document(grid: Grid, command: str | None = None) -> Document:
    """Ask the grid's runs what the page shows, and put it together."""
    definition, queries = load_definition(DEFINITION)
    with Session(find_runs(grid.run_directories())) as session:
        runs = [as_allocator(run) for run in session.runs]
        chosen = cast(list({run.name: run for run in runs}.values()))
        frames = {name: run_query(session, query, {"beside": LOWER}) for name, query in queries.items()}
    parts = [
        Part(
            section.title,
            section.text,
            [_block(item, queries[item.query], frames[item.query], chosen, grid) for item in section.item],
        )
        for section in definition.section
    ]
    return Document(definition.title, definition.text, parts, runs, chosen, command)


def as_allocator(run: RunFound) -> RunFound:
    """Let a run go by its design's name; its findings say where they were met."""
    m = run.manifest
    where = f"{m.trace.name}, {m.machine.cpus} CPU{'s' * (m.machine.cpus > 1)} of {m.machine.name}"
    found = [one.model_copy(update={"message": f"{where}: {one.message}"}) for one in m.findings]
    return RunFound(m.label, run.directory, m.model_copy(update={"findings": found}))


def _block(item: Item, query: Query, frame: pl.DataFrame, chosen: Cast, grid: Grid) -> Block:
    """Make the charts of one measure, for each trace and machine on which there is anything new to show."""
    rows = frame.select("run", "trace", "machine", item.x, item.y)
    heads = [head(name, query, rows) for name in rows.columns]
    block = Block(item, query, {"beside": LOWER}, rows, heads)
    worth = rows.filter(pl.col(item.y).fill_null(0) != 0)["run"].unique().to_list()
    drawn = chosen.among(worth)
    if not any(name in chosen.allocators for name in drawn):
        block.empty = item.empty
        return block
    notes = []
    alike: list[str] = []
    first: pl.DataFrame | None = None
    if absent := [name for name in chosen.allocators if name not in worth]:
        notes.append(f"{item.none}: {', '.join(absent)}.")
    for trace in grid.traces:
        for machine in grid.machines:
            title = f"{trace.name} on {machine}"
            there = rows.filter(
                (pl.col("trace") == trace.name) & (pl.col("machine") == machine) & pl.col("run").is_in(drawn)
            )
            if not (there[item.y].fill_null(0) != 0).any():
                notes.append(f"None on {title}.")
                continue
            lines = there.select("run", item.x, item.y).sort("run", item.x)
            if first is not None and lines.equals(first):
                alike.append(title)
                continue
            first = lines if first is None else first
            block.charts.append(
                Chart(title, _spec(item, there, chosen, title), _words(item, there, chosen, title))
            )
            if far := beyond(item, there, chosen):
                notes.append(f"Beyond the axis of {title}: {'; '.join(far)}.")
    if alike:
        notes.append(f"The same as on {block.charts[0].title}: {', '.join(alike)}.")
    block.legend = drawn
    block.left_out = " ".join(notes)
    return block


def _spec(item: Item, rows: pl.DataFrame, chosen: Cast, title: str) -> Spec:
    """Make a report's chart of lines, with numbers of CPUs across instead of time."""
    trace, machine = title.split(" on ")
    spec = chart(item, rows, chosen) | {"height": HEIGHT}
    cpus = sorted(set(rows[item.x].to_list()))
    spec["mark"] |= {"interpolate": "linear", "point": {"size": 26, "filled": True}}
    scale = {"type": "log", "base": 2, "nice": False, "domain": [cpus[0] * 0.95, cpus[-1] * 1.06]}
    axis = {"values": cpus, "grid": False, "format": "d"}
    spec["encoding"]["x"] |= {"title": item.x_title or "CPUs", "scale": scale, "axis": axis}
    spec["transform"] = [
        {"filter": {"field": "run", "oneOf": chosen.among(set(rows["run"].to_list()))}},
        {"filter": {"field": "trace", "equal": trace}},
        {"filter": {"field": "machine", "equal": machine}},
        *spec["transform"],
    ]
    return spec


def _words(item: Item, rows: pl.DataFrame, chosen: Cast, title: str) -> str:
    """Every line of the chart in words, a value for each number of CPUs."""
    cpus = sorted(set(rows[item.x].to_list()))
    said = []
    for run in chosen.among(set(rows["run"].to_list())):
        own = rows.filter(pl.col("run") == run).sort(item.x)
        values = " / ".join(format_number(value, 3) or "unknown" for value in own[item.y].to_list())
        said.append(f"{chosen.said(run)}: {values}")
    across = " / ".join(str(count) for count in cpus)
    return f"{item.title} in {item.y_title}, {title}, with {across} CPUs. {'; '.join(said)}."
