"""The table `results`: the rows of sweeps, which are read without manifests."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import pyarrow as pa

from pipeline.sql.views import RESULTS
from pipeline.sweeps.directory import open_sweep
from pipeline.sweeps.results import read_results


def results_table(sweeps: Sequence[Path], place: Callable[[Path], str] = str) -> pa.Table:
    """Return the rows of all sweeps. Missing columns are NULL. `place` converts paths of runs."""
    tables = [pa.table({c.name: pa.array([], c.type) for c in RESULTS.columns})]
    for path in sweeps:
        sweep = open_sweep(path.resolve())
        rows = read_results(sweep)
        directories = [place(sweep.runs / key) for key in rows["key"].to_pylist()]
        names = pa.array([str(path)] * rows.num_rows, pa.string())
        rows = rows.add_column(0, "directory", pa.array(directories, pa.string()))
        tables.append(rows.add_column(0, "sweep", names))
    return pa.concat_tables(tables, promote_options="permissive")


def reads_results_alone(sql: str, relations: Collection[str]) -> bool:
    """Return whether `results` is the only view or macro that a statement mentions."""
    return set(re.findall(r"\w+", sql.lower())) & set(relations) == {RESULTS.name}
