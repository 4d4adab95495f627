"""What the runs of a report were made of, for its head: traces, machines, designs and what differs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.io.numbers import format_number, join_words
from pipeline.runs.discovery import RunFound

PROVENANCES = ("measured", "derived", "assumed", "synthetic", "absent")

Facts = list[tuple[str, str]]


def traces(runs: Sequence[RunFound]) -> list[dict[str, Any]]:
    """Each trace once: its name, facts, provenance of its columns, notes, and the runs that replayed it."""
    found: dict[str, dict[str, Any]] = {}
    for run in runs:
        trace = run.manifest.trace
        entry = found.setdefault(trace.sha256, {"name": trace.name, "runs": []})
        entry["runs"].append(run.name)
        if "facts" in entry:
            continue
        # A manifest keeps the metadata as it stood in the trace, which a newer format may have extended.
        metadata = trace.metadata
        source = metadata.get("source") or {}
        entry["description"] = source.get("description", "")
        entry["facts"] = _trace_facts(metadata, source)
        entry["file"] = [("File", trace.path), ("SHA-256", trace.sha256)]
        entry["provenance"] = _provenance(metadata.get("columns") or {})
        entry["notes"] = metadata.get("notes") or []
    return list(found.values())


def _trace_facts(metadata: dict[str, Any], source: dict[str, Any]) -> Facts:
    counts = [
        f"{format_number(metadata[name])} {name}"
        for name in ("operations", "tasks", "processes", "pages")
        if isinstance(metadata.get(name), int)
    ]
    facts: Facts = [("Size", ", ".join(counts))]
    kind = source.get("type", "")
    if kind == "synthetic":
        facts.append(("Source", f"synthetic, workload {source.get('name', '')}, seed {source.get('seed')}"))
    elif kind:
        made = [source.get("recorder"), source.get("kernel") and f"kernel {source['kernel']}"]
        made += [source.get("file") and f"imported from {source['file']}"]
        facts.append(("Source", ", ".join(["recorded", *(str(word) for word in made if word)])))
    if metadata.get("cpus"):
        facts.append(("Recorded on", f"{metadata['cpus']} CPUs"))
    # Nothing can be lost where nothing was recorded.
    if "lost_events" in metadata and kind != "synthetic":
        lost = metadata["lost_events"]
        facts.append(("Lost events", "unknown" if lost is None else format_number(lost)))
    if metadata.get("clock"):
        facts.append(("Clock", str(metadata["clock"])))
    return facts


def _provenance(columns: dict[str, str]) -> list[tuple[str, list[str]]]:
    groups = [(p, [name for name, value in columns.items() if value == p]) for p in PROVENANCES]
    return [(provenance, names) for provenance, names in groups if names]


def machines(runs: Sequence[RunFound]) -> list[dict[str, Any]]:
    """Each machine once: its name, CPUs, every cost, how many are assumed, and the runs simulated on it."""
    found: dict[str, dict[str, Any]] = {}
    for run in runs:
        machine = run.manifest.machine
        entry = found.setdefault(machine.model_dump_json(), {"runs": []})
        entry["runs"].append(run.name)
        assumed = sum(cost.source.strip().lower().startswith("assumed") for cost in machine.costs.values())
        entry |= {
            "name": machine.name,
            "summary": machine.summary,
            "cpus": machine.cpus,
            "assumed": assumed,
            "sourced": len(machine.costs) - assumed,
            "costs": [
                (name, format_number(cost.value, 6), cost.unit, cost.source, cost.doc)
                for name, cost in machine.costs.items()
            ],
        }
    return list(found.values())


def allocators(runs: Sequence[RunFound]) -> list[dict[str, Any]]:
    """Each run's design, options and how it was made, in the order of the runs."""
    entries = []
    for run in runs:
        m = run.manifest
        entries.append(
            {
                "run": run.name,
                "design": m.allocator.name,
                "summary": m.allocator.summary,
                "command": m.command,
                "facts": [
                    ("Options", ", ".join(f"{k} = {v}" for k, v in m.allocator.options.items()) or "none"),
                    ("Trace", m.trace.name),
                    ("Machine", f"{m.machine.name}, {m.machine.cpus} CPUs"),
                    *([("Low memory", ", ".join(m.lowmem))] if m.lowmem else []),
                    ("Loop", m.loop),
                    ("Seed", str(m.seed)),
                    ("Log", "kept" if run.has_log else "not kept: totals only"),
                    ("Simulated in", f"{format_number(m.execution.elapsed_s, 3)} s"),
                    ("Versions", ", ".join(f"{k} {v}" for k, v in m.versions.items())),
                    ("Fingerprint", m.fingerprint),
                    ("Run", m.id),
                ],
            }
        )
    return entries


LOOPS = {
    "closed": "closed: a task's next operation waits for its previous one, so that delays propagate",
    "timed": "timed: operations start by the trace's clock, late tasks catch up",
}


def shared(runs: Sequence[RunFound]) -> Facts:
    """Loop and seed, each once where all runs share it."""
    loops = list(dict.fromkeys(run.manifest.loop for run in runs))
    seeds = list(dict.fromkeys(run.manifest.seed for run in runs))
    return [
        ("Loop", "; ".join(LOOPS[loop] for loop in loops)),
        ("Seed" if len(seeds) == 1 else "Seeds", ", ".join(map(str, seeds))),
    ]


def warnings(runs: Sequence[RunFound]) -> list[str]:
    """What a reader must know before comparing: runs that differ in more than their design, or lack a log."""
    differing = [
        name
        for name, values in (
            ("trace", {run.manifest.trace.sha256 for run in runs}),
            ("machine", {run.manifest.machine.model_dump_json() for run in runs}),
            ("pages in low memory", {tuple(run.manifest.lowmem) for run in runs}),
            ("loop", {run.manifest.loop for run in runs}),
            ("seed", {tuple(seeds) for seeds in _seeds(runs).values()}),
        )
        if len(values) > 1
    ]
    lines = []
    if differing:
        lines.append(
            f"These runs differ in {join_words(differing)}, not in their design alone; "
            "differences between them have more than one cause."
        )
    without = [run.name for run in runs if not run.has_log]
    if without:
        lines.append(
            f"Without a log, in the totals only: {join_words(without)}. "
            "Distributions and charts over time leave these runs out."
        )
    return lines


def _seeds(runs: Sequence[RunFound]) -> dict[str, list[int]]:
    """Seeds of each design; where all have the same, the ranking compares them seed by seed."""
    seeds: dict[str, list[int]] = {}
    for run in runs:
        seeds.setdefault(run.manifest.label, []).append(run.manifest.seed)
    return {label: sorted(own) for label, own in seeds.items()}


def findings(runs: Sequence[RunFound]) -> list[dict[str, Any]]:
    """Every hazard that a run met: equal ones of a run together, with the first one's message."""
    entries: dict[tuple[str, str], dict[str, Any]] = {}
    for run in runs:
        for finding in run.manifest.findings:
            name = finding.finding.replace("_", " ")
            entry = entries.setdefault(
                (run.name, finding.finding),
                {
                    "run": run.name,
                    "finding": name,
                    "message": finding.message.removeprefix(f"{name}: "),
                    "time": f"{format_number(finding.time_ns / 1e6)} ms",
                    "tasks": ", ".join(map(str, finding.tasks[:20])),
                    "slots": ", ".join(map(str, finding.slots[:20])),
                    "count": 0,
                },
            )
            entry["count"] += 1
    return list(entries.values())
