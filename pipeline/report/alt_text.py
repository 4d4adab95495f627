"""Charts in words: the text alternative of each chart, made from the rows that it draws."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from pipeline.io.numbers import format_number
from pipeline.report.definition import Item
from pipeline.report.palette import Cast


def chart_in_words(item: Item, rows: pl.DataFrame, cast: Cast, facet: str = "") -> str:
    """Describe the chart of `item` over `rows` for whoever cannot see it: its values, run by run."""
    say: dict[str, Callable[[Item, pl.DataFrame], str]] = {
        "bars": _bar,
        "lines": _line,
        "tail": _tail,
        "stacked": _stack,
        "range": _span,
    }
    parts = []
    for run in cast.names:
        own = rows.filter(pl.col("run") == run)
        if not own.is_empty():
            parts.append(f"{cast.said(run)}: {say[item.chart](item, own)}")
    title = f"{item.title}, {facet}" if facet else item.title
    return f"{title}. " + "; ".join(parts) + "."


def _bar(item: Item, own: pl.DataFrame) -> str:
    return format_number(own[item.x][0], 3) or "unknown"


def _line(item: Item, own: pl.DataFrame) -> str:
    peak = own.sort(item.y, descending=True, nulls_last=True).row(0, named=True)
    return (
        f"at most {format_number(peak[item.y], 3)} {item.y_title or item.y}, "
        f"at {format_number(peak[item.x], 3)} on the axis {item.x_title or item.x}"
    )


def _tail(item: Item, own: pl.DataFrame) -> str:
    unit = " µs" if item.x.endswith("_us") else ""
    rising = own.sort(item.x)
    words = [f"{format_number(rising[item.y][0], 3)} % at least {format_number(rising[item.x][0], 3)}{unit}"]
    for share in (10.0, 1.0):
        reached = rising.filter(pl.col(item.y) <= share)
        if not reached.is_empty() and rising[item.y][0] > share:
            words.append(
                f"{format_number(reached[item.y][0], 2)} % at least "
                f"{format_number(reached[item.x][0], 3)}{unit}"
            )
    words.append(f"longest {format_number(rising[item.x][-1], 3)}{unit}")
    return ", ".join(words)


def _stack(item: Item, own: pl.DataFrame) -> str:
    largest = own.sort(item.x, descending=True, nulls_last=True).head(4)
    return ", ".join(
        f"{part} {format_number(value, 3)}"
        for part, value in zip(largest[item.series].to_list(), largest[item.x].to_list(), strict=True)
        if value
    )


def _span(item: Item, own: pl.DataFrame) -> str:
    row = own.row(0, named=True)
    low, middle, high = (format_number(row[c], 3) or "unknown" for c in (item.low, item.x, item.high))
    return f"{middle}, from {low} to {high}"
