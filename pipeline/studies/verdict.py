"""What came of a claim that was put to the replay, with its numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from string import Formatter
from typing import Any, Literal

from pipeline.io.tables import align_columns, markdown_table

# "depends": it holds under some of the conditions tried; `because` begins with which.
Outcome = Literal["holds", "does not hold", "depends", "not asked"]
Wrong = Literal["nobody", "author", "expectation", "model", "implementation"]
"""What is wrong where a claim does not hold; an expectation is one that nobody put in words."""
Column = str | Callable[[Any], str]
"""How a cell follows from a table's item: a function, or an attribute with its format ("totals.ipis:,"),
or an element with one ("[0].wall_s:.3f").

None and what is not a number are shown as "-".
"""
Columns = Mapping[str, Column]
"""Columns by their heads."""


class _Cells(Formatter):
    def format_field(self, value: Any, format_spec: str) -> str:
        absent = value is None or (isinstance(value, float) and isnan(value))
        return "-" if absent else format(value, format_spec)


def cell(item: object, column: Column) -> str:
    """Text of one cell."""
    if not isinstance(column, str):
        return column(item)
    return _Cells().format(f"{{0{'' if column.startswith('[') else '.'}{column}}}", item)


@dataclass(frozen=True)
class Table:
    """A table of a verdict, with a line that says what it shows."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""

    @classmethod
    def of(cls, items: Iterable[object], columns: Columns, caption: str = "") -> Table:
        """A row for each item."""
        rows = [[cell(item, column) for column in columns.values()] for item in items]
        return cls(list(columns), rows, caption)

    def text(self) -> str:
        """The table for the terminal."""
        lines = align_columns([tuple(self.head), *(tuple(row) for row in self.rows)])
        return f"{self.caption}\n{lines}" if self.caption else lines

    def markdown(self) -> str:
        """The table for a document."""
        lines = markdown_table(self.head, self.rows).rstrip()
        return f"{self.caption}\n\n{lines}" if self.caption else lines


@dataclass(frozen=True)
class Opinion:
    """What is thought of a claim's outcome; it stays only as long as its runs come out the same."""

    wrong: Wrong
    words: str

    @property
    def expected(self) -> Outcome:
        """The outcome that it is about."""
        return "holds" if self.wrong == "nobody" else "does not hold"


@dataclass(frozen=True)
class Verdict:
    """What came of one claim."""

    claim: str
    source: str
    """Who said it, or measured it, and when."""
    outcome: Outcome
    because: str
    """The reason, with the numbers that decide."""
    conditions: str = ""
    """Profile, workload, loop and seed of the runs."""
    tables: Sequence[Table] = ()
    varied: str = ""
    """What differs between the runs, where the tables alone do not say it."""
    assumed: str = ""
    """What the outcome rests on that nobody measured."""
    commands: Sequence[str] = ()
    """Command lines that make one of the runs again."""
    allocator: str = ""
    """Whose claim it is, where it is one allocator's."""
    opinion: Opinion | None = None

    @property
    def stale(self) -> bool:
        """Whether the runs say otherwise than when the opinion was written."""
        return self.opinion is not None and self.outcome not in ("not asked", self.opinion.expected)

    @property
    def wrong(self) -> str:
        """What is wrong, in one word."""
        if self.opinion is None or self.outcome == "not asked":
            return "-"
        return "to be judged anew" if self.stale else self.opinion.wrong

    def text(self) -> str:
        """The verdict for the terminal."""
        if self.allocator:
            return f"{self.allocator}: {self.claim}\n  {self.outcome}: {self.because}\n"
        return (
            f"{self.claim}\n  ({self.source})\n{self.outcome.upper()}: {self.because}\n"
            + "".join(shown.text() for shown in self.tables)
            + f"{self.conditions}\n"
            + "".join(f"{remark}\n" for remark in self._remarks())
            + "".join(f"$ {command}\n" for command in self.commands)
        )

    def markdown(self) -> str:
        """The verdict for a document, as a section of the third level."""
        parts = [
            f"### {self.claim}",
            f"{self.source}. {self._outcome()}",
            *(shown.markdown() for shown in self.tables),
            f"{self.conditions}.",
            *self._remarks(),
        ]
        if self.commands:
            parts.append("One of its runs:\n\n" + "\n".join(f"    {command}" for command in self.commands))
        return "\n\n".join(parts) + "\n"

    def item(self) -> str:
        """The verdict for a document, with the opinion, as one item of a list."""
        lead = f"- {self.source}: {self.claim}. {self._outcome()}"
        if self.opinion is None or self.outcome == "not asked":
            return lead
        if self.stale:
            was = "held" if self.opinion.expected == "holds" else "did not hold"
            return (
                f"{lead} **To be judged anew**: when this was judged it {was}, and what was written then is "
                "left out here."
            )
        wrong = "" if self.wrong == "nobody" else f" Wrong is the {self.wrong}."
        return f"{lead}{wrong} {self.opinion.words}".rstrip()

    def _outcome(self) -> str:
        return f"**{self.outcome.capitalize()}**: {self.because}"

    def _remarks(self) -> list[str]:
        remarks = {"Varied": self.varied, "Assumed": self.assumed}
        return [f"{label}: {words}" for label, words in remarks.items() if words]


def capitalize(text: str) -> str:
    """Begin a sentence with a capital letter and leave the rest as it is."""
    return text[:1].upper() + text[1:]


def outcome_of(good: int, tried: int) -> Outcome:
    """Say what it means that a condition was met in `good` of the `tried` cases."""
    return "holds" if good == tried else "depends" if good else "does not hold"
