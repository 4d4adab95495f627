"""Totals of a finished simulation, read from the engine's counters."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from pipeline.jit.tables import Tables
from pipeline.machine.engine.records import T_ASLEEP
from pipeline.schema.codes import CATEGORIES, MAP
from pipeline.schema.manifest import CpuTime, Finding, LockTotals, Totals
from pipeline.schema.names import CPU_CATEGORIES, FINDINGS, SITES

_DIRECT = {"wall_ns": "now_ns"}
_FINDINGS_SHOWN = 20


def read_totals(machine_state: Tables) -> Totals:
    """Read the totals of a run that has ended."""
    machine = machine_state.machine[0]
    locks = [
        LockTotals.model_validate({"site": name} | {field: int(site[field]) for field in site.dtype.names})
        for name, site in zip(SITES, machine_state.sites, strict=False)
    ]
    spent = np.asarray(machine_state.spent).reshape(-1, CATEGORIES)
    names = [f"{category}_ns" for category in CPU_CATEGORIES]
    cpu_time = [
        CpuTime(cpu=cpu, **dict(zip(names, (int(ns) for ns in row), strict=True)))
        for cpu, row in enumerate(spent)
    ]
    counted: dict[str, Any] = {
        name: int(machine[_DIRECT.get(name, name)])
        for name in Totals.model_fields
        if name not in ("locks", "cpu_time")
    }
    return Totals(**counted, locks=locks, cpu_time=cpu_time)


def read_fingerprint(machine_state: Tables) -> str:
    """Return the hash of every row of the log, whether the log was kept or not."""
    machine = machine_state.machine[0]
    lanes = np.array([machine[f"hash{lane}"] for lane in range(4)], np.dtype("<i8"))
    counts = np.array([machine["operations"], machine["now_ns"]], np.dtype("<i8"))
    return hashlib.sha256(lanes.tobytes() + counts.tobytes()).hexdigest()[:32]


def describe_deadlock(machine_state: Tables) -> Finding:
    """Describe a deadlock: the sleeping tasks and the slots that they hold."""
    machine = machine_state.machine[0]
    levels = int(machine.levels)
    asleep = [int(task) for task in np.flatnonzero(machine_state.tasks.state == T_ASLEEP)]
    held: set[int] = set()
    holders = []
    for task in asleep:
        slots = [
            int(request.slot)
            for request in machine_state.requests[
                task * levels : task * levels + int(machine_state.tasks[task].depth)
            ]
            if request.slot >= 0 and request.unmapping == MAP
        ]
        if slots:
            holders.append(f"task {task} holds {', '.join(f'slot {slot}' for slot in slots)}")
        held |= set(slots)
    shown = "; ".join(holders[:_FINDINGS_SHOWN])
    message = (
        f"deadlock: {len(asleep)} tasks sleep for slots and no task is left to wake them"
        + (f": {shown}" if shown else "")
        + (f" and {len(holders) - _FINDINGS_SHOWN} more" if len(holders) > _FINDINGS_SHOWN else "")
    )
    return Finding(
        finding="deadlock", time_ns=int(machine.now_ns), message=message, tasks=asleep, slots=sorted(held)
    )


def read_findings(machine_state: Tables) -> list[Finding]:
    """Return the findings recorded by the engine: one of each kind, with its count."""
    found: list[Finding] = []
    for kind, (name, meaning) in enumerate(FINDINGS.items()):
        note = machine_state.findings[kind]
        if note.count == 0:
            continue
        times = f"{int(note.count):,} times, first" if note.count > 1 else "once,"
        found.append(
            Finding(
                finding=name,
                time_ns=int(note.time_ns),
                message=f"{meaning}: {times} by task {int(note.task)}"
                + (f" at slot {int(note.slot)}" if note.slot >= 0 else "")
                + f" in operation {int(note.op)}",
                tasks=[int(note.task)],
                slots=[int(note.slot)] if note.slot >= 0 else [],
            )
        )
    return found
