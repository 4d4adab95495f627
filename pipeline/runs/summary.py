"""The summary of a run for the terminal."""

from __future__ import annotations

from pathlib import Path

from pipeline.io.numbers import format_count, format_duration
from pipeline.machine.chance import explain_idle_seed, list_chances
from pipeline.runs.tails import lock_tail_ns, map_tail_ns
from pipeline.schema.manifest import Manifest

_SHOWN = 5


def summary(manifest: Manifest, cached: bool, directory: Path) -> str:
    """Summarise a run: trace, machine, lock, flushes and sleeps.

    If the run in `directory` has a log, means are followed by the 99th percentile.
    """
    totals = manifest.totals
    execution = manifest.execution
    acquisitions = sum(lock.acquisitions for lock in totals.locks)
    contended = sum(lock.contended for lock in totals.locks)
    hold_ns = sum(lock.hold_ns for lock in totals.locks)
    wait_ns = sum(lock.wait_ns for lock in totals.locks)
    lines = [
        f"{manifest.label} on {manifest.machine.name}, {manifest.machine.cpus} CPUs: trace "
        f"{manifest.trace.name}, {manifest.loop} loop, seed {manifest.seed}"
        + (f", jitter {manifest.jitter_percent:g} %" if manifest.jitter_percent else "")
        + (f", {' and '.join(manifest.lowmem)} in low memory" if manifest.lowmem else ""),
        f"  {totals.operations:,} operations in {format_duration(totals.wall_ns)} simulated"
        + (
            " (existing run)"
            if cached
            else f", {execution.elapsed_s:,.1f} s here, backlog at most {execution.backlog_rows:,} rows"
        ),
        f"  {totals.hits:,} hits, {totals.misses:,} misses, {totals.fallbacks:,} fallbacks",
    ]
    if totals.operations:
        map_time = _mean_and_tail(totals.map_ns / totals.operations, map_tail_ns(manifest, directory))
        lines.append(f"  request to mapped: {map_time}")
    if acquisitions:
        hold = _mean_and_tail(hold_ns / acquisitions, lock_tail_ns(directory, "hold_histogram"))
        wait = _mean_and_tail(wait_ns / max(contended, 1), lock_tail_ns(directory, "wait_histogram"))
        lines.append(
            f"  lock: {acquisitions:,} acquisitions, {contended / acquisitions:.1%} contended, hold {hold}, "
            f"wait {wait} when contended"
        )
    else:
        lines.append("  lock: none taken")
    lines.append(
        f"  {format_count(totals.flushes, 'flush')} ({format_count(totals.ipis, 'IPI')}), "
        f"{format_count(totals.scans, 'scan')}, {format_count(totals.sleeps, 'sleep')}"
        f"{_in_all(totals.asleep_ns)}, {format_count(totals.pin_waits, 'pin wait')}"
        f"{_in_all(totals.pin_wait_ns)}"
    )
    machine = manifest.machine
    if manifest.seed and not list_chances(machine.costs, machine.cpus, manifest.jitter_percent):
        lines.append(f"  {explain_idle_seed(machine.name, machine.costs, machine.cpus)}")
    return "\n".join(lines)


def _mean_and_tail(mean_ns: float, tail_ns: int | None) -> str:
    tail = "" if tail_ns is None else f" (p99 {format_duration(tail_ns)})"
    return f"{format_duration(round(mean_ns))}{tail}"


def _in_all(ns: int) -> str:
    return f" ({format_duration(ns)} in total)" if ns else ""


def finding_lines(manifest: Manifest) -> list[str]:
    """Return a line for each of the first findings."""
    found = manifest.findings
    lines = [f"{manifest.label} ended with a finding: {finding.message}" for finding in found[:_SHOWN]]
    if len(found) > _SHOWN:
        lines.append(f"and {len(found) - _SHOWN} more findings; see {manifest.id}/manifest.json")
    return lines
