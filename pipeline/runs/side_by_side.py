"""Several runs of one trace side by side in the terminal, with a bar for each."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.io.numbers import format_duration
from pipeline.io.tables import align_columns
from pipeline.runs.finished import RunResult
from pipeline.runs.tails import map_tail_ns

_WIDTH = 24


def side_by_side(runs: Sequence[RunResult], bar: str = "█") -> str:
    """Return a table of runs by decreasing throughput; runs with findings are last and have no bar.

    `bar` is the character of the bars. The time from request to mapped is given as a mean and, for runs with
    a log, as the 99th percentile.
    """
    rates = {run.path: _rate(run) for run in runs}
    sound = [run for run in runs if not run.manifest.findings]
    most = max((rates[run.path] for run in sound), default=0.0)
    rows = [("design", "op/s", "", "map", "p99", "flushes", "sleeps", "")]
    for run in sorted(runs, key=lambda run: (bool(run.manifest.findings), -rates[run.path])):
        totals = run.manifest.totals
        tail = map_tail_ns(run.manifest, run.path)
        broken = bool(run.manifest.findings)
        rows.append(
            (
                run.manifest.label,
                f"{rates[run.path]:,.0f}",
                "" if broken or not most else bar * max(1, round(_WIDTH * rates[run.path] / most)),
                format_duration(round(totals.map_ns / totals.operations)) if totals.operations else "-",
                "-" if tail is None else format_duration(tail),
                f"{totals.flushes:,}",
                f"{totals.sleeps:,}",
                f"not valid: {run.manifest.findings[0].finding}" if broken else "",
            )
        )
    return align_columns(rows, right=(1, 3, 4, 5, 6))


def _rate(run: RunResult) -> float:
    totals = run.manifest.totals
    return totals.operations / (totals.wall_ns / 1e9) if totals.wall_ns else 0.0
