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
import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipeline.errors import InputError, unknown_name
from pipeline.io.files import readable_file
from pipeline.io.resources import shipped_files
from pipeline.sql.library import Query, load_query

ChartKind = Literal["ranking", "table", "bars", "lines", "tail", "stacked", "range", "timeline"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Item(_Strict):
    """One table or chart, made from one query whose rows have a column `run`.

    `table` shows the rows, with `x` only of runs in which that is not 0; `ranking` says who is fastest, from
    the rows of the query `ranking`. Charts:
    `bars` (x a number, one bar per run), `lines` (x a time, y a number), `tail` (x a number, y a share in %,
    both on log scales), `stacked` (x shares, one bar per run, colour by `series`), `range` (`low` to `high`
    with a mark at x, one line per run), `timeline` (what each CPU did around an event, from the rows of the
    query `cpu_timeline`, one chart per run).
    """

    query: str
    chart: ChartKind
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
    low: str = ""
    high: str = ""
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
    empty: str = Field("There is nothing to show.", description="said when no run has anything to show")
    none: str = Field("Nothing to draw for", description="said before the names of runs with nothing to show")

    @model_validator(mode="after")
    def _complete(self) -> Item:
        self.name = self.name or re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-") or self.query
        wanted = {
            "ranking": (),
            "table": (),
            "bars": ("x",),
            "lines": ("x", "y"),
            "tail": ("x", "y"),
            "stacked": ("x", "series"),
            "range": ("x", "low", "high"),
            "timeline": (),
        }[self.chart]
        missing = [name for name in wanted if not getattr(self, name)]
        if missing:
            raise ValueError(f"chart '{self.chart}' wants {', '.join(missing)}")
        return self

    @property
    def measures(self) -> tuple[str, ...]:
        """Columns of which at least one must be there and not 0 for a run to be worth drawing."""
        return {
            "ranking": (),
            "table": (self.x,) if self.x else (),
            "bars": (self.x,),
            "lines": (self.y,),
            "tail": (self.y,),
            "stacked": (self.x,),
            "range": (self.x,),
            "timeline": (),
        }[self.chart]


class Section(_Strict):
    """A heading with its tables and charts."""

    title: str
    text: str = ""
    item: list[Item] = Field(default_factory=list)


class Definition(_Strict):
    """A whole report."""

    title: str
    text: str = ""
    section: list[Section]


def load_definition(name_or_path: str | Path | None) -> tuple[Definition, dict[str, Query]]:
    """Load a definition, by default the shipped one, and the queries that it names.

    An unknown name raises UsageError; a file that is not a definition raises InputError with the place.
    """
    text = str(name_or_path or "default")
    known = shipped_files("reports", ".toml")
    if isinstance(name_or_path, Path) or text.endswith(".toml") or "/" in text:
        path = readable_file(Path(text), "a report definition (.toml)")
    elif text in known:
        path = known[text]
    else:
        raise unknown_name("report", text, known, "or give the path of a .toml file")
    try:
        definition = Definition.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path}: {where}: {first['msg']}") from error
    queries: dict[str, Query] = {}
    for section in definition.section:
        for item in section.item:
            beside = path.parent / item.query
            own = item.query.endswith(".sql") and not Path(item.query).is_absolute()
            queries[item.query] = load_query(beside if own else item.query)
    return definition, queries
