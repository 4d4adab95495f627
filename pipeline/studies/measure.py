"""Answer studies: run the simulations as a sweep, and evaluate them with SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.compare.making import runs_directory
from pipeline.errors import InputError, UsageError
from pipeline.io.progress import progress
from pipeline.runs.store import Run, find_runs
from pipeline.sql.session import Session
from pipeline.statistics import CONFIDENCE, student_t
from pipeline.studies.answer import Answer, fill, fill_table
from pipeline.studies.definition import CONDITION, NUMBERS, Study
from pipeline.studies.outcome import Setting, decide, judge_settings
from pipeline.sweeps.commands import commands
from pipeline.sweeps.directory import SweepDirectory
from pipeline.sweeps.plan import PlannedRun, Planner
from pipeline.sweeps.results import read_grids
from pipeline.sweeps.sweep import Means, Observer, make_runs

# Columns that are equal for all runs of a setting.
_POINT = (
    "grid", "trace", "trace_operations", "workload", "allocator", "options", "machine", "costs", "cpus",
    "lowmem", "loop", "jitter_percent",
)  # fmt: skip


@dataclass(frozen=True)
class Planned:
    """A study with the runs of each of its grids."""

    study: Study
    grids: Mapping[str, Sequence[PlannedRun]]

    @property
    def runs(self) -> list[PlannedRun]:
        """The runs of all grids."""
        return [run for runs in self.grids.values() for run in runs]


def answer_studies(
    studies: Sequence[Study],
    keep: Path | None = None,
    replications: int | None = None,
    workers: int | None = None,
) -> list[Answer]:
    """Run the missing simulations of studies and answer each study.

    Runs are kept in `keep`, a sweep directory, or made in a temporary directory. `replications` replaces the
    number in each grid, except for exact studies. Raises InputError, with file and line, for a study that
    cannot be evaluated, and for failed runs.
    """
    planned = [plan_study(study, replications) for study in studies]
    every = list({run.key: run for some in planned for run in some.runs}.values())
    with runs_directory(keep) as directory:
        with progress("replaying", len(every), "runs") as advance:
            observer = Observer(plan=lambda _, there, __: advance(there), made=lambda *_: advance(1))
            result = make_runs(directory, every, Means(workers), observer=observer)
        if missing := result.failed + result.poison:
            kept = "" if keep else "keep them with --keep DIR and "
            raise InputError(
                f"{missing} of {result.runs} runs failed; {kept}print the reasons with 'pipeline sweep "
                f"status {keep or 'DIR'}'"
            )
        return [answer(some, directory) for some in planned]


def plan_study(study: Study, replications: int | None = None) -> Planned:
    """Plan the runs of each grid.

    Raises InputError, with file and line, for a grid that cannot be planned.
    """
    runs, grids = {}, {}
    for name, grid in study.grids.items():
        chosen = grid.replications if replications is None or study.exact else replications
        grids[name] = grid.model_copy(update={"replications": chosen})
        try:
            runs[name] = Planner(grids[name]).runs
        except (UsageError, InputError) as error:
            keys = ("grids", name) if name else ("grid",)
            raise InputError(f"{study.source_file.at(*keys)}: {error}") from error
    return Planned(replace(study, grids=grids), runs)


def answer(planned: Planned, directory: SweepDirectory) -> Answer:
    """Evaluate the runs of a study, which are in a sweep directory, and return the answer."""
    study = planned.study
    with _open(planned, directory) as session:
        settings = judge(study, session)
        numbers = _numbers(study, session)
        charts = [_view(study, session, c.view, "chart") for c in study.charts]
        tables = [fill_table(study, t.columns, _view(study, session, t.view, "table")) for t in study.tables]
    outcome = decide(settings)
    return Answer(
        study=study,
        outcome=outcome,
        settings=settings,
        text=fill(study, outcome, settings, numbers),
        charts=charts,
        tables=tables,
        commands=commands(planned.runs[0]),
        runs=len({run.key for run in planned.runs}),
    )


def _open(planned: Planned, directory: SweepDirectory) -> Session:
    """Open a session over the event logs of the study, with its runs as `results` and `points`."""
    logged = sorted({run.key for run in planned.runs if run.events != "none"})
    found = find_runs([directory.runs / key for key in logged]) if logged else []
    rows = read_grids(directory, planned.grids)
    return open_results(planned.study, rows if planned.study.exact else distinct(rows), found)


def distinct(rows: pa.Table) -> pa.Table:
    """Rows of distinct replications: of several with identical runs, only the first is kept."""
    found: dict[int, list[tuple[str, ...]]] = {}
    for row in rows.select([*_POINT, "replication", "fingerprint"]).to_pylist():
        found.setdefault(row.pop("replication"), []).append(tuple(map(str, row.values())))
    first = {tuple(sorted(runs)): replication for replication, runs in reversed(found.items())}
    kept = pa.array(first.values(), rows.schema.field("replication").type)
    return rows.filter(pc.is_in(rows["replication"], kept))


def open_results(study: Study, rows: pa.Table, logged: Sequence[Run] = ()) -> Session:
    """Open a session with the views of a study over its runs, and over the logs of some of them.

    `rows` has a row for each run, as from `read_grids`. Raises InputError, with file and line, for a view
    that cannot be created.
    """
    session = Session(logged)
    try:
        names = {run.directory.name: run.name for run in logged}
        rows = rows.append_column("run", [[names.get(key) for key in rows["key"].to_pylist()]])
        session.add_table("results", rows)
        most = len(rows)
        quantiles = [0.0, *(student_t((1 + CONFIDENCE) / 2, freedom) for freedom in range(1, max(most, 2)))]
        session.define(
            f"CREATE MACRO half_width(x) AS CASE WHEN count(x) > 1 THEN "
            f"{quantiles}[count(x)::INTEGER] * stddev_samp(x) / sqrt(count(x)) END"
        )
        session.define(files("pipeline.studies").joinpath("points.sql").read_text(encoding="utf-8"))
        _define_views(study, session)
    except BaseException:
        session.close()
        raise
    return session


def _define_views(study: Study, session: Session) -> None:
    for name, statement in study.sql.items():
        try:
            session.define(f'CREATE TEMP VIEW "{name}" AS {statement}')
        except UsageError as error:
            raise InputError(f"{study.source_file.at('sql', name)}: {name}: {_short(error)}") from error


def _view(study: Study, session: Session, name: str, *keys: str) -> pl.DataFrame:
    try:
        return session.query(f'FROM "{name}"')
    except UsageError as error:
        raise InputError(
            f"{study.source_file.at(*(keys or ('sql', name)))}: {name}: {_short(error)}"
        ) from error


def judge(study: Study, session: Session) -> list[Setting]:
    """Evaluate the condition of a study. Raises InputError, with file and line, if that is not possible."""
    frame = _view(study, session, CONDITION)
    try:
        return judge_settings(frame, bool(study.exact))
    except UsageError as error:
        raise InputError(f"{study.source_file.at('sql', CONDITION)}: {CONDITION}: {error}") from error


def _numbers(study: Study, session: Session) -> dict[str, object]:
    if NUMBERS not in study.sql:
        return {}
    frame = _view(study, session, NUMBERS)
    if len(frame) != 1:
        raise InputError(
            f"{study.source_file.at('sql', NUMBERS)}: {NUMBERS}: expected one row, found {len(frame)}"
        )
    return frame.row(0, named=True)


def _short(error: UsageError) -> str:
    """DuckDB's message without its list of views, which lacks the views of the study."""
    return str(error).partition("; views: ")[0]
