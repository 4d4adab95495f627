"""Report definitions: which queries and charts, in which order; a TOML file that says it in full.

title = "..."

[[section]]
title = "How long is the lock held?"
text = "..."

[[section.item]]
query = "hold_tail"          # a shipped query, or a .sql file beside the definition
chart = "tail"
title = "..."
x = "hold_us"
y = "share_percent"
facet = "site"
empty = "No run took a lock."
"""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Item(_Strict):
    """One table or chart, made from one query whose rows have a column `run`.

    `chart` is one of the kinds in `pipeline.report.charts`, which says what it requires of the fields.
    """

    query: str
    chart: str
    title: str
    name: str = Field(
        "", pattern=r"^[\w-]*$", description="for --item and file names; left out: the title in small letters"
    )
    text: str = Field("", description="how to read it, one or two sentences")
    params: dict[str, int | float | str] = Field(default_factory=dict)
    x: str = ""
    y: str = ""
    x_title: str = ""
    y_title: str = ""
    series: str = Field("", description="column that the colours of `stacked` tell apart")
    count: str = Field(
        "",
        description="`lines` only: column with the number of events; a row with events and no `y` is a tick",
    )
    low: str = ""
    high: str = ""
    value: str = Field("", description="column that the colours of `heatmap` stand for")
    facet: str = Field("", description="column; one chart for each of its values")
    where: dict[str, str | int | float] = Field(
        default_factory=dict, description="rows drawn: those with these values; the data table has all"
    )
    columns: dict[str, str] = Field(
        default_factory=dict, description="of a table: columns in order, each with its heading"
    )
    best: dict[str, Literal["most", "least"]] = Field(
        default_factory=dict, description="of a table: columns whose best value is marked"
    )
    measured: bool = Field(False, description="only in reports that have locks measured on a real machine")
    empty: str = Field("There is nothing to show.", description="for when no run has anything to show")
    none: str = Field("Nothing to draw for", description="before the names of runs with nothing to show")

    @model_validator(mode="after")
    def _add_name(self) -> Item:
        self.name = self.name or re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-") or self.query
        return self

    def label(self, axis: Literal["x", "y"]) -> str:
        """What an axis is called."""
        return str(getattr(self, f"{axis}_title") or getattr(self, axis))


class Section(_Strict):
    """A heading with its tables and charts."""

    title: str
    text: str = ""
    item: list[Item] = Field(default_factory=list)


class Definition(_Strict):
    """A whole report."""

    title: str = Field("", description="left out: names traces, machines and the question")
    text: str = ""
    section: list[Section]

    @property
    def items(self) -> list[Item]:
        """Every item, in order."""
        return [item for section in self.section for item in section.item]
