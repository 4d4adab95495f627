"""Report definitions: a TOML file that lists queries and charts in order.

title = "..."

[[section]]
title = "How long is the lock held?"
text = "..."

[[section.item]]
query = "hold_tail"          # a shipped query, or a .sql file in the directory of the definition
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

    `chart` is one of the kinds in `pipeline.report.charts`; each kind lists the fields that it requires.
    """

    query: str
    chart: str
    title: str
    name: str = Field(
        "", pattern=r"^[\w-]*$", description="name for --item and files (default: the title in lower case)"
    )
    text: str = Field("", description="how to read the table or chart, one or two sentences")
    params: dict[str, int | float | str] = Field(default_factory=dict)
    x: str = ""
    y: str = ""
    x_title: str = ""
    y_title: str = ""
    series: str = Field("", description="`stacked` only: column shown by colour")
    count: str = Field(
        "",
        description="`lines` only: column with the number of events; a row with events and no `y` is a tick",
    )
    low: str = ""
    high: str = ""
    value: str = Field("", description="`heatmap` only: column shown by colour")
    facet: str = Field("", description="column with one chart for each of its values")
    where: dict[str, str | int | float] = Field(
        default_factory=dict, description="draw only rows with these values; the data table has all rows"
    )
    columns: dict[str, str] = Field(
        default_factory=dict, description="`table` only: columns in order, each with its heading"
    )
    best: dict[str, Literal["most", "least"]] = Field(
        default_factory=dict, description="`table` only: columns whose best value is highlighted"
    )
    measured: bool = Field(False, description="show only in reports with locks measured on a real machine")
    areas: bool = Field(False, description="show only in reports with a run of a design for areas")
    empty: str = Field("There is nothing to show.", description="text if no run has anything to show")
    none: str = Field("No data", description="text before the names of runs with nothing to show")

    @model_validator(mode="after")
    def _add_name(self) -> Item:
        self.name = self.name or re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-") or self.query
        return self

    def label(self, axis: Literal["x", "y"]) -> str:
        """Title of an axis."""
        return str(getattr(self, f"{axis}_title") or getattr(self, axis))


class Section(_Strict):
    """A heading with its tables and charts."""

    title: str
    text: str = ""
    item: list[Item] = Field(default_factory=list)


class Definition(_Strict):
    """A whole report."""

    title: str = Field("", description="title (default: traces, machines and the question)")
    text: str = ""
    section: list[Section]

    @property
    def items(self) -> list[Item]:
        """Every item, in order."""
        return [item for section in self.section for item in section.item]
