"""Explaining single operations of a run: what happened, and where their time went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.errors import UsageError
from pipeline.explain.attribution import (
    Interrupt,
    Nested,
    Phase,
    PinWait,
    Sleep,
    Stretch,
    Switch,
    attribute_wait,
    describe_hold,
    divide,
)
from pipeline.explain.log_facts import LogFacts, Row, gather, slowest
from pipeline.runs.store import Run, find_runs
from pipeline.schema.manifest import Manifest
from pipeline.schema.names import FINDINGS
from pipeline.sql.session import Session


@dataclass(frozen=True)
class Explanation:
    """One operation: the request, how it was served, and where its time went."""

    op: int
    kind: str
    page: int
    task: int
    process: int
    depth: int
    served: str
    slot: int | None
    probed: int
    asked_ns: int
    done_ns: int
    cpu_map: int
    cpu_unmap: int
    # None if no row of the trace unmapped it; `done_ns` is then the end of the run.
    unmap_task: int | None
    within: int | None
    findings: tuple[str, ...]
    # Whether every operation of the run is in its log, so no hold is missing.
    whole_log: bool
    phases: tuple[Phase, ...]


# Columns of an operation's row that are copied into an explanation.
_OF_ROW = (
    "op", "kind", "page", "task", "process", "depth", "served", "slot", "probed", "asked_ns", "done_ns",
    "cpu_map", "cpu_unmap", "unmap_task",
)  # fmt: skip


@dataclass(frozen=True)
class Unfinished:
    """An operation without a row in the log, because the run ended first.

    With `areas`, its row of the trace may also have unmapped the mapping of another row.
    """

    op: int
    ended_ns: int
    findings: tuple[str, ...]
    task: int | None
    events: tuple[Row, ...]
    areas: bool = False


def explain(run: Path, ops: Sequence[int] = (), slowest_of: int = 0) -> list[Explanation | Unfinished]:
    """Explain operations of the run in directory `run`: `ops`, or the `slowest_of` slowest to map.

    Raises UsageError for an operation that is not in the run, for a path with several runs and for a run
    without a log, and InputError for a path without a run.
    """
    found = _one_run(run)
    if bool(ops) == bool(slowest_of):
        raise UsageError("give either operations (--op N) or a number of slowest operations (--slowest K)")
    if slowest_of < 0:
        raise UsageError(f"--slowest {slowest_of}: must be at least 1")
    done = found.manifest.totals.operations
    to_do = int(found.manifest.trace.metadata.get("operations", done))
    last = max(to_do, done) - 1
    for op in ops:
        if not 0 <= op <= last:
            raise UsageError(f"--op {op}: this run has operations 0 to {last} (rows of its trace)")
    with Session([found]) as session:
        chosen = list(dict.fromkeys(ops)) or slowest(session, slowest_of)
        if not chosen:
            raise UsageError(f"{run}: no operation of this run was completed, so there is no slowest one")
        facts = gather(session, chosen)
    return [
        explain_operation(facts, op, whole_log=done >= to_do)
        if op in facts.operations
        else _explain_unfinished(facts.events[op], op, found.manifest)
        for op in chosen
    ]


def _one_run(path: Path) -> Run:
    runs = find_runs([path])
    if len(runs) > 1:
        raise UsageError(
            f"{path}: expected one run, found {len(runs)}; give the directory of one, such as "
            f"{runs[0].directory}"
        )
    if not runs[0].has_log:
        raise UsageError(
            f"{path}: this run has no log, which explain requires; replay it again "
            f"with '--events full' instead of '--events none': {runs[0].manifest.command}"
        )
    return runs[0]


def _explain_unfinished(events: Sequence[Row], op: int, manifest: Manifest) -> Unfinished:
    task = next((row["task"] for row in events if row["event"] in ("switch", "sleep", "scan", "flush")), None)
    findings = tuple(finding.message for finding in manifest.findings)
    return Unfinished(op, manifest.totals.wall_ns, findings, task, tuple(events), manifest.allocator.areas)


def explain_operation(facts: LogFacts, op: int, whole_log: bool) -> Explanation:
    """Explain one operation with a row in the log. `whole_log`: the log has every operation."""
    row = facts.operations[op]
    bounds = [row[name] for name in ("asked_ns", "mapped_ns", "unmap_asked_ns", "done_ns")]
    claims = _claims(facts, row)
    return Explanation(
        **{name: row[name] for name in _OF_ROW},
        within=next((r["op"] for r in facts.family[row["task"]] if _is_nested(row, r)), None),
        findings=tuple(list(FINDINGS)[e["value"]] for e in facts.events[op] if e["event"] == "finding"),
        whole_log=whole_log,
        phases=tuple(
            _phase(name, begin, end, claims[name], facts, row)
            for name, begin, end in zip(("map", "use", "unmap"), bounds, bounds[1:], strict=False)
        ),
    )


def _is_nested(inner: Row, outer: Row) -> bool:
    """Return whether an operation is nested directly in another one of its task."""
    return (
        inner["depth"] == outer["depth"] + 1
        and inner["asked_ns"] >= outer["mapped_ns"]
        and inner["done_ns"] <= outer["unmap_asked_ns"]
    )


def _claims(facts: LogFacts, row: Row) -> dict[str, list[Stretch]]:
    """Return the claims of the log's rows on each phase, in order of precedence."""
    both = _lock_claims(facts, row) + _off_cpu_claims(facts.events[row["op"]])
    passes = facts.passes.by_op[row["op"]]
    work = both + [
        Stretch(event, p.begin_ns, p.ns, p) for event in ("flush", "scan") for p in passes if p.event == event
    ]
    nested = [
        Stretch("nested", r["asked_ns"], r["done_ns"] - r["asked_ns"], Nested(r["op"]))
        for r in facts.family[row["task"]]
        if _is_nested(r, row)
    ]
    return {"map": work, "use": nested + both, "unmap": work}


