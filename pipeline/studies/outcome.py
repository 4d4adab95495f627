"""What comes of a claim: each setting judged by runs that differ, then all settings together.

A claim holds in a setting if it does in so many of the replications that chance alone would seldom do it: by
the sign test at 5 %, two-sided, which takes at least six replications that all agree.
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
"""Replications that can tell anything by the sign test at 5 %."""


@dataclass(frozen=True)
class Setting:
    """One setting of a condition, and in how many of its replications what is claimed holds."""

    name: str
    held: int
    replications: int
    exact: bool = False
    """Whether nothing is left to chance, so that one run tells."""

    @property
    def holds(self) -> bool | None:
        """Whether the claim holds there; None if the replications do not tell."""
        if self.exact and self.held in (0, self.replications):
            return self.held > 0
        fewer = min(self.held, self.replications - self.held)
        if sign_test(fewer, self.replications) > 1 - CONFIDENCE:
            return None
        return 2 * self.held > self.replications


def sign_test(fewer: int, trials: int) -> float:
    """Probability that of fair trials one side comes as seldom as `fewer` times, either side, at most 1."""
    tail = sum(math.comb(trials, count) for count in range(fewer + 1))
    return min(1.0, 2.0 * tail / 2**trials)


def judge_settings(frame: pl.DataFrame, exact: bool = False) -> list[Setting]:
    """Count the rows of a condition by setting, in order of their first row.

    The columns are `holds` (NULL: not asked there), `setting` where there are several, and `replication`
    unless the study is exact. Raises UsageError for columns that are missing, for several rows of one
    replication, and if nothing is asked.
    """
    for column in ("holds", *(() if exact else ("replication",))):
        if column not in frame.columns:
            raise UsageError(f"wanted a column '{column}', found {', '.join(frame.columns)}")
    if frame.schema["holds"] != pl.Boolean:
        raise UsageError(f"column 'holds' wants true or false, found {frame.schema['holds']}")
    frame = frame.drop_nulls("holds")
    if frame.is_empty():
        raise UsageError("there is no row in which 'holds' is true or false; no run answers the claim")
    if "setting" not in frame.columns:
        frame = frame.with_columns(setting=pl.lit(""))
    if not exact and frame.select("setting", "replication").is_duplicated().any():
        raise UsageError("a setting has several rows of one replication; wanted one row for each")
    return [
        Setting(str(name), int(some["holds"].sum()), len(some), exact)
        for (name,), some in frame.group_by("setting", maintain_order=True)
    ]


def decide(settings: Sequence[Setting]) -> Outcome:
    """Put the settings together: a claim depends where it holds in some and not in others."""
    found = {setting.holds for setting in settings}
    if found == {True}:
        return "holds"
    if found == {False}:
        return "does not hold"
    return "cannot tell" if found <= {None, True} or found <= {None, False} else "depends"
