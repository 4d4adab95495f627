"""What happened to single operations of a run, and why they took as long as they did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.allocators.registry import load_allocator
from pipeline.errors import PipelineError, UsageError
from pipeline.explain.attribution import (
    Claim,
    Hold,
    Interrupt,
    Nested,
    Phase,
    PinWait,
    Sleep,
    Stretch,
    Switched,
    What,
    own_hold,
    stretches,
    wait_causes,
)
from pipeline.explain.log_facts import Evidence, Row, gather, slowest, waits_of
from pipeline.runs.discovery import RunFound, find_runs
from pipeline.schema.run import FINDINGS, SITES, Manifest
from pipeline.sql.session import Session


@dataclass(frozen=True)
class Explained:
    """One operation: what asked for what, how it was served, and where its time went."""

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
    within: int | None
    findings: tuple[str, ...]
    # Whether every operation of the run is in its log: no hold is missing then.
    whole_log: bool
    phases: tuple[Phase, ...]


@dataclass(frozen=True)
class Unfinished:
    """An operation that the log has no row of, because the run ended before it did."""

    op: int
    ended_ns: int
    findings: tuple[str, ...]
    task: int | None
    events: tuple[Row, ...]


@dataclass(frozen=True)
class Locks:
    """The locks of a design: the kinds of operation that take them (None: all), and whether it is only one.

    `only_one` is None if the design cannot be asked any more: it is not there, or not as it was.
    """

    kinds: frozenset[str] | None
    only_one: bool | None


def locks_of(manifest: Manifest) -> list[Locks]:
    """Say of each design of a run what locks it has; the log does not number them."""
    allocator = manifest.allocator
    if not allocator.parts:
        return [Locks(None, _has_one_lock(allocator.name, allocator.source_sha256))]
    return [
        Locks(frozenset(part.kinds), _has_one_lock(part.name, part.source_sha256)) for part in allocator.parts
    ]


def _has_one_lock(name: str, source_sha256: str) -> bool | None:
    try:
        allocator = load_allocator(name)
    except PipelineError:
        return None
    if allocator.sha256 != source_sha256:
        return None
    # A design without this function has one: see pipeline.allocators.api.contract.
    return not hasattr(allocator.module, "locks")


def explain(run: Path, ops: Sequence[int] = (), slowest_of: int = 0) -> list[Explained | Unfinished]:
    """Explain operations of the run in directory `run`: `ops`, or the `slowest_of` slowest to map.

    Raises UsageError for an operation that the run does not have, InputError for a path without a run, and
    UsageError where it holds several or the run has no log.
    """
    found = _one_run(run)
    if bool(ops) == bool(slowest_of):
        raise UsageError(
            "wanted operations (--op N) or how many of the slowest (--slowest K), one of the two"
        )
    if slowest_of < 0:
        raise UsageError(f"--slowest {slowest_of}: wanted a number of operations, 1 or more")
    for op in ops:
        _check_range(op, found)
    with Session([found]) as session:
        chosen = list(dict.fromkeys(ops)) or slowest(session, slowest_of)
        if not chosen:
            raise UsageError(f"{run}: no operation of this run was completed, so that none is slowest")
        evidence = gather(session, chosen)
    whole = found.manifest.totals.operations >= _rows_of(found.manifest)
    locks = locks_of(found.manifest)
    return [
        explained(evidence, op, locks, whole)
        if op in evidence.own
        else _unfinished(evidence, op, found.manifest)
        for op in chosen
    ]


def _one_run(path: Path) -> RunFound:
    runs = find_runs([path])
    if len(runs) > 1:
        raise UsageError(
            f"{path}: wanted one run, found {len(runs)}; give the directory of one, such as "
            f"{runs[0].directory}"
        )
    if not runs[0].has_log:
        raise UsageError(
            f"{path}: this run kept no log, so that nothing is known of single operations; replay it again "
            f"with '--events full' instead of '--events none': {runs[0].manifest.command}"
        )
    return runs[0]


def _rows_of(manifest: Manifest) -> int:
    """Operations that the run was to do."""
    return int(manifest.trace.metadata.get("operations", manifest.totals.operations))


def _check_range(op: int, found: RunFound) -> None:
    last = max(_rows_of(found.manifest), found.manifest.totals.operations) - 1
    if not 0 <= op <= last:
        raise UsageError(f"--op {op}: this run has operations 0 to {last} (rows of its trace)")


def _unfinished(evidence: Evidence, op: int, manifest: Manifest) -> Unfinished:
    events = tuple(evidence.events[op])
    task = next((row["task"] for row in events if row["event"] in ("switch", "sleep", "scan", "flush")), None)
    return Unfinished(
        op, manifest.totals.wall_ns, tuple(finding.message for finding in manifest.findings), task, events
    )


def explained(evidence: Evidence, op: int, locks: Sequence[Locks], whole_log: bool) -> Explained:
    """Explain one operation that the evidence has a row of; `whole_log`: the log has every operation."""
    row = evidence.own[op]
    events = evidence.events[op]
    bounds = [row[name] for name in ("asked_ns", "mapped_ns", "unmap_asked_ns", "done_ns")]
    claims = _claims(evidence, row, locks)
    phases = tuple(
        _phase(name, begin, end, claims[name], evidence, row)
        for name, begin, end in zip(("map", "use", "unmap"), bounds, bounds[1:], strict=False)
    )
    around = [
        r
        for r in evidence.family.get(row["task"], ())
        if r["depth"] == row["depth"] - 1
        and r["mapped_ns"] <= row["asked_ns"]
        and r["unmap_asked_ns"] >= row["done_ns"]
    ]
    return Explained(
        op, row["kind"], row["page"], row["task"], row["process"], row["depth"], row["served"], row["slot"],
        row["probed"], row["asked_ns"], row["done_ns"], row["cpu_map"], row["cpu_unmap"],
        around[0]["op"] if around else None,
        tuple(list(FINDINGS)[e["value"]] for e in events if e["event"] == "finding"),
        whole_log,
        phases,
    )  # fmt: skip


def _claims(evidence: Evidence, row: Row, locks: Sequence[Locks]) -> dict[str, list[Claim]]:
    """What the log's rows say of each phase, in the order in which they are believed."""
    both = _lock_claims(evidence, row, locks) + _off_cpu_claims(evidence.events[row["op"]])
    passes = [
        Claim("flush" if p.event == "flush" else "scan", p.begin_ns, p.end_ns, p)
        for p in evidence.passes.get(row["op"], ())
    ]
    nested = [
        Claim("nested", r["asked_ns"], r["done_ns"], Nested(r["op"]))
        for r in evidence.family.get(row["task"], ())
        if r["depth"] == row["depth"] + 1
        and r["asked_ns"] >= row["mapped_ns"]
        and r["done_ns"] <= row["unmap_asked_ns"]
    ]
    flushes_first = sorted(passes, key=lambda claim: (claim.what, claim.begin_ns))
    return {"map": both + flushes_first, "use": nested + both, "unmap": both + flushes_first}


