"""The status of a sweep from its journal and claims, during the sweep, after it and in a copy."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import InputError, UsageError, did_you_mean
from pipeline.io.numbers import format_count
from pipeline.io.tables import align_columns
from pipeline.runs.store import read_finished_manifest
from pipeline.sweeps import claims
from pipeline.sweeps.claims import Claim
from pipeline.sweeps.directory import SweepDirectory, open_sweep
from pipeline.sweeps.journal import RunState, history, read_states, read_totals
from pipeline.sweeps.results import read_plan

STATES = ("done", "running", "planned", "failed", "poison")
_DETERMINANTS = (
    "trace", "trace_operations", "trace_seed", "workload", "allocator", "options", "machine", "costs", "cpus",
    "lowmem", "loop", "jitter_percent", "seed", "events",
)  # fmt: skip
_LISTED = ["key", "point", "description"]
_SHOWN = 10
_RECENT_S = 60.0


@dataclass(frozen=True)
class Status:
    """Runs of the grid by state, valid claims, and runs of other engines and grids.

    `plan` has key, point and description of each run of the grid; `states` has the known states by key.
    """

    path: Path
    plan: list[dict[str, Any]]
    states: dict[str, RunState]
    running: dict[str, Claim]
    stale: int
    others: int

    def state_of(self, key: str) -> str:
        """One of STATES."""
        known = self.states.get(key)
        if known is not None and known.state == "done":
            return "done"
        if key in self.running:
            return "running"
        return known.state if known is not None and known.settled else "planned"

    def text(self) -> str:
        """Return counts, running and remaining runs, and the names of failed runs."""
        found = Counter(self.state_of(row["key"]) for row in self.plan)
        counts = ", ".join(f"{found[state]:,} {state}" for state in STATES if found[state] or state == "done")
        lines = [f"{self.path}: {format_count(len(self.plan), 'run')} of the grid: {counts}"]
        if self.stale:
            lines.append(f"  {format_count(self.stale, 'run')} of the grid by a different engine (stale)")
        if self.others:
            lines.append(f"  {format_count(self.others, 'run')} not in this grid")
        lines += self._running()
        lines += self._rate(found)
        lines += self._failures()
        return "".join(f"{line}\n" for line in lines)

    def lines(self) -> str:
        """Return a line for each run of the grid: key, state and description."""
        rows = (f"{row['key']}  {self.state_of(row['key']):7}  {row['description']}\n" for row in self.plan)
        return "".join(rows)

    def _running(self) -> list[str]:
        if not self.running:
            return []
        rows = {row["key"]: row for row in self.plan}
        now_s = time.time()
        shown = [
            (
                f"  {claim.key}",
                f"on {claim.process.host}, pid {claim.process.pid}",
                f"since {max(0.0, now_s - claim.since_s):,.0f} s",
                f"attempt {claim.attempt}",
                rows[claim.key]["description"] if claim.key in rows else "not in this grid",
            )
            for claim in list(self.running.values())[:_SHOWN]
        ]
        more = len(self.running) - _SHOWN
        return ["running", *align_columns(shown).splitlines(), *([f"  and {more} more"] if more > 0 else [])]

    def _rate(self, found: Counter[str]) -> list[str]:
        """Return the rate of runs, if any are in progress."""
        since_s = time.time() - _RECENT_S
        times = [
            known.at_s for known in self.states.values() if known.state == "done" and known.at_s > since_s
        ]
        left = found["planned"] + found["running"]
        if not self.running or len(times) < 2 or max(times) == min(times):
            return []
        rate = (len(times) - 1) / (max(times) - min(times))
        return [f"{rate:,.3g} runs/s in the last minute, about {left / rate:,.0f} s left"]

    def _failures(self) -> list[str]:
        failed = [row for row in self.plan if self.state_of(row["key"]) in ("failed", "poison")]
        lines = []
        for row in failed[:_SHOWN]:
            known = self.states[row["key"]]
            lines.append(f"{known.state} {row['key']} {row['description']}: {known.facts.get('line', '')}")
        if failed[_SHOWN:]:
            lines.append(f"and {len(failed) - _SHOWN:,} more; --all lists them")
        return lines


def read_status(path: str | Path) -> Status:
    """Read the status of a sweep. Raises InputError for a directory that is not a sweep."""
    sweep = open_sweep(Path(path))
    plan, states = read_plan(sweep, _LISTED), read_states(sweep)
    running = {
        claim.key: claim
        for claim in claims.find_all(sweep)
        if not claim.key.startswith(claims.TRACE) and not claim.is_void(sweep)
    }
    keys, points = {row["key"] for row in plan}, {row["point"] for row in plan}
    outside = [key for key, known in states.items() if known.state == "done" and key not in keys]
    stale = 0
    if outside:
        totals = read_totals(sweep)
        stale = sum(totals[key]["point"] in points for key in outside if key in totals)
    return Status(sweep.path, plan, states, running, stale, len(outside) - stale)


def find_key(sweep: SweepDirectory, start: str, keys: Iterable[str]) -> str:
    """Return the only key that begins with `start`. Raises UsageError for none and for several."""
    known = set(keys)
    found = sorted(key for key in known if key.startswith(start))
    if len(found) == 1 and start:
        return found[0]
    if found and start:
        raise UsageError(
            f"{len(found)} runs of {sweep.path} have keys that begin with {start}; give more digits"
        )
    raise UsageError(
        f"{sweep.path} has no run '{start}'{did_you_mean(start, known)}; 'pipeline sweep status {sweep.path} "
        "--all' lists them"
    )


def explain_run(path: str | Path, start: str) -> str:
    """Describe the settings and the events of a run, given by the beginning of its key.

    Raises UsageError for an unknown key, and InputError for a directory that is not a sweep.
    """
    sweep = open_sweep(Path(path))
    status = read_status(path)
    rows = {row["key"]: row for row in read_plan(sweep)} | read_totals(sweep)
    key = find_key(sweep, start, rows.keys() | status.states.keys())
    if key not in rows:
        raise InputError(f"{path}: run {key} is not in this grid; it failed, and nothing else is recorded")
    row = rows[key]
    in_grid = any(planned["key"] == key for planned in status.plan)
    lines = [
        f"{key}: {row['description']}",
        f"state: {status.state_of(key)}" + ("" if in_grid else ", not in this grid"),
    ]
    for line in history(sweep, key):
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(line["at"]))
        facts = [f"attempt {line['attempt']}"] if "attempt" in line else []
        facts += (
            [f"{line['elapsed_s']} s", f"fingerprint {line['fingerprint']}"]
            if line["state"] == "done"
            else []
        )
        facts += [line["line"]] if "line" in line else []
        lines.append(f"  {when}  {line['state']} on {line['host']}: {', '.join(facts)}".rstrip(": "))
    if (claim := status.running.get(key)) is not None:
        lines.append(
            f"  attempt {claim.attempt} in progress on {claim.process.host}, pid {claim.process.pid}"
        )
    lines.append("determined by")
    shown = [(f"  {name}", str(row[name])) for name in _DETERMINANTS if row[name] not in (None, "{}")]
    lines += align_columns(shown).splitlines()
    manifest = read_finished_manifest(sweep.runs / key)
    if manifest is not None:
        lines += [
            f"directory: {sweep.runs / key}",
            "to repeat the run outside the sweep:",
            f"  {manifest.command}",
        ]
    return "".join(f"{line}\n" for line in lines)
