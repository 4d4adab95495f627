"""A claim put to the replay: does it hold, with its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.listing import listing
from pipeline.markdown import table


@dataclass(frozen=True)
class Verdict:
    """What came of one claim."""

    claim: str
    source: str
    """Who said it, or measured it, and when."""
    outcome: Literal["holds", "does not hold", "depends"]
    because: str
    """The reason, with the numbers that decide."""
    conditions: str
    """Profile, workload, loop and seed of the runs."""
    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]

    def text(self) -> str:
        """The verdict for the terminal."""
        return (
            f"{self.claim}\n  ({self.source})\n{self.outcome.upper()}: {self.because}\n"
            + listing([self.head, *self.rows])
            + f"{self.conditions}\n"
        )

    def markdown(self) -> str:
        """The verdict for a document, as a section of the third level."""
        parts = [
            f"### {self.claim}",
            f"{self.source}. **{self.outcome.capitalize()}**: {self.because}",
            table(self.head, self.rows).rstrip(),
            f"{self.conditions}.",
        ]
        return "\n\n".join(parts) + "\n"