def _lock_claims(evidence: Evidence, row: Row, locks: Sequence[Locks]) -> list[Claim]:
    op, events = row["op"], evidence.events[row["op"]]
    claims: list[Claim] = []
    own = next(part for part in locks if part.kinds is None or row["kind"] in part.kinds)
    for wait, site, relock, holder in waits_of(row, events):
        others = [
            hold
            for hold in evidence.holds.between(wait.begin_ns, wait.end_ns)
            if hold.op != op and (own.kinds is None or hold.kind is None or hold.kind in own.kinds)
        ]
        causes = wait_causes(
            wait, others, evidence.passes, evidence.wraps, site, relock, holder, own.only_one
        )
        claims.append(Claim("lock_wait", wait.begin_ns, wait.end_ns, causes))
    holds = [
        (Hold("map", op, row["task"], row["cpu_map"], row["locked_ns"] or 0, row["map_hold_ns"]), False),
        (
            Hold(
                "unmap", op, row["task"], row["cpu_unmap"], row["unmap_asked_ns"] + row["unmap_wait_ns"],
                row["unmap_hold_ns"],
            ),
            False,
        ),
    ]  # fmt: skip
    holds += [
        (Hold(SITES[e["slot"]], op, e["task"], e["cpu"], e["time_ns"], e["duration_ns"]), True)
        for e in events
        if e["event"] == "relock"
    ]
    claims += [
        Claim(
            "lock_hold", hold.begin_ns, hold.end_ns, own_hold(hold, relock, evidence.passes, evidence.wraps)
        )
        for hold, relock in holds
        if hold.ns > 0
    ]
    return claims


def _off_cpu_claims(events: Sequence[Row]) -> list[Claim]:
    sleeps = [e for e in events if e["event"] == "sleep"]
    switches = [e for e in events if e["event"] == "switch"]
    claims = [
        Claim("pin_wait", e["time_ns"], e["time_ns"] + e["duration_ns"], PinWait(e["cpu"], e["value"]))
        for e in events
        if e["event"] == "pin_wait"
    ]
    for position, e in enumerate(sleeps):
        again = position + 1 < len(sleeps)
        woken_ns = e["time_ns"] + e["duration_ns"]
        claims.append(Claim("asleep", e["time_ns"], woken_ns, Sleep(e["value"], e["other"], e["cpu"], again)))
    for e in switches:
        detail = Switched(e["cpu"], e["other"])
        claims.append(Claim("switch", e["time_ns"], e["time_ns"] + e["duration_ns"], detail))
    for e in sleeps:
        woken_ns = e["time_ns"] + e["duration_ns"]
        switched = next((s for s in switches if s["time_ns"] >= woken_ns), None)
        if switched is not None:
            claims.append(
                Claim("ready", woken_ns, switched["time_ns"], Switched(switched["cpu"], switched["other"]))
            )
    return claims


def _phase(name: str, begin: int, end: int, claims: Sequence[Claim], evidence: Evidence, row: Row) -> Phase:
    parts = stretches(begin, end, claims)
    woken = sum(
        e["value"] or 0
        for e in evidence.events[row["op"]]
        if e["event"] == "wake" and begin <= e["time_ns"] < max(end, begin + 1)
    )
    hits = tuple(
        Interrupt(
            e["time_ns"], e["duration_ns"], e["cpu"], e["other"], e["op"],
            None if e["op"] is None else evidence.flushers.get(e["op"]), _during(parts, e["time_ns"]),
        )
        for e in evidence.interrupts.get(row["task"], ())
        if begin <= e["time_ns"] < end
    )  # fmt: skip
    return Phase(name, begin, end - begin, parts, hits, woken)  # type: ignore[arg-type]


def _during(parts: Sequence[Stretch], time_ns: int) -> What:
    return next((p.what for p in parts if p.begin_ns <= time_ns < p.begin_ns + p.ns), "rest")
