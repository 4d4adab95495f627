"""The answer of a sweep: at how many settings each design is the best."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

import polars as pl

from pipeline.io.numbers import join_words
from pipeline.report.answer import LITTLE
from pipeline.report.standing import NEGLIGIBLE
from pipeline.report.sweep.measures import MAPPED, THROUGHPUT, Measure
from pipeline.report.sweep.points import Points
from pipeline.statistics import Estimate

_NAMED = 4


def describe_sweep(points: Points, designs: Collection[str]) -> str:
    """State at how many settings each of `designs` is the fastest, and at how many the quickest to map."""
    if len(designs) < 2:
        return ""
    found = [
        _describe("Fastest", *_count(points, designs, THROUGHPUT, most=True)),
        _describe("Quickest to map", *_count(points, designs, MAPPED, most=False)),
    ]
    if any(" or tied:" in sentence for sentence in found):
        found.append(f"Designs are tied if they differ by less than {LITTLE} or only by chance.")
    return " ".join(filter(None, found))


def _count(
    points: Points, designs: Collection[str], measure: Measure, most: bool
) -> tuple[Counter[str], int, bool]:
    """The settings at which each design is the best or tied, their total, and whether there are ties."""
    column = measure.column
    frame = points.tabulate(points.estimate(column), column).filter(pl.col("run").is_in(list(designs)))
    ratios = {name: points.compare(column, name) for name in designs}
    best: Counter[str] = Counter()
    settings = 0
    for rows in frame.partition_by(points.factors) if points.factors else [frame]:
        if len(rows) < 2:
            continue
        settings += 1
        first, *others = rows.sort(column, descending=most).rows(named=True)
        setting = tuple(first[factor] for factor in points.factors)
        leader = first["run"]
        best[leader] += 1
        for row in others:
            ratio = points.ratio(ratios[leader], leader, row["run"], setting)
            best[row["run"]] += not _is_apart(first, row, column, ratio)
    return best, settings, best.total() > settings


def _describe(best: str, counts: Counter[str], settings: int, ties: bool) -> str:
    """The sentence for one measure; "" if no setting has two designs."""
    by_count: dict[int, list[str]] = {}
    for name, count in (+counts).most_common():
        by_count.setdefault(count, []).append(name)
    named = [
        f"{join_words(names)} at {count}" if settings > 1 else join_words(names)
        for count, names in by_count.items()
    ]
    if settings > 1 and named:
        named[0] += f" of {settings} settings"
    more = ["others less often"] if len(named) > _NAMED else []
    return f"{best}{' or tied' if ties else ''}: {', '.join([*named[:_NAMED], *more])}." if named else ""


def _is_apart(first: dict[str, Any], second: dict[str, Any], column: str, ratio: Estimate | None) -> bool:
    """Whether designs differ by more than a negligible share, and not only by chance.

    `ratio` is the ratio of the second to the first in pairs of runs; without it, their intervals decide.
    """
    larger, smaller = sorted((first, second), key=lambda row: -row[column])
    if larger[column] <= smaller[column] * (1 + NEGLIGIBLE):
        return False
    if ratio is not None:
        interval = ratio.factor_interval
        return interval is None or not interval[0] <= 100.0 <= interval[1]
    known = larger["low"] is not None and smaller["high"] is not None
    return not known or larger["low"] > smaller["high"]
