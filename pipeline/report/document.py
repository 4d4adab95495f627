"""A report before it has a form: its sections of blocks, and the runs that they are about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.analysis.found import RunFound
from pipeline.analysis.library import Query
from pipeline.analysis.session import Session
from pipeline.report.blocks import Block, in_reach, make_block
from pipeline.report.definition import Definition
from pipeline.report.palette import Cast, cast


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
    """Make every block of `definition` over the session's runs; `advance(1)` is called after each."""
    chosen = cast(session.runs)
    parts = []
    with Session(in_reach(session.runs, chosen)) as timed:
        for section in definition.section:
            blocks = []
            for item in section.item:
                asked = timed if item.chart == "lines" else session
                blocks.append(make_block(asked, item, queries[item.query], chosen))
                advance(1)
            parts.append(Part(section.title, section.text, blocks))
    return Document(definition.title, definition.text, parts, session.runs, chosen, command)
