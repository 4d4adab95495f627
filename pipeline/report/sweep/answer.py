"""The answer of a sweep in a few sentences: which design is best at how many of its settings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any

import polars as pl

from pipeline.io.numbers import join_words
from pipeline.report.standing import NEGLIGIBLE
from pipeline.report.sweep.measures import MAPPED, THROUGHPUT, Measure
from pipeline.report.sweep.points import Points
from pipeline.statistics import Estimate

_NAMED = 4


def describe_sweep(points: Points, designs: Collection[str]) -> str:
    """Say which of `designs` is fastest, and which maps soonest, at how many settings of the factors."""
    if len(designs) < 2:
        return ""
    return " ".join(
        [
            *_describe(points, designs, THROUGHPUT, "is fastest", "is faster", most=True),
            *_describe(points, designs, MAPPED, "maps soonest", "maps sooner", most=False),
        ]
    )


def _describe(
    points: Points, designs: Collection[str], measure: Measure, does: str, better: str, most: bool
) -> Iterator[str]:
    frame = points.tabulate(points.estimate(measure.column), measure.column)
    frame = frame.filter(pl.col("run").is_in(list(designs)))
    ratios = {name: points.compare(measure.column, name) for name in designs}
    ahead: Counter[str] = Counter()
    settings = 0
    for rows in frame.partition_by(points.factors) if points.factors else [frame]:
        if len(rows) < 2:
            continue
        settings += 1
        first, second = rows.sort(measure.column, descending=most).head(2).rows(named=True)
        setting = tuple(first[factor] for factor in points.factors)
        if _is_apart(first, second, measure.column, ratios[first["run"]].get((second["run"], setting))):
            ahead[first["run"]] += 1
    if not settings:
        return
    of = f"{settings} settings" if settings > 1 else "the only setting"
    leaders = [
        f"{name} {does} at {count} of {of}" if settings > 1 else f"{name} {does}"
        for name, count in ahead.most_common(_NAMED)
    ]
    if leaders:
        yield f"{join_words(leaders)}."
    if close := settings - ahead.total():
        where = f"At {close} of {of}" if settings > 1 else "There"
        yield f"{where} no design {better} than the next by more than {100 * NEGLIGIBLE:g} % and chance."


def _is_apart(first: dict[str, Any], second: dict[str, Any], column: str, ratio: Estimate | None) -> bool:
    """Whether designs differ by more than a negligible share, and by more than chance.

    `ratio` is the second's to the first's in pairs of runs, if they have any; else their intervals decide.
    """
    larger, smaller = sorted((first, second), key=lambda row: -row[column])
    if larger[column] <= smaller[column] * (1 + NEGLIGIBLE):
        return False
    if ratio is not None:
        interval = ratio.factor_interval
        return interval is None or not interval[0] <= 100.0 <= interval[1]
    known = larger["low"] is not None and smaller["high"] is not None
    return not known or larger["low"] > smaller["high"]
