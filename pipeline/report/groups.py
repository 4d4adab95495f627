"""Group runs that may be ranked together, and the replications of each design.

Runs are ranked together if workload, machine with every cost, loop and jitter are the same. Pages in low
memory are part of the design, so a design can be compared with itself with more of them. A replication is a
trace and a seed. Traces of one workload that differ only in their seed are replications of each other.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace

from pipeline.runs.store import Run, identify_workload, label_design, unique_names
from pipeline.schema.manifest import Manifest

Replication = tuple[str, int]
"""Hash of the trace, and the seed: two designs that share both have the same requests and draws."""
Entry = dict[Replication, Run]
"""The runs of one design, by replication."""


def group_runs(runs: Sequence[Run]) -> list[list[Entry]]:
    """The designs of each group that may be ranked together, in the order of the first run of each."""
    groups: dict[Hashable, list[Run]] = {}
    for run in runs:
        groups.setdefault(_identify_conditions(run.manifest), []).append(run)
    return [_merge_replications(group) for some in groups.values() for group in _split_by_content(some)]


def choose_representatives(runs: Sequence[Run]) -> tuple[list[Run], dict[str, str]]:
    """The first replication of each design in each group, and its name for each run that it represents.

    Representatives have the names that they would have without the other runs.
    """
    entries = [list(entry.values()) for group in group_runs(runs) for entry in group]
    chosen = {id(some[0]): some for some in entries}
    first = [run for run in runs if id(run) in chosen]
    names = dict(zip(map(id, first), unique_names([run.manifest for run in first]), strict=True))
    if len(first) == len(runs):
        return list(runs), {}
    shown = [replace(run, name=names[id(run)]) for run in first]
    return shown, {run.name: names[first_one] for first_one, some in chosen.items() for run in some}


def _identify_conditions(m: Manifest) -> Hashable:
    return identify_workload(m), m.machine.model_dump_json(), m.loop, m.jitter_percent


def _split_by_content(group: Sequence[Run]) -> list[list[Run]]:
    """Separate traces that have the same seed but different content."""
    traces = {run.manifest.trace.sha256: run.manifest.trace for run in group}
    seeds = {repr((trace.metadata.get("source") or {}).get("seed")) for trace in traces.values()}
    if len(seeds) == len(traces):
        return [list(group)]
    return [[run for run in group if run.manifest.trace.sha256 == sha] for sha in traces]


def _merge_replications(group: Sequence[Run]) -> list[Entry]:
    """Group the runs of each design; a second run of the same replication is a separate entry."""
    entries: dict[tuple[str, str, int], Entry] = {}
    for run in group:
        m = run.manifest
        label, replication, again = label_design(m), (m.trace.sha256, m.seed), 0
        while replication in entries.get((label, m.allocator.source_sha256, again), {}):
            again += 1
        entries.setdefault((label, m.allocator.source_sha256, again), {})[replication] = run
    return list(entries.values())
