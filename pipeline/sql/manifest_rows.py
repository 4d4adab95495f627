"""Rows of the tables that are filled from manifests, and what `runs` says of a recording."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from pipeline.io.files import sha256_of
from pipeline.runs.store import Recording, Run
from pipeline.schema.run import CPU_CATEGORIES
from pipeline.sql.recorded_pool import RecordedRun
from pipeline.sql.views import TOTALS


def _run_row(found: Run) -> Iterable[dict[str, Any]]:
    m = found.manifest
    yield {
        "run": found.name,
        "provenance": "simulated",
        "id": m.id,
        "directory": str(found.directory),
        "label": m.label,
        "allocator": m.allocator.name,
        "options": json.dumps(m.allocator.options, ensure_ascii=False),
        "machine": m.machine.name,
        "cpus": m.machine.cpus,
        "trace": m.trace.name,
        "trace_sha256": m.trace.sha256,
        "loop": m.loop,
        "seed": m.seed,
        "events": m.events,
        "command": m.command,
        **{column.name: getattr(m.totals, column.name) for column in TOTALS},
        "address_space_pages": m.allocator.address_space_pages,
        "page_struct_bytes": m.allocator.page_struct_bytes,
        "findings": len(m.findings),
        "fingerprint": m.fingerprint,
        "elapsed_s": m.execution.elapsed_s,
    }


def recording_row(found: Recording, run: RecordedRun) -> dict[str, Any]:
    """What `runs` says of a recording: what is known of it, and what could be counted."""
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


def _cpu_time_rows(found: Run) -> Iterable[dict[str, Any]]:
    for cpu in found.manifest.totals.cpu_time:
        for category in CPU_CATEGORIES:
            ns = getattr(cpu, f"{category}_ns")
            yield {"run": found.name, "cpu": cpu.cpu, "category": category, "ns": ns}


def _lock_total_rows(found: Run) -> Iterable[dict[str, Any]]:
    for lock in found.manifest.totals.locks:
        yield {"run": found.name, **lock.model_dump()}


def _finding_rows(found: Run) -> Iterable[dict[str, Any]]:
    for finding in found.manifest.findings:
        yield {
            "run": found.name,
            **finding.model_dump(),
            "tasks": json.dumps(finding.tasks),
            "slots": json.dumps(finding.slots),
        }


def _cost_rows(found: Run) -> Iterable[dict[str, Any]]:
    for name, cost in found.manifest.machine.costs.items():
        yield {
            "run": found.name,
            "machine": found.manifest.machine.name,
            "cost": name,
            "value": str(cost.value),
            "unit": cost.unit,
            "source": cost.source,
            "meaning": cost.doc,
        }


MANIFEST_ROWS = {
    "runs": _run_row,
    "cpu_time": _cpu_time_rows,
    "lock_totals": _lock_total_rows,
    "findings": _finding_rows,
    "costs": _cost_rows,
}
