"""The report: one self-contained HTML page that compares runs."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from pipeline.analysis.library import Query, run_query
from pipeline.analysis.output import readable_cell
from pipeline.analysis.session import Session, open_session
from pipeline.errors import InputError, OutputError, UsageError
from pipeline.files import complete_file
from pipeline.report import conditions
from pipeline.report.charts import chart
from pipeline.report.definition import Definition, Item, load_definition
from pipeline.report.palette import run_dash, series_colour
from pipeline.report.words import chart_in_words
from pipeline.resources import shipped

TEMPLATE = "page.html.j2"

# A chart of more points is neither readable nor light; its query should group them.
MOST_ROWS = 20_000

# More lines than this over one another cannot be told apart: each run then has a small chart of its own.
MOST_LINES = 5


def report(
    runs: Sequence[Path],
    output: Path,
    definition: str | Path | None = None,
    command: str | None = None,
) -> Path:
    """Write the page that compares `runs` to `output` and return its path.

    `runs` are run directories or directories of runs; `definition` is a shipped report's name or a .toml file
    (default: the shipped one); `command` is printed at the foot as what made the page. The page needs no
    network and no other file. Raises UsageError, InputError or OutputError for what the user can mend.
    """
    if output.is_dir():
        # Said before a second's work, not after it.
        raise OutputError(f"{output}: wanted a file to write, found a directory; give a file name inside it")
    chosen, queries = load_definition(definition)
    with open_session(runs) as session:
        if not session.runs:
            raise UsageError("wanted at least one run directory, found none; give it as an argument")
        html = _page(session, chosen, queries, command)
    with complete_file(output) as temporary:
        temporary.write_text(html, encoding="utf-8")
    return output


def _page(session: Session, definition: Definition, queries: dict[str, Query], command: str | None) -> str:
    names = [run.name for run in session.runs]
    number = 0
    sections = []
    for section in definition.section:
        blocks = []
        for item in section.item:
            number += 1
            blocks.append(_block(session, item, queries[item.query], names, number))
        sections.append({"title": section.title, "text": section.text, "blocks": blocks})
    environment = Environment(
        loader=FileSystemLoader(shipped("reports")),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    bundle = _vega_bundle()
    style = _shipped_text("page.css")
    script = _shipped_text("page.js")
    return environment.get_template(TEMPLATE).render(
        title=definition.title,
        text=definition.text,
        sections=sections,
        runs=[{"name": name, **_swatch(names, name)} for name in names],
        swatch={name: _swatch(names, name) for name in names},
        traces=conditions.traces(session.runs),
        machines=conditions.machines(session.runs),
        shared=conditions.shared(session.runs),
        designs=conditions.designs(session.runs),
        warnings=conditions.warnings(session.runs),
        findings=conditions.findings(session.runs),
        command=command,
        # The policy admits exactly these inline texts, and nothing from anywhere else.
        policy=(
            "default-src 'none'; "
            f"script-src {_hash(bundle)} {_hash(script)}; style-src {_hash(style)}; "
            "img-src data:; base-uri 'none'; form-action 'none'"
        ),
        style=Markup(style),
        bundle=Markup(bundle),
        script=Markup(script),
    )


def _swatch(names: Sequence[str], name: str) -> dict[str, Any]:
    position = names.index(name)
    return {"colour": f"run-{position % 8}", "dash": " ".join(map(str, run_dash(position)))}


def _block(session: Session, item: Item, query: Query, names: Sequence[str], number: int) -> dict[str, Any]:
    """Everything the template needs of one item: its table or charts, or the sentence that says why not."""
    frame = run_query(session, query, item.params)
    wanted = {"run", item.x, item.y, item.series, item.low, item.high, item.facet}
    wanted = (wanted | item.columns.keys() | item.where.keys()) - {""}
    missing = sorted(wanted - set(frame.columns))
    if missing:
        raise InputError(
            f"report item '{item.title}': query '{item.query}' has no column {', '.join(missing)}; "
            f"it has {', '.join(frame.columns)}"
        )
    if len(frame) > MOST_ROWS:
        raise InputError(
            f"report item '{item.title}': query '{item.query}' gives {len(frame):,} rows, wanted at most "
            f"{MOST_ROWS:,}; group them in the SQL"
        )
    parameters = {param.name: param.default for param in query.params} | item.params
    block: dict[str, Any] = {
        "number": number,
        "title": item.title,
        "text": item.text,
        "kind": item.chart,
        "sql": query.body,
        "query": query.name,
        "parameters": ", ".join(f"{name} = {value}" for name, value in parameters.items()),
        "empty": "",
        "left_out": "",
    }
    if item.chart == "table":
        return block | _table(item, query, frame)
    rows = _drawn(item, frame)
    present = [name for name in names if name in set(rows["run"].to_list())]
    if not present:
        return block | {"empty": item.empty}
    absent = [name for name in names if name not in present]
    block["left_out"] = f"{item.none}: {', '.join(absent)}." if absent else ""
    crowded = item.chart == "lines" and len(present) > MOST_LINES
    units = {column.name: column for column in query.columns}
    heads = [_head(name, units) for name in frame.columns]
    parts = rows[item.series].unique(maintain_order=True).to_list() if item.series else []
    return block | {
        "charts": _charts(item, rows, names, present, crowded),
        "small": crowded,
        "axes": f"Up: {item.y_title or item.y}. Across: {item.x_title or item.x}. All on equal axes.",
        "data": _json({"columns": frame.columns, "heads": heads, "rows": _cells(frame)}),
        "legend": present if item.chart in ("lines", "tail") and not crowded else [],
        "parts": [
            {"name": part, "colour": series_colour(i)[4:-1].removeprefix("--")}
            for i, part in enumerate(parts)
        ],
    }


def _charts(
    item: Item, rows: pl.DataFrame, names: Sequence[str], present: Sequence[str], crowded: bool
) -> list[dict[str, Any]]:
    """One chart, or one for each value of the facet, or, of crowded lines, one for each run on equal axes."""
    charts = []
    if crowded:
        for run in present:
            own = rows.filter(pl.col("run") == run)
            spec = chart(item, rows, names) | {"height": 90}
            # There is no room for a title beside so small an axis; the template says it once for all.
            spec["encoding"]["y"]["title"] = spec["encoding"]["x"]["title"] = None
            spec["transform"].insert(0, {"filter": {"field": "run", "equal": run}})
            charts.append({"title": run, "spec": _json(spec), "words": chart_in_words(item, own, names)})
        return charts
    facets = rows[item.facet].unique(maintain_order=True).sort().to_list() if item.facet else [None]
    for facet in facets:
        part = rows.filter(pl.col(item.facet) == facet) if item.facet else rows
        spec = chart(item, part, names)
        if item.facet:
            spec["transform"].insert(0, {"filter": {"field": item.facet, "equal": facet}})
        spec["transform"].insert(0, {"filter": {"field": "run", "oneOf": list(present)}})
        words = chart_in_words(item, part, names)
        charts.append({"title": str(facet or ""), "spec": _json(spec), "words": words})
    return charts


def _drawn(item: Item, frame: pl.DataFrame) -> pl.DataFrame:
    """Rows to draw: those that `where` asks for, of runs of which a measure is there and not always 0."""
    rows = frame
    for field, value in item.where.items():
        rows = rows.filter(pl.col(field) == value)
    something = pl.any_horizontal(pl.col(name).fill_null(0) != 0 for name in item.measures)
    worth = rows.filter(something)["run"].unique().to_list()
    rows = rows.filter(pl.col("run").is_in(worth))
    if item.chart == "tail":
        rows = rows.filter((pl.col(item.x) > 0) & (pl.col(item.y) > 0))
    return rows


def _table(item: Item, query: Query, frame: pl.DataFrame) -> dict[str, Any]:
    """Cells as text, with what marks them: a number, the best of its column."""
    if frame.is_empty():
        return {"empty": item.empty}
    documented = {column.name: column for column in query.columns}
    shown = list(item.columns) or frame.columns
    heads = []
    for name in shown:
        label, unit, doc = _head(name, documented)
        heads.append(
            {
                "label": item.columns.get(name, label),
                "unit": unit,
                "doc": doc,
                "number": frame.schema[name].is_numeric(),
            }
        )
    bests = {}
    for name, which in item.best.items():
        values = frame[name].drop_nulls()
        best = readable_cell(name, values.max() if which == "most" else values.min(), 3)
        # What reads the same is as good: no run is told from another by digits that nobody sees.
        if name in shown and any(readable_cell(name, value, 3) != best for value in values):
            bests[name] = best
    runs = frame["run"].to_list() if shown[0] == "run" else []
    again = [run == before for run, before in zip(runs, [None, *runs], strict=False)]
    rows = [
        [
            {
                "text": readable_cell(name, value, 3) or "–",
                "run": name == "run",
                "again": name == "run" and again[position],
                "best": name in bests and readable_cell(name, value, 3) == bests[name],
                "number": head["number"],
            }
            for name, head, value in zip(shown, heads, row, strict=True)
        ]
        for position, row in enumerate(frame.select(shown).iter_rows())
    ]
    return {"heads": heads, "rows": rows}


def _head(name: str, documented: dict[str, Any]) -> tuple[str, str, str]:
    """Label, unit and meaning of a column; a unit that the name ends in is not said twice."""
    column = documented.get(name)
    unit = column.unit if column else ""
    label = name
    for suffix in ("_percent", "_us", "_ms", "_ns", "_kib", "_mib"):
        if unit and label.endswith(suffix):
            label = label.removesuffix(suffix)
    return (
        label.replace("_", " "),
        unit.replace("us", "µs") if unit == "us" else unit,
        column.doc if column else "",
    )


def _cells(frame: pl.DataFrame) -> list[list[Any]]:
    """Rows as JSON can hold them; what is not finite becomes null, floats keep 7 digits."""

    def cell(value: Any) -> Any:
        if isinstance(value, float):
            return float(f"{value:.7g}") if math.isfinite(value) else None
        return value if isinstance(value, int | str | bool) or value is None else str(value)

    return [[cell(value) for value in row] for row in frame.iter_rows()]


def _json(content: Any) -> Markup:
    """JSON that may stand in a script element: no text in it can end the element or begin a comment."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _shipped_text(name: str) -> str:
    return (shipped("reports") / name).read_text(encoding="utf-8").strip()


# What the bundle gives to the page's script.
_SNIPPET = "window.vegaEmbed = vegaEmbed;"


@cache
def _vega_bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script; costs a second or two to make."""
    import vl_convert  # noqa: PLC0415 - starts a JavaScript engine

    bundle: str = vl_convert.javascript_bundle(_SNIPPET)
    # A script element ends at the first of these, wherever it stands.
    return bundle.replace("</script", "<\\/script").replace("<!--", "<\\!--")