def _lock_claims(facts: LogFacts, row: Row) -> list[Stretch]:
    op, waits = row["op"], facts.waits[row["op"]]
    claims: list[Stretch] = []
    for w in waits:
        wait = Stretch("lock_wait", w["time_ns"], w["wait_ns"])
        others = [hold for hold in facts.holds.between(wait.begin_ns, wait.end_ns) if hold.op != op]
        # The simulator records the longest holder for an operation's longest wait, and for each relock.
        holder = w["holder"] if w["relock"] or len(waits) == 1 else None
        causes = attribute_wait(wait, others, facts.passes, w["site"], w["relock"], holder, w["lock"])
        claims.append(replace(wait, detail=causes))
    return claims + [
        Stretch("lock_hold", hold.begin_ns, hold.ns, describe_hold(hold, facts.passes))
        for hold in facts.own_holds[op]
    ]


def _off_cpu_claims(events: Sequence[Row]) -> list[Stretch]:
    pin_waits, sleeps, switches = (
        [e for e in events if e["event"] == event] for event in ("pin_wait", "sleep", "switch")
    )
    claims = [
        Stretch("pin_wait", e["time_ns"], e["duration_ns"], PinWait(e["cpu"], e["value"])) for e in pin_waits
    ]
    claims += [
        Stretch("asleep", e["time_ns"], e["duration_ns"], Sleep(e["value"], e["other"], e["cpu"], again))
        for e, again in zip(sleeps, [True] * (len(sleeps) - 1) + [False], strict=False)
    ]
    claims += [
        Stretch("switch", e["time_ns"], e["duration_ns"], Switch(e["cpu"], e["other"])) for e in switches
    ]
    for e in sleeps:
        woken_ns = e["time_ns"] + e["duration_ns"]
        switch = next((s for s in switches if s["time_ns"] >= woken_ns), None)
        if switch is not None:
            detail = Switch(switch["cpu"], switch["other"])
            claims.append(Stretch("ready", woken_ns, switch["time_ns"] - woken_ns, detail))
    return claims


def _phase(name: str, begin: int, end: int, claims: Sequence[Stretch], facts: LogFacts, row: Row) -> Phase:
    parts = divide(begin, end, claims)
    woken = sum(
        e["value"] or 0
        for e in facts.events[row["op"]]
        if e["event"] == "wake" and begin <= e["time_ns"] < max(end, begin + 1)
    )
    hits = tuple(
        Interrupt(
            e["time_ns"], e["duration_ns"], e["cpu"], e["other"], e["op"], e["flusher"],
            next((p.what for p in parts if p.begin_ns <= e["time_ns"] < p.end_ns), "rest"),
        )
        for e in facts.interrupts[row["task"]]
        if begin <= e["time_ns"] < end
    )  # fmt: skip
    return Phase(name, begin, end - begin, parts, hits, woken)  # type: ignore[arg-type]
