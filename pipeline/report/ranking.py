"""Who is fastest, by how much, and how sure that is: runs of one trace on one machine, ranked.

Runs are compared where everything but the design is the same: trace, machine with every cost, loop, pages in
low memory. Runs of a design that differ in their seed alone are one entry. The uncertainty of a difference
comes from paired units, see `pipeline.report.statistics`: seeds, where both entries have at least two in
common; else batch means within the one run (A. M. Law, Simulation Modeling and Analysis, 9.5.3), where
the batches are blocks of the trace's rows. A run's progress is the mean time at which each block was done;
with its start and end these times cut the wall time into stretches that add up to it, so that the ratio
estimated over them is that of the throughputs.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Literal

import polars as pl

from pipeline.report.statistics import Estimate, mean, paired_difference, paired_ratio
from pipeline.runs.store import Run
from pipeline.schema.run import Manifest

QUERY_COLUMNS = ("run", "block", "operations", "done_ms", "lost_us")

# With fewer operations in a block its mean is that of a few accidents.
LEAST_PER_BLOCK = 20

Method = Literal["", "seeds", "blocks"]


@dataclass(frozen=True)
class Standing:
    """One design in a ranking: what it does, and how that differs from the reference."""

    name: str
    runs: tuple[str, ...]
    bound: str
    operations_per_second: Estimate
    lost_us: Estimate | None
    """From asking to being served, map and unmap of an operation together; None where no log tells."""
    ratio: Estimate | None = None
    """Its throughput as a share of the reference's; None of the reference itself."""
    dearer_us: Estimate | None = None
    method: Method = ""
    unknown: str = ""
    """Why the difference has no uncertainty."""

    @property
    def tied(self) -> bool:
        """Whether no difference in throughput from the reference was seen."""
        return self.ratio is not None and self.ratio.may_be(1.0)


@dataclass(frozen=True)
class Ranking:
    """The runs of one trace on one machine: designs by throughput, the first of them the reference."""

    manifest: Manifest
    """That of one of the runs: trace, machine, loop and pages in low memory are those of all."""
    standings: list[Standing]
    bounds: list[Standing]
    incomplete: list[Standing]
    """Runs that ended before the trace did, and so cannot be ranked."""
    blocks: int
    """Blocks that the trace is cut into."""


@dataclass(frozen=True)
class _Progress:
    """One run block by block: operations done, the time when, ns, and what mapping cost, us."""

    run: Run
    operations: list[int] = field(default_factory=list)
    stretches_ns: list[float] = field(default_factory=list)
    lost_us: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        totals = self.run.manifest.totals
        return 1e9 * totals.operations / max(totals.wall_ns, 1)

    @property
    def mean_lost_us(self) -> float | None:
        if not self.operations:
            return None
        whole = sum(lost * count for lost, count in zip(self.lost_us, self.operations, strict=True))
        return whole / sum(self.operations)


_Entry = dict[int, _Progress]


def rank_runs(runs: Sequence[Run], rows: pl.DataFrame, bounds: Collection[str]) -> list[Ranking]:
    """Rank `runs` with `rows`, the answer of the query `ranking`; one ranking for each trace and machine.

    `bounds` names the runs that are shown as bounds, apart from the designs.
    """
    groups: dict[tuple[str, ...], list[_Progress]] = {}
    for run in runs:
        m = run.manifest
        key = (m.trace.sha256, m.machine.model_dump_json(), m.loop, *m.lowmem)
        groups.setdefault(key, []).append(_measure_progress(run, rows.filter(pl.col("run") == run.name)))
    return [_rank(group, bounds) for group in groups.values()]


def is_deadlocked(run: Run) -> bool:
    """Whether a run ended because no task was left that could go on."""
    return any(one.finding == "deadlock" for one in run.manifest.findings)


def _measure_progress(run: Run, rows: pl.DataFrame) -> _Progress:
    if rows.is_empty():
        return _Progress(run)
    rows = rows.sort("block")
    times = [0.0, *(1e6 * ms for ms in rows["done_ms"].to_list()), float(run.manifest.totals.wall_ns)]
    stretches = [later - earlier for earlier, later in pairwise(times)]
    return _Progress(run, rows["operations"].to_list(), stretches, rows["lost_us"].to_list())


