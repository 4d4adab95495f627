"""Command lines that repeat a planned run outside of a sweep."""

from __future__ import annotations

import shlex
from pathlib import Path

from pipeline.io.resources import shipped_folder
from pipeline.sweeps.plan import PlannedRun


def commands(run: PlannedRun) -> list[str]:
    """Return the commands that generate the trace of a workload, if needed, and replay it."""
    trace = run.trace
    lines = []
    place = trace.name if trace.path.stem == trace.name and not trace.generated else str(trace.path)
    if trace.generated:
        place = f"{trace.name}.parquet"
        generating = ["pipeline", "generate", _name(trace.path)]
        for key, value in trace.settings.items():
            generating += ["--set", f"{key}={value}"]
        generating += ["--ops", str(trace.operations), "--seed", str(trace.seed), "-o", place]
        lines.append(shlex.join(generating))
    replaying = ["pipeline", "replay", place, "-a", run.allocator, "-m", _name(Path(run.machine))]
    own = [key.removeprefix("options.") for key in run.factors if key.startswith("options.")]
    for name in own:
        option = name.rpartition(".")[2]
        replaying += ["-s", f"{name}={run.options[option if option in run.options else name]}"]
    for cost, cost_ns in run.costs.items():
        replaying += ["--cost", f"{cost}={cost_ns}"]
    replaying += ["--cpus", str(run.cpus)]
    for kind in run.lowmem:
        replaying += ["--lowmem", kind]
    replaying += ["--jitter", f"{run.jitter_percent:g}%"] if run.jitter_percent else []
    replaying += ["--loop", run.loop] if run.loop != "closed" else []
    lines.append(shlex.join([*replaying, "--seed", str(run.seed)]))
    return lines


def _name(path: Path) -> str:
    """Return the stem of a shipped file, or the path of another."""
    return path.stem if path.is_relative_to(shipped_folder("traces")) or path.parent == Path() else str(path)
