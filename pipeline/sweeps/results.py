"""The results of a sweep: one row for each run with its factors, state and totals."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.io.files import complete_file, sha256_of
from pipeline.schema.manifest import LockTotals, Manifest, Totals
from pipeline.schema.names import CPU_CATEGORIES, SITES
from pipeline.schema.trace import Column
from pipeline.sweeps.directory import SweepDirectory
from pipeline.sweeps.journal import RunState, read_states, read_totals

if TYPE_CHECKING:
    from pipeline.sweeps.plan import PlannedRun

MADE_OF = b"pipeline.sweep.made_of"
_TEXT, _BIG, _INT, _REAL = pa.string(), pa.int64(), pa.int32(), pa.float64()


def _column(name: str, type_: pa.DataType, unit: str, doc: str) -> Column:
    return Column(name, type_, True, unit, doc)


FACTORS = (
    _column("key", _TEXT, "", "hash of everything that determines the run; the run's directory is runs/KEY"),
    _column("point", _TEXT, "", "hash of the run's settings, without the sources of engine and design"),
    _column("label", _TEXT, "", "short name: the design with its changed options"),
    _column("description", _TEXT, "", "description of the run in one line"),
    _column("trace", _TEXT, "", "name of the trace"),
    _column("trace_operations", _BIG, "", "number of operations of the trace"),
    _column("trace_seed", _BIG, "", "seed of the generated trace; NULL for a recording"),
    _column("workload", _TEXT, "", "values that replace the workload's, as JSON"),
    _column("allocator", _TEXT, "", "design, or several designs by kind of operation"),
    _column("options", _TEXT, "", "all options of the design, as JSON"),
    _column("machine", _TEXT, "", "machine profile"),
    _column("costs", _TEXT, "", "costs that replace the machine's, as JSON"),
    _column("cpus", _INT, "", "CPUs simulated"),
    _column("lowmem", _TEXT, "", "kinds of operation with pages in low memory, joined by +, or none"),
    _column("loop", _TEXT, "", "closed or timed"),
    _column("jitter_percent", _REAL, "%", "largest random change of think and wait times"),
    _column("seed", _BIG, "", "seed of the machine's random draws"),
    _column("replication", _INT, "", "number of the run among those that differ only in seeds, from 0"),
    _column("events", _TEXT, "", "full: the run has a log; none: totals only"),
    _column("factors", _TEXT, "", "values of factors within options, costs and workload, as JSON"),
)  # fmt: skip
_STATE = (
    _column("state", _TEXT, "", "done, failed, poison (ended every process that attempted it), planned, "
            "stale (of a different engine, for a run of the grid) or other (not in the grid)"),
    _column("attempts", _INT, "", "number of known attempts"),
    _column("problem", _TEXT, "", "reason for a missing result"),
    _column("fingerprint", _TEXT, "", "hash of the log, the same on every machine"),
    _column("findings", _BIG, "", "number of hazards in the run"),
    _column("elapsed_s", _REAL, "s", "wall-clock time from opening the trace to storing the run"),
)  # fmt: skip


def _scalar_totals() -> tuple[Column, ...]:
    return tuple(
        _column(name, _BIG, "ns" if name.endswith("_ns") else "", field.description or name.replace("_", " "))
        for name, field in Totals.model_fields.items()
        if field.annotation is int
    )


_HELD = {
    "map": "lock held to map",
    "unmap": "lock held to unmap",
    "worker": "lock held by a worker, NULL for designs without workers",
}
_LOCK_FIELDS = tuple(name for name in LockTotals.model_fields if name != "site")
_TOTALS = (
    *_scalar_totals(),
    *(
        _column(f"{site}_lock_{name}", _BIG, "ns" if name.endswith("_ns") else "",
                f"{_HELD[site]}: {LockTotals.model_fields[name].description or name.replace('_', ' ')}")
        for site in SITES for name in _LOCK_FIELDS
    ),
    *(
        _column(f"cpu_{category}_ns", _BIG, "ns", f"time summed over all CPUs: {doc}")
        for category, doc in CPU_CATEGORIES.items()
    ),
)  # fmt: skip

_DESIGN = (
    _column("address_space_pages", _BIG, "pages", "address space of the design's slots"),
    _column("page_struct_bytes", _BIG, "B", "bytes that the design adds to every struct page"),
    _column("hazards", _TEXT, "", "hazards in the run with their counts, or NULL"),
)  # fmt: skip

RESULTS = (*FACTORS, *_STATE, *_TOTALS, *_DESIGN)
"""Columns of results. Each factor within options, costs or workload has an additional column."""


def factor_row(run: PlannedRun) -> dict[str, Any]:
    """Return the values of FACTORS for a run."""
    return {
        "key": run.key,
        "point": run.point,
        "label": run.label,
        "description": run.describe(),
        "trace": run.trace.name,
        "trace_operations": run.trace.operations,
        "trace_seed": run.trace.seed if run.trace.generated else None,
        "workload": json.dumps(dict(run.trace.settings)),
        "allocator": run.allocator,
        "options": json.dumps(dict(run.options)),
        "machine": Path(run.machine).stem,
        "costs": json.dumps(dict(run.costs)),
        "cpus": run.cpus,
        "lowmem": "+".join(run.lowmem) or "none",
        "loop": run.loop,
        "jitter_percent": run.jitter_percent,
        "seed": run.seed,
        "replication": run.replication,
        "events": run.events,
        "factors": json.dumps(dict(run.factors)),
    }


def result_row(run: PlannedRun, manifest: Manifest) -> dict[str, Any]:
    """Return factors and results of a finished run."""
    totals = manifest.totals
    row = factor_row(run)
    row |= {column.name: getattr(totals, column.name) for column in _TOTALS if hasattr(totals, column.name)}
    for lock in totals.locks:
        row |= {f"{lock.site}_lock_{name}": getattr(lock, name) for name in _LOCK_FIELDS}
    for category in CPU_CATEGORIES:
        row[f"cpu_{category}_ns"] = sum(getattr(cpu, f"{category}_ns") for cpu in totals.cpu_time)
    row["address_space_pages"] = manifest.allocator.address_space_pages
    row["page_struct_bytes"] = manifest.allocator.page_struct_bytes
    found = Counter(finding.finding for finding in manifest.findings)
    row["hazards"] = ", ".join(f"{count} {name}" for name, count in found.items()) or None
    return row


def write_plan(sweep: SweepDirectory, runs: Iterable[PlannedRun]) -> None:
    """Store the runs of a grid. Raises OutputError."""
    table = pa.Table.from_pylist([factor_row(run) for run in runs], _schema(FACTORS))
    with complete_file(sweep.plan) as file:
        pq.write_table(table, file)


def read_plan(sweep: SweepDirectory, columns: list[str] | None = None) -> list[dict[str, Any]]:
    """Return all or some FACTORS of the runs of the most recent grid."""
    return pq.read_table(sweep.plan, columns=columns).to_pylist() if sweep.plan.exists() else []


def read_results(sweep: SweepDirectory) -> pa.Table:
    """Return the rows of all runs, those of the grid first; from results.parquet if it is current."""
    return pq.read_table(sweep.results) if _is_current(sweep) else _collect(sweep)


def read_grids(sweep: SweepDirectory, grids: Mapping[str, Sequence[PlannedRun]]) -> pa.Table:
    """Return rows of the runs of several grids, with the name of the grid in the column `grid`."""
    states, totals = read_states(sweep), read_totals(sweep)
    rows = [
        {"grid": name} | _row(factor_row(run), states.get(run.key), totals.get(run.key))
        for name, runs in grids.items()
        for run in runs
    ]
    return _table(rows, [_column("grid", _TEXT, "", "name of the run's grid"), *RESULTS])


def write_results(sweep: SweepDirectory) -> Path:
    """Write results.parquet unless it is current, and return its path. Raises OutputError."""
    if not _is_current(sweep):
        # Taken before reading, so events recorded during the reading make the file stale.
        made_of = describe_sources(sweep)
        table = _collect(sweep)
        with complete_file(sweep.results) as file:
            pq.write_table(table.replace_schema_metadata({MADE_OF: made_of}), file, compression="zstd")
    return sweep.results


def _is_current(sweep: SweepDirectory) -> bool:
    """Return whether results.parquet is current."""
    if not sweep.results.exists():
        return False
    metadata = pq.read_schema(sweep.results).metadata or {}
    return bool(metadata.get(MADE_OF) == describe_sources(sweep))


def describe_sources(sweep: SweepDirectory) -> bytes:
    """Return the state of the inputs of the results: the plan, and journals, which only grow."""
    plan = sha256_of(sweep.plan) if sweep.plan.exists() else ""
    sizes = sorted((path.name, path.stat().st_size) for path in sweep.journal.glob("*.jsonl"))
    return json.dumps([plan, sizes]).encode()


def _collect(sweep: SweepDirectory) -> pa.Table:
    states, totals = read_states(sweep), read_totals(sweep)
    plan = read_plan(sweep)
    rows = [_row(factors, states.get(factors["key"]), totals.get(factors["key"])) for factors in plan]
    keys, points = {row["key"] for row in plan}, {row["point"] for row in plan}
    for key, figures in totals.items():
        if key not in keys:
            state = "stale" if figures["point"] in points else "other"
            rows.append(_row(figures, states.get(key), figures) | {"state": state})
    return _table(rows, RESULTS)


def _table(rows: Sequence[dict[str, Any]], known: Sequence[Column]) -> pa.Table:
    columns, extra = list(known), _extra_columns(rows)
    for row in rows:
        values = json.loads(row["factors"])
        row |= {name: convert(values.get(factor)) for factor, (name, _, convert) in extra.items()}
    columns += [_column(name, type_, "", f"factor {factor}") for factor, (name, type_, _) in extra.items()]
    return pa.Table.from_pylist(rows, _schema(columns))


def _row(
    factors: Mapping[str, Any], state: RunState | None, figures: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return one row; a run with results is done."""
    row = {column.name: factors.get(column.name) for column in FACTORS} | {"state": "planned", "attempts": 0}
    if state is not None:
        facts = state.facts
        row["attempts"] = facts.get("attempt", 0)
        row |= {name: facts.get(name) for name in ("fingerprint", "findings", "elapsed_s")}
        if state.state in ("failed", "poison"):
            row |= {"state": state.state, "problem": facts.get("line")}
        if state.state == "done" and figures is not None:
            row |= {"state": "done"} | {c.name: figures.get(c.name) for c in (*_TOTALS, *_DESIGN)}
    return row


_Extra = dict[str, tuple[str, pa.DataType, Callable[[Any], Any]]]


def _extra_columns(rows: Iterable[Mapping[str, Any]]) -> _Extra:
    """Return name, type and conversion of the column of each factor within another, by factor."""
    values: dict[str, set[type]] = {}
    for text in {row["factors"] for row in rows}:
        for factor, value in json.loads(text).items():
            values.setdefault(factor, set()).add(type(value))
    taken = {column.name for column in RESULTS}
    extra: _Extra = {}
    for factor, types in sorted(values.items()):
        name = re.sub(r"\W+", "_", factor.partition(".")[2])
        if name in taken:
            name = re.sub(r"\W+", "_", factor)
        taken.add(name)
        if types <= {int}:
            extra[factor] = name, _BIG, _as_it_is
        elif types <= {int, float}:
            extra[factor] = name, _REAL, _as_it_is
        else:
            extra[factor] = name, _TEXT, _as_text
    return extra


def _as_it_is(value: Any) -> Any:
    return value


def _as_text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _schema(columns: Iterable[Column]) -> pa.Schema:
    return pa.schema([pa.field(c.name, c.type, metadata={"doc": c.doc, "unit": c.unit}) for c in columns])
