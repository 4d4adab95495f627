"""Rows of the tables that are filled from manifests, recordings and lock statistics."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from pipeline.importing.locks.measured import LockRow
from pipeline.io.files import sha256_of
from pipeline.runs.store import LockTable, Recording, Run
from pipeline.schema.locks import ALL_SITES, FIGURE_NAMES, POOL_LOCK
from pipeline.schema.manifest import Manifest
from pipeline.schema.names import CPU_CATEGORIES
from pipeline.sql.views import TOTALS

if TYPE_CHECKING:
    from pipeline.sql.recorded_pool import RecordedRun

Rows = Iterable[dict[str, Any]]


def _run(m: Manifest) -> Rows:
    same = m.model_dump(
        include={"id", "label", "loop", "seed", "jitter_percent", "events", "command", "fingerprint"}
    )
    allocator = m.allocator.model_dump(include={"address_space_pages", "page_struct_bytes"})
    yield {
        **same,
        **allocator,
        "provenance": "simulated",
        "allocator": m.allocator.name,
        "options": json.dumps(m.allocator.options, ensure_ascii=False),
        "machine": m.machine.name,
        "cpus": m.machine.cpus,
        "trace": m.trace.name,
        "trace_sha256": m.trace.sha256,
        **{column.name: getattr(m.totals, column.name) for column in TOTALS},
        "findings": len(m.findings),
        "elapsed_s": m.execution.elapsed_s,
    }


def _cpu_time(m: Manifest) -> Rows:
    for cpu in m.totals.cpu_time:
        for category in CPU_CATEGORIES:
            yield {"cpu": cpu.cpu, "category": category, "ns": getattr(cpu, f"{category}_ns")}


def _locks(m: Manifest) -> Rows:
    machine = {"wall_ns": m.totals.wall_ns, "cpus": m.machine.cpus}
    sites: dict[str, dict[str, int]] = {
        lock.site: lock.model_dump(exclude={"site"}) for lock in m.totals.locks if lock.acquisitions
    }
    if not sites:
        return
    both = {
        name: (max if "max" in name else sum)(figures[name] for figures in sites.values())
        for name in next(iter(sites.values()))
    }
    for site, figures in ({ALL_SITES: both} | sites).items():
        row = LockRow(POOL_LOCK, site, "spinlock", {**figures, **machine})
        row.derive()
        yield _lock_row("simulated", row) | {"derived": None}


def _lock_row(provenance: str, row: LockRow) -> dict[str, Any]:
    return {
        "provenance": provenance,
        "lock": row.lock,
        "site": row.site,
        "type": row.type,
        **row.figures,
        "derived": ", ".join(name for name in FIGURE_NAMES if name in row.derived),
    }


def _findings(m: Manifest) -> Rows:
    for finding in m.findings:
        lists = {"tasks": json.dumps(finding.tasks), "slots": json.dumps(finding.slots)}
        yield finding.model_dump() | lists


def _costs(m: Manifest) -> Rows:
    for name, cost in m.machine.costs.items():
        row = {"machine": m.machine.name, "cost": name, "value": str(cost.value), "meaning": cost.doc}
        yield cost.model_dump(include={"unit", "source"}) | row


_ROWS: dict[str, Callable[[Manifest], Rows]] = {
    "runs": _run,
    "cpu_time": _cpu_time,
    "locks": _locks,
    "lock_sources": lambda _: (),
    "lock_totals": lambda m: (lock.model_dump() for lock in m.totals.locks),
    "lock_classes": lambda m: (
        {"lock": lock, "name": name} for lock, name in enumerate(m.allocator.lock_names)
    ),
    "findings": _findings,
    "costs": _costs,
}


def manifest_rows(table: str, run: Run) -> Rows:
    """Yield the rows of a table from a run's manifest."""
    for row in _ROWS[table](run.manifest):
        yield {"run": run.name, "directory": str(run.directory)} | row


def recording_row(found: Recording, run: RecordedRun) -> dict[str, Any]:
    """Return the row of `runs` for a recording: its known facts and countable totals."""
    return {
        "run": found.name,
        "provenance": "recorded",
        "id": f"{found.name}-{sha256_of(found.path)[:12]}",
        "directory": str(found.path),
        "label": found.name,
        "allocator": "recorded kernel",
        "machine": "emulated, see traces/RECORDINGS.md" if found.shipped else None,
        "cpus": run.cpus,
        "trace": found.name,
        "events": "full",
        **run.totals,
    }


def measured_rows(table: str, found: LockTable) -> Rows:
    """Yield the rows of a table from lock statistics."""
    measured = found.measured
    if table == "locks":
        by_wait = sorted(measured.rows, key=lambda row: -row.figures.get("wait_ns", -1))
        for place, row in enumerate(by_wait, 1):
            yield {"run": found.name, "place": place} | _lock_row("measured", row)
    elif table == "lock_sources":
        yield {
            "run": found.name,
            "file": str(found.path),
            "recorder": measured.recorder,
            "locks": len(measured.rows),
            "lacking": "; ".join(measured.lacking()),
            "notes": "; ".join(measured.notes),
        }
