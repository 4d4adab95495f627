"""The conditions of the runs in a report: traces, machines, and the differences between runs."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

from pipeline.io.numbers import format_number, join_words
from pipeline.report.basis import describe_fits, describe_yardsticks
from pipeline.runs.store import Run, identify_workload
from pipeline.schema.manifest import Manifest

PROVENANCES = ("measured", "derived", "assumed", "synthetic", "absent")
LOOPS = {
    "closed": "closed: each operation waits for the previous one of its task, so delays propagate",
    "timed": "timed: operations start at the times of the trace, and late tasks catch up",
}

Facts = list[tuple[str, str]]


_NAMED = 3


def name_question(runs: Sequence[Run]) -> str:
    """The title of the report: the question that it answers."""
    traces = list(dict.fromkeys(run.manifest.trace.name for run in runs))
    sources = {(run.manifest.trace.metadata.get("source") or {}).get("name") for run in runs}
    machines = list(dict.fromkeys(run.manifest.machine.name for run in runs))
    if len(traces) > 1 and len(sources) == 1 and None not in sources:
        traces = [str(name) for name in sources]
    what = join_words(traces) if len(traces) <= _NAMED else f"{len(traces)} traces"
    where = join_words(machines) if len(machines) <= _NAMED else f"{len(machines)} machines"
    designs = list(dict.fromkeys(run.manifest.label for run in runs))
    asked = "which mapping design?" if len(designs) > 1 else f"how does {designs[0]} perform?"
    return f"{what} on {where}: {asked}"


def describe_traces(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Each trace once: its name, facts, provenance of its columns, notes, and the runs that replayed it."""
    entries = []
    for same in _group(runs, lambda m: m.trace.sha256):
        trace = same[0].manifest.trace
        # The manifest has the metadata as in the trace, whose format may be newer.
        metadata = trace.metadata
        source = metadata.get("source") or {}
        columns = metadata.get("columns") or {}
        provenance = [(p, [name for name, value in columns.items() if value == p]) for p in PROVENANCES]
        entries.append(
            {
                "name": trace.name,
                "runs": [run.name for run in same],
                "description": source.get("description", ""),
                "facts": list(_trace_facts(metadata, source)),
                "file": [("File", trace.path), ("SHA-256", trace.sha256)],
                "provenance": [(word, names) for word, names in provenance if names],
                "notes": metadata.get("notes") or [],
            }
        )
    return entries


def _trace_facts(metadata: dict[str, Any], source: dict[str, Any]) -> Iterator[tuple[str, str]]:
    sizes = {name: metadata.get(name) for name in ("operations", "tasks", "processes", "pages")}
    yield (
        "Size",
        ", ".join(f"{format_number(n)} {name}" for name, n in sizes.items() if isinstance(n, int)),
    )
    kind = source.get("type", "")
    if kind == "synthetic":
        yield "Source", f"synthetic, workload {source.get('name', '')}, seed {source.get('seed')}"
    elif kind:
        made = [source.get("recorder"), source.get("kernel") and f"kernel {source['kernel']}"]
        made += [source.get("file") and f"imported from {source['file']}"]
        yield "Source", ", ".join(["recorded", *(str(word) for word in made if word)])
    if metadata.get("cpus"):
        yield "Recorded on", f"{metadata['cpus']} CPUs"
    # Nothing can be lost where nothing was recorded.
    if "lost_events" in metadata and kind != "synthetic":
        yield "Lost events", format_number(metadata["lost_events"]) or "unknown"
    if metadata.get("clock"):
        yield "Clock", str(metadata["clock"])


def describe_machines(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Each machine once: its profile, how many of its costs are assumed, and the runs simulated on it."""
    entries = []
    for same in _group(runs, lambda m: m.machine.model_dump_json()):
        profile = same[0].manifest.machine
        assumed = sum(cost.assumed for cost in profile.costs.values())
        names = [run.name for run in same]
        sourced = len(profile.costs) - assumed
        basis = [describe_fits(same), describe_yardsticks(same)]
        entries.append(
            {"profile": profile, "runs": names, "assumed": assumed, "sourced": sourced, "basis": basis}
        )
    return entries


def describe_loop_and_seeds(runs: Sequence[Run]) -> Facts:
    """Loop, seeds and jitter of the runs."""
    loops = dict.fromkeys(run.manifest.loop for run in runs)
    seeds = dict.fromkeys(run.manifest.seed for run in runs)
    jitters = dict.fromkeys(run.manifest.jitter_percent for run in runs)
    facts = [
        ("Loop", "; ".join(LOOPS[loop] for loop in loops)),
        ("Seed" if len(seeds) == 1 else "Seeds", ", ".join(map(str, seeds))),
    ]
    if any(jitters):
        facts.append(("Jitter", ", ".join(f"{jitter:g} %" for jitter in jitters)))
    return facts


def list_warnings(runs: Sequence[Run]) -> Iterator[str]:
    """Warnings for the reader: runs that differ in more than their design, and runs without a log."""
    # If all designs have the same seeds, the ranking compares them replication by replication.
    replications = {
        tuple(sorted((r.manifest.trace.sha256, r.manifest.seed) for r in same))
        for same in _group(runs, lambda m: m.label)
    }
    counts = {
        "trace": len(_group(runs, identify_workload)),
        "machine": len(_group(runs, lambda m: m.machine.model_dump_json())),
        "pages in low memory": len(_group(runs, lambda m: tuple(m.lowmem))),
        "loop": len(_group(runs, lambda m: m.loop)),
        "jitter": len(_group(runs, lambda m: m.jitter_percent)),
        "seed": len(replications),
    }
    if differing := [name for name, count in counts.items() if count > 1]:
        yield (
            f"These runs differ not only in their design but also in {join_words(differing)}, so "
            "differences between them have more than one cause."
        )
    if without := [run.name for run in runs if not run.has_log]:
        yield (
            f"Runs without a log: {join_words(without)}. "
            "They appear in totals, but not in distributions or charts over time."
        )


def list_findings(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Every hazard that a run met; repeated ones are counted and have the message of the first."""
    entries: dict[tuple[str, str], dict[str, Any]] = {}
    for run in runs:
        for finding in run.manifest.findings:
            name = finding.finding.replace("_", " ")
            first = {
                "run": run.name,
                "finding": name,
                "message": finding.message.removeprefix(f"{name}: "),
                "time": f"{format_number(finding.time_ns / 1e6)} ms",
                "tasks": ", ".join(map(str, finding.tasks[:20])),
                "slots": ", ".join(map(str, finding.slots[:20])),
                "count": 0,
            }
            entries.setdefault((run.name, name), first)["count"] += 1
    return list(entries.values())


def _group(runs: Sequence[Run], key: Callable[[Manifest], Hashable]) -> list[list[Run]]:
    """Group runs by the key of their manifest, in the order of the first run of each group."""
    groups: dict[Hashable, list[Run]] = {}
    for run in runs:
        groups.setdefault(key(run.manifest), []).append(run)
    return list(groups.values())
