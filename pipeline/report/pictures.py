"""Write the charts of a report as picture files, drawn by the same version of Vega as on the page."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

from pipeline.errors import UsageError
from pipeline.io.files import complete_directory, complete_file
from pipeline.report.document import Block, Chart, Document, Spec
from pipeline.report.render import plain_rows
from pipeline.report.styles import resolve_light_colours, vega_config

WIDTH = 640
SCALE = 2.0
"""Pixels of a PNG per pixel of the chart."""


def write_pictures(document: Document, form: str, directory: Path, advance: Callable[[int], None]) -> None:
    """Write each chart of the report into a new `directory`; call `advance(1)` after each block."""
    _check_charts(document)
    with complete_directory(directory) as temporary:
        for number, block in enumerate(document.blocks, 1):
            for position, chart in enumerate(block.charts, 1):
                name = f"{number:02d}-{block.item.name}"
                if len(block.charts) > 1:
                    # The name of a run may contain characters that a file name must not.
                    name += f"-{position}" if chart.run or not chart.title else f"-{chart.title}"
                (temporary / f"{name}.{form}").write_bytes(_draw(_complete(block, chart), form))
            advance(1)


def write_picture(document: Document, form: str, path: Path) -> None:
    """Write the charts of a report of one item into one file, stacked vertically."""
    _check_charts(document)
    specs = [_complete(block, chart) for block in document.blocks for chart in block.charts]
    whole = specs[0]
    if len(specs) > 1:
        # Names of data and parameters must be unique.
        for position, spec in enumerate(specs):
            del spec["autosize"]
            spec["data"]["name"] = f"rows{position}"
            params = spec.pop("params")
        scale = dict.fromkeys(("color", "strokeDash", "x", "y"), "independent")
        whole = {"vconcat": specs, "resolve": {"scale": scale}, "params": params}
    with complete_file(path) as temporary:
        temporary.write_bytes(_draw(whole, form))


def _check_charts(document: Document) -> None:
    if any(block.charts for block in document.blocks):
        return
    reasons = "; ".join(block.empty or f"'{block.item.title}' is a table" for block in document.blocks)
    raise UsageError(
        f"expected at least one chart to draw, found none: {reasons}; write tables with --format md, json or "
        "html"
    )


def _complete(block: Block, chart: Chart) -> Spec:
    """The complete specification of a chart, with data, title and legend."""
    spec = copy.deepcopy(chart.spec)
    title = {"text": block.item.title, "subtitle": chart.title, "anchor": "start", "fontSize": 13}
    columns = block.frame.columns
    values = [dict(zip(columns, row, strict=True)) for row in plain_rows(block.frame)]
    spec = {"data": {"name": "rows", "values": values}} | spec | {"title": title, "width": WIDTH}
    if block.legend or block.parts:
        for unit in spec.get("layer", [spec]):
            for channel in ("color", "strokeDash"):
                if channel in unit["encoding"] and "legend" in unit["encoding"][channel]:
                    unit["encoding"][channel]["legend"] = {"title": None, "orient": "bottom", "columns": 4}
    return spec


def _draw(spec: Spec, form: str) -> bytes:
    import vl_convert  # noqa: PLC0415 - starts a JavaScript engine

    config = vega_config() | {
        "background": "var(--paper)",
        "legend": {"labelColor": "var(--ink)", "symbolOpacity": 1, "labelLimit": 260},
        "title": {"color": "var(--ink)", "subtitleColor": "var(--soft)"},
    }
    whole = resolve_light_colours(spec | {"config": config})
    if form == "svg":
        return str(vl_convert.vegalite_to_svg(whole)).encode()
    return bytes(vl_convert.vegalite_to_png(whole, scale=SCALE))
