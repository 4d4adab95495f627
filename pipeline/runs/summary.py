"""A run in a few lines of text, for the terminal."""

from __future__ import annotations

from pipeline.machine.chance import explain_idle_seed, list_chances
from pipeline.schema.run import Manifest

_SHOWN = 5


def summary(manifest: Manifest, cached: bool) -> str:
    """Say what was replayed on what and what came of it: lock, flushes, sleeping, CPU time."""
    totals = manifest.totals
    wall_s = totals.wall_ns / 1e9
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
        f"  {totals.operations:,} operations in {wall_s:,.3f} s simulated"
        + (
            " (this run was there already)"
            if cached
            else f", {execution.elapsed_s:,.1f} s here, backlog at most {execution.backlog_rows:,} rows"
        ),
        f"  {totals.hits:,} hits, {totals.misses:,} misses, {totals.fallbacks:,} fallbacks",
    ]
    if acquisitions:
        lines.append(
            f"  lock: {acquisitions:,} acquisitions, {contended / acquisitions:.1%} contended, hold "
            f"{hold_ns / acquisitions / 1e3:,.2f} us, wait {wait_ns / max(contended, 1) / 1e3:,.1f} us when "
            "contended"
        )
    else:
        lines.append("  lock: none taken")
    lines.append(
        f"  {totals.flushes:,} flushes ({totals.ipis:,} IPIs), {totals.scans:,} scans, {totals.sleeps:,} "
        f"sleeps ({totals.asleep_ns / 1e6:,.1f} ms), {totals.pin_waits:,} pin waits "
        f"({totals.pin_wait_ns / 1e6:,.1f} ms)"
    )
    machine = manifest.machine
    if manifest.seed and not list_chances(machine.costs, machine.cpus, manifest.jitter_percent):
        lines.append(f"  {explain_idle_seed(machine.name, machine.costs, machine.cpus)}")
    return "\n".join(lines)


def finding_lines(manifest: Manifest) -> list[str]:
    """One line per finding, the first few."""
    found = manifest.findings
    lines = [f"{manifest.label} ended with a finding: {finding.message}" for finding in found[:_SHOWN]]
    if len(found) > _SHOWN:
        lines.append(f"and {len(found) - _SHOWN} more findings; see {manifest.id}/manifest.json")
    return lines
