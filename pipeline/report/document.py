"""A report before it has a form: its sections of blocks, and the runs that they are about."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import polars as pl

from pipeline.report.blocks import Block, block_of, in_reach
from pipeline.report.definition import Definition
from pipeline.report.palette import Cast, cast
from pipeline.runs.discovery import RunFound
from pipeline.sql.library import Query, run_query
from pipeline.sql.session import Session


@dataclass(frozen=True)
class Part:
    """A heading with its blocks."""

    title: str
    text: str
    blocks: list[Block]


@dataclass(frozen=True)
class Document:
    """Everything that a page, or another form of the report, is made from."""

    title: str
    text: str
    parts: list[Part]
    runs: list[RunFound]
    cast: Cast
    command: str | None = None

    @property
    def blocks(self) -> list[Block]:
        """Every block, in order."""
        return [block for part in self.parts for block in part.blocks]


def compose(
    session: Session,
    definition: Definition,
    queries: dict[str, Query],
    command: str | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> Document:
    """Make every block of `definition` over the session's runs; `advance(1)` is called after each.

    A question that several items ask of the same runs is answered once.
    """
    chosen = cast(session.runs)
    near = in_reach(session.runs, chosen)
    parts = []
    answers: dict[str, pl.DataFrame] = {}
    # Where all runs are in reach, one session keeps what both would make of the logs.
    with nullcontext(session) if len(near) == len(session.runs) else Session(near) as timed:
        for section in definition.section:
            blocks = []
            for item in section.item:
                asked = timed if item.chart == "lines" else session
                query = queries[item.query]
                question = f"{len(asked.runs)} {item.query} {sorted(item.params.items())}"
                if question not in answers:
                    answers[question] = run_query(asked, query, item.params)
                blocks.append(block_of(item, query, answers[question], chosen, asked.runs))
                advance(1)
            parts.append(Part(section.title, section.text, blocks))
    return Document(definition.title, definition.text, parts, session.runs, chosen, command)