def _rank(group: Sequence[_Progress], bounds: Collection[str]) -> Ranking:
    most = max(progress.run.manifest.totals.operations for progress in group)
    # A run did the trace if it did as many operations as any other, and ended because there were no more.
    whole = [p for p in group if p.run.manifest.totals.operations == most > 0 and not is_deadlocked(p.run)]
    ranked = {p.run.name for p in whole}
    entries = _merge_seeds([p for p in whole if p.run.name not in bounds])
    entries.sort(key=lambda entry: -_rate(entry).value)
    reference = entries[0] if entries else None
    beside = _merge_seeds([p for p in whole if p.run.name in bounds])
    return Ranking(
        group[0].run.manifest,
        [_compare(entry, reference) for entry in entries],
        [_compare(entry, reference) for entry in beside],
        [_compare({p.run.manifest.seed: p}, None) for p in group if p.run.name not in ranked],
        max(len(p.operations) for p in group),
    )


def _merge_seeds(group: Sequence[_Progress]) -> list[_Entry]:
    """Runs that differ in their seed alone together; a second run of one seed is an entry of its own."""
    entries: dict[tuple[str, str, int], _Entry] = {}
    for progress in group:
        m = progress.run.manifest
        again = 0
        while m.seed in entries.get((m.label, m.allocator.source_sha256, again), {}):
            again += 1
        entries.setdefault((m.label, m.allocator.source_sha256, again), {})[m.seed] = progress
    return list(entries.values())


def _rate(entry: _Entry) -> Estimate:
    return mean([progress.rate for progress in entry.values()])


def _costs_us(entry: _Entry) -> list[float] | None:
    """Mean cost of an operation with each seed; None where that of one is not known."""
    costs = [progress.mean_lost_us for progress in entry.values()]
    known = [cost for cost in costs if cost is not None]
    return known if len(known) == len(costs) else None


def _compare(entry: _Entry, reference: _Entry | None) -> Standing:
    """What an entry does, and how that differs from the reference, if there is another one."""
    runs = [progress.run for progress in entry.values()]
    costs = _costs_us(entry)
    alone = Standing(
        runs[0].name if len(runs) == 1 else f"{runs[0].manifest.label} ({len(runs)} seeds)",
        tuple(run.name for run in runs),
        runs[0].manifest.allocator.bound,
        _rate(entry),
        mean(costs) if costs else None,
    )
    if reference is None or reference is entry:
        return alone
    common = sorted(entry.keys() & reference.keys())
    if common:
        entry, reference = ({seed: one[seed] for seed in common} for one in (entry, reference))
    costs, other_costs = _costs_us(entry), _costs_us(reference)
    if len(common) >= 2:
        return replace(
            alone,
            ratio=paired_ratio([p.rate for p in entry.values()], [p.rate for p in reference.values()]),
            dearer_us=paired_difference(costs, other_costs) if costs and other_costs else None,
            method="seeds",
        )
    this, that = next(iter(entry.values())), next(iter(reference.values()))
    if unknown := _explain_unpaired(this, that) if common else "no seed in common":
        return replace(
            alone,
            ratio=Estimate(_rate(entry).value / _rate(reference).value, None),
            dearer_us=Estimate(mean(costs).value - mean(other_costs).value, None)
            if costs and other_costs
            else None,
            unknown=unknown,
        )
    return replace(
        alone,
        # Each does the same work: the ratio of throughputs is that of the times, the other way up.
        ratio=paired_ratio(that.stretches_ns, this.stretches_ns),
        dearer_us=paired_difference(this.lost_us, that.lost_us),
        method="blocks",
    )


def _explain_unpaired(this: _Progress, that: _Progress) -> str:
    """Say why two runs cannot be compared block by block; "" if they can."""
    for progress in (this, that):
        if not progress.operations:
            return f"{progress.run.name} has no log"
        if min(progress.operations) < LEAST_PER_BLOCK:
            return f"fewer than {LEAST_PER_BLOCK} operations in a block of the trace"
    if len(this.operations) != len(that.operations):
        return "the runs did not do the same rows of the trace"
    return ""
