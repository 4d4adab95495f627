"""A claim about an allocator beside the others: what was said, and the predicate that asks the runs.

A predicate takes what it needs from the grid, and makes a few further runs with other options or prices. It
returns whether the claim holds, and the numbers; it raises NotAskedError where the grid leaves out a setting.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.studies.matrix.grid import Grid, NotAskedError
from pipeline.studies.verdict import Opinion, Outcome, Verdict, Wrong


@dataclass(frozen=True)
class Claim:
    """What was said of an allocator, and how the runs are asked whether it is so."""

    allocator: str
    source: str
    words: str
    predicate: Callable[[Grid, str], tuple[bool, str]]
    opinion: Opinion | None = None

    def judge(self, grid: Grid) -> Verdict:
        """Put it to the runs of a grid."""
        outcome: Outcome
        try:
            holds, because = self.predicate(grid, self.allocator)
            outcome = "holds" if holds else "does not hold"
        except NotAskedError as left_out:
            outcome, because = "not asked", f"it needs {left_out}."
        return Verdict(
            self.words, self.source, outcome, because, allocator=self.allocator, opinion=self.opinion
        )


CLAIMS: list[Claim] = []
Predicate = Callable[[Grid, str], tuple[bool, str]]


def claim(
    allocator: str, source: str, words: str, opinion: str = "", wrong: Wrong = "nobody"
) -> Callable[[Predicate], Predicate]:
    """Make a predicate the test of a claim; an opinion is optional, and of the outcome known so far."""

    def add(predicate: Predicate) -> Predicate:
        known = Opinion(wrong, opinion) if opinion else None
        CLAIMS.append(Claim(allocator, source, words, predicate, known))
        return predicate

    return add
