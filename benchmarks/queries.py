"""Compare the cost of the shipped queries with a plain decode of the columns that they read.

    python benchmarks/queries.py [--operations 5000000] [--run DIRECTORY] [--write]

The runs are `zipf_bench` with `global_pool`, on a machine with few contended acquisitions and, with fewer
operations, on one where nearly all are contended. All queries run in one session with one thread and 1 GB, as
in a report, so that shared sums are computed once. All figures are CPU time. In a decode, DuckDB combines all
values of each column into one, including columns that a query does not read because the run has their sums.
`--write` writes the tables to docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from performance_page import write_part

from pipeline.io.tables import markdown_table
from pipeline.runs.store import find_runs
from pipeline.schema.log import EVENTS, OPERATIONS
from pipeline.schema.manifest import SUMS_FOLDER, Events
from pipeline.sql.library import Query, queries, run_query
from pipeline.sql.session import Session, define_views, open_session

WORKLOAD, ALLOCATOR, CPUS = "zipf_bench", "global_pool", 16
# Machines, with their share of the operations.
MACHINES = {"modern-x86-64": 1.0, "numaq16": 0.4}

TEXT = {c.name for c in (*OPERATIONS, *EVENTS) if pa.types.is_dictionary(c.type)}

Columns = frozenset[tuple[str, str]]


def make_run(folder: Path, operations: int, machine: str, events: Events = "full") -> Path:
    from pipeline.runs.execute import replay
    from pipeline.workload.generate import generate

    folder.mkdir()
    trace = folder / f"{WORKLOAD}.parquet"
    generate(WORKLOAD, trace, operations=operations)
    return replay(
        trace, allocator=ALLOCATOR, machine=machine, cpus=CPUS, events=events, output=folder / "runs"
    ).path


def columns_read(run: Path) -> dict[str, Columns]:
    """Return the columns of the log's two files that DuckDB's plan of each query reads.

    The plans are made without the sums of the run, so a query that uses sums counts as reading the summed
    columns.
    """
    with duckdb.connect() as connection, tempfile.TemporaryDirectory() as name:
        for file in run.resolve().iterdir():
            if file.name != SUMS_FOLDER:
                (Path(name) / file.name).symlink_to(file)
        define_views(connection, find_runs([Path(name)]))
        return {name: _read_by(connection, query) for name, query in queries().items()}


def _read_by(connection: duckdb.DuckDBPyConnection, query: Query) -> Columns:
    text = query.body
    for param in query.params:
        text = text.replace(f"${param.name}", repr(param.default))
    row = connection.execute(f"EXPLAIN (FORMAT json) {text}").fetchone()
    assert row is not None
    found: set[tuple[str, str]] = set()

    def walk(node: dict[str, Any]) -> None:
        info = node.get("extra_info", {})
        if info.get("Function") == "READ_PARQUET":
            words = set(re.findall(r"\w+", f"{info.get('Projections', '')} {info.get('Filters', '')}"))
            # Only events have these columns, and every scan of events uses at least one of them.
            file, schema = ("events", EVENTS) if words & {"event", "time_ns"} else ("operations", OPERATIONS)
            found.update((file, column.name) for column in schema if column.stored_name in words)
        for child in node.get("children", []):
            walk(child)

    for node in json.loads(row[-1]):
        walk(node)
    return frozenset(found)


def decode(session: Session, columns: Columns) -> None:
    for file in ("operations", "events"):
        # A maximum might come from the statistics of the file, without decoding.
        wanted = [
            f"max({name})" if name in TEXT else f"bit_xor({name})"
            for of, name in sorted(columns)
            if of == file
        ]
        if wanted:
            session.query(f"SELECT {', '.join(wanted)} FROM {file}")


def cpu_seconds(work: Callable[..., Any], *arguments: Any) -> float:
    begun = time.process_time()
    work(*arguments)
    return time.process_time() - begun


def measured(run: Path, repeats: int) -> tuple[list[tuple[str, float, float]], float]:
    """Return name, CPU time and decode time of each query, and the time for decoding all columns once."""
    columns = columns_read(run)
    every: Columns = frozenset().union(*columns.values())
    rows: dict[str, list[tuple[float, float]]] = {name: [] for name in columns}
    together: list[float] = []
    for _ in range(repeats):
        with open_session([run], memory="1GB") as session:
            session.run("SET threads = 1")
            together.append(cpu_seconds(decode, session, every))
            for name, query in queries().items():
                alone = cpu_seconds(decode, session, columns[name])
                rows[name].append((cpu_seconds(run_query, session, query), alone))
    least = [(name, min(p[0] for p in pairs), min(p[1] for p in pairs)) for name, pairs in rows.items()]
    return least, min(together)


def document(rows: list[tuple[str, float, float]], together: float, conditions: str) -> str:
    """Return the figures as Markdown: each expensive query, the others together, and the total."""
    heavy = sorted((row for row in rows if row[1] >= 0.05 * together), key=lambda row: -row[1])
    light = [row for row in rows if row not in heavy]
    total = sum(row[1] for row in rows)
    each = sum(row[2] for row in rows)

    def line(name: str, cost: float, alone: float) -> tuple[str, str, str, str]:
        ratio = f"{cost / alone:.1f}" if alone > 0.01 else ""
        return (name, f"{cost:.2f}", ratio, f"{cost / together:.2f}")

    body = [line(f"`{name}`", cost, alone) for name, cost, alone in heavy]
    body.append(line(f"the other {len(light)}", sum(r[1] for r in light), sum(r[2] for r in light)))
    body.append(line(f"all {len(rows)}", total, each))
    head = ("query", "CPU time, s", "/ decode of its columns", "/ decode of all columns")
    return f"{conditions}\n\n{markdown_table(head, body)}"


def measure(run: Path, repeats: int) -> str:
    """Return the table of a run, below its conditions."""
    before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows, together = measured(run, repeats)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    with open_session([run]) as session:
        facts = session.query("SELECT operations, trace, allocator, machine, cpus FROM runs").row(0)
        events = session.query("SELECT count(*) FROM events").item()
        contended = session.query("SELECT sum(contended) / sum(acquisitions) FROM lock_totals").item()
    return document(
        rows,
        together,
        f"A log of {facts[0]:,} operations and {events:,} events (trace {facts[1]}, `{facts[2]}`, "
        f"`{facts[3]}` with {facts[4]} CPUs, {contended:.0%} of the acquisitions contended). Every shipped "
        f"query runs once in one session with one thread and at most 1 GB of memory for DuckDB; minimum of "
        f"{repeats} rounds. Decoding all columns that the queries would read without sums takes "
        f"{together:.2f} s. Peak memory of the process: {peak_mb:,.0f} MB ({before_mb:,.0f} MB before).",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--operations", type=int, default=5_000_000, help="operations of the run without a convoy"
    )
    parser.add_argument("--run", type=Path, help="run to query instead of new ones")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="write the tables to docs/performance.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        texts = []
        for machine, share in MACHINES.items():
            run = options.run or make_run(Path(name) / machine, int(options.operations * share), machine)
            texts.append(measure(run, options.repeats))
            print(texts[-1])
            if options.run:
                break
    if options.write:
        write_part("queries", __file__, "\n".join(texts))


if __name__ == "__main__":
    main()
