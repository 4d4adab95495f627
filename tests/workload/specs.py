"""Small specs and the rows they make, for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from pipeline.schema.names import KINDS
from pipeline.workload.draws import Drawer
from pipeline.workload.read_spec import NamedWorkload, read_workload
from pipeline.workload.stream import RowStream

SPEC = """
description = "test"
tasks = 7
threads_per_process = 2
operations = 1_000
start = { dist = "uniform", low_ns = 0, high_ns = 50_000 }
[page_sets.cache]
pages = 100
skew = 1.0
[page_sets.tables]
pages = 10
sharing = "process"
[kinds.page_fault]
share = 0.25
page_set = "tables"
think = { dist = "exponential", mean_ns = 5_000 }
hold = { dist = "lognormal", median_ns = 800, sigma = 0.5 }
[kinds.copy_to_user]
share = 0.75
page_set = "cache"
think = { dist = "exponential", mean_ns = 5_000 }
wait = { probability = 0.3, time = { dist = "exponential", mean_ns = 20_000 } }
hold = { dist = "exponential", mean_ns = 1_000 }
block = { probability = 0.1, time = { dist = "constant", ns = 9_000 } }
bytes = { values = [512, 4096], weights = [1, 3] }
nested = { page_fault = 0.2 }
"""


def named(directory: Path, text: str = SPEC) -> NamedWorkload:
    """Read `text` as the spec file test.toml."""
    path = directory / "test.toml"
    path.write_text(text, encoding="utf-8")
    return read_workload(path)


def rows(workload: NamedWorkload, count: int, *, seed: int = 0, batch_rows: int = 1 << 12) -> pl.DataFrame:
    """The first `count` rows, with `kind` as text and `row` numbering them."""
    batches: list[pl.DataFrame] = []
    for columns in RowStream(Drawer(workload, seed), batch_rows=batch_rows).batches():
        batches.append(pl.DataFrame(columns))
        if sum(map(len, batches)) >= count:
            break
    table = pl.concat(batches).head(count)
    kind = pl.Series("kind", np.array(KINDS)[table["kind"].to_numpy()])
    return table.with_columns(kind).with_row_index("row")


def outermost(table: pl.DataFrame) -> pl.DataFrame:
    """Rows of depth 0, task by task in their order, with the end of each and of its predecessor."""
    end = pl.col("time_ns") + pl.col("hold_ns") + pl.col("block_ns")
    return (
        table.filter(pl.col("depth") == 0)
        .sort("task", "row")
        .with_columns(end_ns=end)
        .with_columns(previous_end_ns=pl.col("end_ns").shift(1, fill_value=0).over("task"))
    )
