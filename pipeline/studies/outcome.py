"""The outcome of a claim: each setting is judged by its replications, then all settings together.

A claim holds in a setting if it holds in significantly more than half of the replications, by a two-sided
sign test at 5 %. The test requires at least six replications, which must then all agree.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from pipeline.errors import UsageError
from pipeline.statistics import CONFIDENCE
from pipeline.studies.definition import Outcome

FEWEST = 6
"""Fewest replications that can be significant in a sign test at 5 %."""


@dataclass(frozen=True)
class Setting:
    """A setting of a condition, with the number of replications in which the claim holds."""

    name: str
    held: int
    replications: int
    exact: bool = False
    """Whether the runs are free of chance, so that one run is enough."""

    @property
    def holds(self) -> bool | None:
        """Whether the claim holds in the setting; None if the replications cannot tell."""
        if self.exact and self.held in (0, self.replications):
            return self.held > 0
        fewer = min(self.held, self.replications - self.held)
        if sign_test(fewer, self.replications) > 1 - CONFIDENCE:
            return None
        return 2 * self.held > self.replications


def sign_test(fewer: int, trials: int) -> float:
    """Two-sided probability that one side of fair trials occurs at most `fewer` times."""
    tail = sum(math.comb(trials, count) for count in range(fewer + 1))
    return min(1.0, 2.0 * tail / 2**trials)


def judge_settings(frame: pl.DataFrame, exact: bool = False) -> list[Setting]:
    """Count the rows of a condition by setting, in the order of the first row of each.

    The columns are `holds` (NULL: the row does not count), `setting` if there are several, and `replication`
    unless the study is exact. Raises UsageError for missing columns, for several rows of one replication, and
    if no row counts.
    """
    for column in ("holds", *(() if exact else ("replication",))):
        if column not in frame.columns:
            raise UsageError(f"expected a column '{column}', found {', '.join(frame.columns)}")
    if frame.schema["holds"] != pl.Boolean:
        raise UsageError(f"column 'holds' must be true or false, found {frame.schema['holds']}")
    frame = frame.drop_nulls("holds")
    if frame.is_empty():
        raise UsageError("no row has true or false in column 'holds', so no run tests the claim")
    if "setting" not in frame.columns:
        frame = frame.with_columns(setting=pl.lit(""))
    if not exact and frame.select("setting", "replication").is_duplicated().any():
        raise UsageError(
            "a setting has several rows of one replication; return one row per setting and replication"
        )
    return [
        Setting(str(name), int(some["holds"].sum()), len(some), exact)
        for (name,), some in frame.group_by("setting", maintain_order=True)
    ]


def decide(settings: Sequence[Setting]) -> Outcome:
    """Combine the settings: a claim depends if it holds in some settings and not in others."""
    found = {setting.holds for setting in settings}
    if found == {True}:
        return "holds"
    if found == {False}:
        return "does not hold"
    return "cannot tell" if found <= {None, True} or found <= {None, False} else "depends"
