"""Compose the report of runs: run the query of each item and turn its rows into a block."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import polars as pl

from pipeline.errors import InputError, UsageError
from pipeline.report.charts import KINDS
from pipeline.report.conditions import name_question
from pipeline.report.definition import Definition, Item
from pipeline.report.document import HINT, Block, Document, Part
from pipeline.report.groups import choose_representatives
from pipeline.report.styles import RunStyles, style_runs
from pipeline.report.vega import NEAR
from pipeline.runs.store import Run
from pipeline.sql.library import Query, run_query
from pipeline.sql.session import Session

# Charts with more points are slow and unreadable; the query should aggregate them.
MOST_ROWS = 20_000
_SHOWN = "The ranking covers all runs. Everything below it shows the first replication of each design."


def compose(
    session: Session,
    definition: Definition,
    queries: dict[str, Query],
    command: str | None = None,
    title: str | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> Document:
    """Make every block of `definition` from the session's runs; call `advance(1)` after each.

    If designs have several replications, rankings cover all runs, and other items cover the first
    replication of each design. A query that several items share runs once. Raises InputError if a query
    lacks columns that an item needs, or returns too many rows.
    """
    shown, representatives = choose_representatives(session.runs)
    measured = [table.name for table in session.lock_tables]
    styles = replace(style_runs(shown, measured), representatives=representatives)
    has_areas = any(run.manifest.allocator.areas for run in shown)
    near = _runs_in_reach(shown, styles)
    parts = []
    answers: dict[str, pl.DataFrame] = {}
    with ExitStack() as sessions:
        # Queries over the same runs share a session, which keeps the tables that it computes from the logs.
        one = (
            session
            if len(shown) == len(session.runs)
            else sessions.enter_context(Session([*shown, *session.lock_tables]))
        )
        timed = one if len(near) == len(shown) else sessions.enter_context(Session(near))
        for section in definition.section:
            blocks = []
            for item in section.item:
                if (item.measured and not session.lock_tables) or (item.areas and not has_areas):
                    advance(1)
                    continue
                kind = KINDS[item.chart]
                asked = session if kind.of_replications else timed if kind.over_time else one
                query = queries[item.query]
                question = f"{id(asked)} {item.query} {sorted(item.params.items())}"
                if question not in answers:
                    answers[question] = run_query(asked, query, item.params)
                block = Block(item, query, answers[question], _paths(asked))
                _check_answer(item, block.frame)
                kind.show(block, styles, asked.runs)
                blocks.append(block)
                advance(1)
            if blocks or not section.item:
                parts.append(Part(section.title, section.text, blocks))
    if not any(part.blocks for part in parts):
        names = ", ".join(item.name for item in definition.items)
        raise UsageError(
            f"{names}: expected measured locks, found only runs; add a file such as the output of "
            "perf lock contention (docs/importing.md)"
        )
    return Document(
        title or definition.title or name_question(session.runs),
        definition.text,
        parts,
        session.runs,
        styles,
        command,
        hint=f"{HINT} {_SHOWN}" if len(shown) < len(session.runs) else HINT,
    )


def _paths(session: Session) -> tuple[Path, ...]:
    """Paths with which `pipeline sql` opens the same runs and measured locks."""
    return tuple(
        dict.fromkeys([*(run.directory for run in session.runs), *(t.path for t in session.lock_tables)])
    )


def _runs_in_reach(runs: Sequence[Run], styles: RunStyles) -> list[Run]:
    """Runs that share a time axis: without bounds that are much longer and would compress the others."""
    walls_ns = {run.name: run.manifest.totals.wall_ns for run in runs}
    longest_ns = max(walls_ns[name] for name in styles.allocators)
    return [run for run in runs if run.name in styles.allocators or walls_ns[run.name] <= NEAR * longest_ns]


def _check_answer(item: Item, frame: pl.DataFrame) -> None:
    wanted = {
        "run",
        item.x,
        item.y,
        item.series,
        item.low,
        item.high,
        item.value,
        item.count,
        item.facet,
        *item.columns,
        *item.where,
    }
    missing = sorted((wanted | {*KINDS[item.chart].columns}) - {"", *frame.columns})
    if missing:
        raise InputError(
            f"report item '{item.title}': query '{item.query}' has no column {', '.join(missing)}; "
            f"it has {', '.join(frame.columns)}"
        )
    if len(frame) > MOST_ROWS:
        raise InputError(
            f"report item '{item.title}': query '{item.query}' returns {len(frame):,} rows; at most "
            f"{MOST_ROWS:,} are allowed; aggregate them in the SQL"
        )
