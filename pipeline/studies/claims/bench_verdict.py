"""A claim put to the replay: does it hold, with its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.io.tables import align_columns, markdown_table

# "depends": it holds under some of the conditions tried; `because` begins with which.
Outcome = Literal["holds", "does not hold", "depends"]
Rows = Sequence[tuple[str, ...]]


@dataclass(frozen=True)
class Figures:
    """A further table of a verdict, with a line that says what it shows."""

    caption: str
    head: tuple[str, ...]
    rows: Rows

    def text(self) -> str:
        """The table for the terminal."""
        return f"{self.caption}\n" + align_columns([self.head, *self.rows])

    def markdown(self) -> str:
        """The table for a document."""
        return f"{self.caption}\n\n" + markdown_table(self.head, self.rows).rstrip()


@dataclass(frozen=True)
class Verdict:
    """What came of one claim."""

    claim: str
    source: str
    """Who said it, or measured it, and when."""
    outcome: Outcome
    because: str
    """The reason, with the numbers that decide."""
    conditions: str
    """Profile, workload, loop and seed of the runs."""
    head: tuple[str, ...]
    rows: Rows
    further: Sequence[Figures] = ()
    varied: str = ""
    """What differs between the runs, where the tables alone do not say it."""
    assumed: str = ""
    """What the outcome rests on that nobody measured."""
    commands: Sequence[str] = ()
    """Command lines that make one of the runs again."""

    def text(self) -> str:
        """The verdict for the terminal."""
        return (
            f"{self.claim}\n  ({self.source})\n{self.outcome.upper()}: {self.because}\n"
            + align_columns([self.head, *self.rows])
            + "".join(figures.text() for figures in self.further)
            + f"{self.conditions}\n"
            + "".join(f"{label}: {said}\n" for label, said in self._remarks())
            + "".join(f"$ {command}\n" for command in self.commands)
        )

    def markdown(self) -> str:
        """The verdict for a document, as a section of the third level."""
        parts = [
            f"### {self.claim}",
            f"{self.source}. **{self.outcome.capitalize()}**: {self.because}",
            markdown_table(self.head, self.rows).rstrip(),
            *(figures.markdown() for figures in self.further),
            f"{self.conditions}.",
            *(f"{label}: {said}" for label, said in self._remarks()),
        ]
        if self.commands:
            parts.append("One of its runs:\n\n" + "\n".join(f"    {command}" for command in self.commands))
        return "\n\n".join(parts) + "\n"

    def _remarks(self) -> list[tuple[str, str]]:
        return [(label, said) for label, said in (("Varied", self.varied), ("Assumed", self.assumed)) if said]
