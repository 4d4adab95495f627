"""Hand-made results of runs, to test the conditions of studies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from pipeline.studies.catalogue import find_studies
from pipeline.studies.definition import Study
from pipeline.studies.measure import judge, open_results
from pipeline.studies.outcome import decide
from pipeline.sweeps.results import RESULTS

REPLICATIONS = 6


def study(name: str) -> Study:
    """A shipped study."""
    return find_studies([name])[0]


def results(rows: Sequence[Mapping[str, Any]], replications: int = REPLICATIONS) -> pa.Table:
    """Rows of `results` for several replications; figures that are not given are 0.

    A value may be a function of the replication. The wall-clock time is 1 s by default.
    """
    names = {column.name for column in RESULTS}
    given = dict.fromkeys(name for row in rows for name in row if name not in {*names, "grid"})
    extra = {name: pa.infer_type([row.get(name) for row in rows]) for name in given}
    made = []
    for row in rows:
        for replication in range(replications):
            own = {k: v(replication) if callable(v) else v for k, v in row.items()}
            full = {c.name: "" if pa.types.is_string(c.type) else 0 for c in RESULTS}
            full |= {"grid": "", "state": "done", "replication": replication, "cpus": 1, "operations": 1_000}
            full |= {"wall_ns": 1_000_000_000, "hazards": None} | dict.fromkeys(extra) | own
            made.append(full)
    fields = [("grid", pa.string()), *((c.name, c.type) for c in RESULTS), *extra.items()]
    return pa.Table.from_pylist(made, pa.schema(fields))


def outcome(name: str, rows: Sequence[Mapping[str, Any]], replications: int = REPLICATIONS) -> str:
    """The outcome of a shipped study with hand-made rows."""
    chosen = study(name)
    with open_results(chosen, results(rows, replications)) as session:
        return decide(judge(chosen, session))
