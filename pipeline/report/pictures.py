"""The charts of a report as pictures, each a file of its own; drawn by the same Vega as on the page."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pipeline.errors import UsageError
from pipeline.io.files import complete_directory, complete_file
from pipeline.report.blocks import Block, Chart
from pipeline.report.document import Document
from pipeline.report.html import objects_of
from pipeline.report.style import CONFIG, FONT, in_light

WIDTH = 640
SCALE = 2.0
"""Pixels of a PNG for each of the chart's."""


def write_pictures(document: Document, form: str, directory: Path, advance: Callable[[int], None]) -> None:
    """Write each chart of the report into a new `directory`; `advance(1)` is called after each block."""
    if not any(block.charts for block in document.blocks):
        raise UsageError(_nothing(document))
    with complete_directory(directory) as temporary:
        for number, block in enumerate(document.blocks, 1):
            for name, chart in _named(block):
                (temporary / f"{number:02d}-{name}.{form}").write_bytes(_drawn(_alone(block, chart), form))
            advance(1)


def write_picture(document: Document, form: str, path: Path) -> None:
    """Write the charts of a report of one item below one another into one file."""
    charts = [(block, chart) for block in document.blocks for chart in block.charts]
    if not charts:
        raise UsageError(_nothing(document))
    specs = [_alone(block, chart) for block, chart in charts]
    if len(specs) > 1:
        for spec in specs:
            spec.pop("autosize")
        # Data and parameters are named, and names must be one's own.
        independent = {
            "color": "independent",
            "strokeDash": "independent",
            "x": "independent",
            "y": "independent",
        }
        for position, spec in enumerate(specs):
            _rename_rows(spec, f"rows{position}")
        whole = {"vconcat": specs, "resolve": {"scale": independent}, "params": specs[0]["params"]}
        for spec in specs:
            spec.pop("params")
    else:
        whole = specs[0]
    with complete_file(path) as temporary:
        temporary.write_bytes(_drawn(whole, form))


def _nothing(document: Document) -> str:
    said = "; ".join(block.empty or f"'{block.item.title}' is a table" for block in document.blocks)
    return f"wanted at least one chart to draw, found none: {said}; tables are in --format md, json and html"


def _named(block: Block) -> Iterator[tuple[str, Chart]]:
    """The charts of a block, each with what its file is called."""
    for position, chart in enumerate(block.charts, 1):
        several = len(block.charts) > 1
        # A run's name may hold anything, a file's may not.
        suffix = f"-{position}" if chart.run else f"-{chart.title}" if chart.title else ""
        yield block.item.name + (suffix if several else ""), chart


def _alone(block: Block, chart: Chart) -> dict[str, Any]:
    """A chart's specification with all that it needs: its data, title and legend."""
    spec = copy.deepcopy(chart.spec)
    title = {"text": block.item.title, "subtitle": chart.title, "anchor": "start", "fontSize": 13}
    spec |= {"title": title, "width": WIDTH}
    spec["data"] = {"name": "rows", "values": objects_of(block)}
    if block.legend or block.parts:
        for unit in spec.get("layer", [spec]):
            for channel in ("color", "strokeDash"):
                if channel in unit["encoding"] and "legend" in unit["encoding"][channel]:
                    unit["encoding"][channel]["legend"] = {"title": None, "orient": "bottom", "columns": 4}
    return spec


def _rename_rows(spec: dict[str, Any], name: str) -> None:
    spec["data"]["name"] = name
    for layer in spec.get("layer", ()):
        if "data" in layer:
            layer["data"]["name"] = name


def _drawn(spec: dict[str, Any], form: str) -> bytes:
    import vl_convert  # noqa: PLC0415 - starts a JavaScript engine

    config = CONFIG | {"background": "var(--paper)", "font": FONT}
    config |= {"legend": {"labelColor": "var(--ink)", "symbolOpacity": 1, "labelLimit": 260}}
    whole = in_light(
        spec | {"config": config | {"title": {"color": "var(--ink)", "subtitleColor": "var(--soft)"}}}
    )
    if form == "svg":
        return str(vl_convert.vegalite_to_svg(whole)).encode()
    return bytes(vl_convert.vegalite_to_png(whole, scale=SCALE))
