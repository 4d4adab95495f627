"""Making a report of runs: each item's question is asked and its answer made into a block."""

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

# A chart of more points is neither readable nor light; its query should group them.
MOST_ROWS = 20_000
_SHOWN = "The ranking is of all runs; everything below it is of the first replication of each design."


def compose(
    session: Session,
    definition: Definition,
    queries: dict[str, Query],
    command: str | None = None,
    title: str | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> Document:
    """Make every block of `definition` over the session's runs; `advance(1)` is called after each.

    Where designs have several replications, rankings are of all runs, and all else is of the first
    replication of each. A question that several items ask of the same runs is answered once. InputError for
    an answer that an item cannot be made from.
    """
    shown, representatives = choose_representatives(session.runs)
    measured = [table.name for table in session.lock_tables]
    styles = replace(style_runs(shown, measured), representatives=representatives)
    near = _runs_in_reach(shown, styles)
    parts = []
    answers: dict[str, pl.DataFrame] = {}
    with ExitStack() as sessions:
        # What is asked of the same runs is asked of one session, which keeps what it makes of their logs.
        one = (
            session
            if len(shown) == len(session.runs)
            else sessions.enter_context(Session([*shown, *session.lock_tables]))
        )
        timed = one if len(near) == len(shown) else sessions.enter_context(Session(near))
        for section in definition.section:
            blocks = []
            for item in section.item:
                if item.measured and not session.lock_tables:
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
            parts.append(Part(section.title, section.text, blocks))
    if not any(part.blocks for part in parts):
        names = ", ".join(item.name for item in definition.items)
        raise UsageError(
            f"wanted locks measured on a real machine for {names}, found runs alone; give a file too, such "
            "as the output of perf lock contention (docs/importing.md)"
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
    """What `pipeline sql` must be given to ask the same runs and measured locks."""
    return tuple(
        dict.fromkeys([*(run.directory for run in session.runs), *(t.path for t in session.lock_tables)])
    )


def _runs_in_reach(runs: Sequence[Run], styles: RunStyles) -> list[Run]:
    """Runs that a common time axis is made for: a bound that takes many times as long would squeeze them."""
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
            f"report item '{item.title}': query '{item.query}' gives {len(frame):,} rows, wanted at most "
            f"{MOST_ROWS:,}; group them in the SQL"
        )
