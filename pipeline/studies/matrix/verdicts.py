"""Judging what a design's author said, in prose that stays only while the runs come out the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pipeline.studies.matrix.grid import Grid, NotAskedError

Wrong = Literal["nobody", "author", "expectation", "model", "implementation"]
"""What is wrong where a saying does not come out; an expectation is one that nobody put in words."""


@dataclass(frozen=True)
class Saying:
    """What was said of a design, and how the runs are asked whether it is so."""

    allocator: str
    author: str
    said: str
    look: Callable[[Grid], tuple[bool, str]]
    """Whether it comes out, and the numbers; raises NotAskedError where a setting was left out."""
    judged: bool
    """What came out when `judgement` was written."""
    wrong: Wrong
    judgement: str


@dataclass(frozen=True)
class Judged:
    """A saying put to the runs."""

    saying: Saying
    comes_out: bool | None
    """None: what it needs was left out of the comparison."""
    figures: str

    @property
    def stale(self) -> bool:
        """Whether the runs say otherwise than when the judgement was written."""
        return self.comes_out is not None and self.comes_out != self.saying.judged

    @property
    def outcome(self) -> str:
        """In one or two words."""
        if self.comes_out is None:
            return "not asked"
        return "comes out" if self.comes_out else "does not come out"

    @property
    def wrong(self) -> str:
        """Who is wrong, in one word."""
        if self.comes_out is None:
            return "-"
        return "to be judged anew" if self.stale else self.saying.wrong

    def markdown(self) -> str:
        """One item of a list."""
        saying = self.saying
        lead = f"- {saying.author}: {saying.said}. **{self.outcome.capitalize()}**: {self.figures}"
        if self.comes_out is None:
            return lead
        if self.stale:
            came = "did" if saying.judged else "did not"
            return (
                f"{lead} **To be judged anew**: when this was judged it {came} come out, and what was "
                f"written "
                "then is left out here."
            )
        wrong = "" if saying.wrong == "nobody" else f" Wrong is the {saying.wrong}."
        return f"{lead}{wrong} {saying.judgement}".rstrip()


def judged(grid: Grid, saying: Saying) -> Judged:
    """Put one saying to the runs of a comparison."""
    try:
        comes_out, figures = saying.look(grid)
    except NotAskedError as left_out:
        return Judged(saying, None, f"it needs {left_out}.")
    return Judged(saying, comes_out, figures)
