"""Who is fastest, by how much, and how sure that is: runs of one workload on one machine, ranked.

Runs are compared where everything but the design is the same: workload, machine with every cost, loop, pages
in low memory, jitter. Runs of a design that differ in their replication, which is the trace's seed and the
run's, are one entry. The uncertainty of a difference comes from paired units, see
`pipeline.statistics`. Units are replications, where the entries have at least two in common in which
not both did the same as in another: runs with equal fingerprints are one run that was made again. Else the
units are batch means within the one run (A. M. Law, Simulation Modeling and Analysis, 9.5.3), where the
batches are blocks of the trace's rows. A run's progress is the mean time at which each block was done; with
its start and end these times cut the wall time into stretches that add up to it, so that the ratio estimated
over them is that of the throughputs.

The reference is the design that did most, and chance has a say in which that is. So the intervals are those
of all pairs of designs together, which hold for whichever reference (J. C. Hsu, Multiple Comparisons, 1996).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Literal

import polars as pl

from pipeline.runs.store import Run, identify_workload
from pipeline.schema.run import Manifest
from pipeline.statistics import Estimate, mean, paired_difference, paired_ratio

QUERY_COLUMNS = ("run", "block", "operations", "done_ms", "lost_us")

# With fewer operations in a block its mean is that of a few accidents.
LEAST_PER_BLOCK = 20
# Throughputs that differ by less than this share are alike.
NEGLIGIBLE = 0.01

Method = Literal["", "replications", "blocks"]
Verdict = Literal["", "faster", "slower", "alike", "identical", "cannot tell", "unknown"]


@dataclass(frozen=True)
class Standing:
    """One design in a ranking: what it does, and how that differs from the reference."""

    name: str
    runs: tuple[str, ...]
    different: int
    """How many of the runs are different."""
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
    identical: bool = False
    """Whether it did in every replication exactly what the reference did."""

    @property
    def verdict(self) -> Verdict:
        """How its throughput compares with the reference's; "alike" only where a difference would show."""
        if self.ratio is None:
            return ""
        if self.identical:
            return "identical"
        if self.ratio.half_width is None:
            return "unknown"
        if not self.ratio.may_be(1.0):
            return "faster" if self.ratio.value > 1 else "slower"
        return "alike" if self.ratio.is_within(NEGLIGIBLE, 1.0) else "cannot tell"

    @property
    def deviation(self) -> float | None:
        """Standard deviation of `ratio` from one run to another, as far as can be known."""
        if self.ratio is None or self.ratio.error is None:
            return None
        # The blocks are all of one run, and its error is that of their mean.
        return self.ratio.error * (self.ratio.units**0.5 if self.method == "replications" else 1.0)


@dataclass(frozen=True)
class Ranking:
    """The runs of one workload on one machine: designs by throughput, the first of them the reference."""

    manifest: Manifest
    """That of one of the runs: machine, loop, jitter and pages in low memory are those of all."""
    traces: tuple[str, ...]
    """Names of the traces, which differ in their seed alone."""
    standings: list[Standing]
    bounds: list[Standing]
    incomplete: list[Standing]
    """Runs that ended before the trace did, and so cannot be ranked."""
    blocks: int
    """Blocks that the trace is cut into."""
    comparisons: int = 1
    """Pairs of designs, and of designs with bounds, whose intervals hold together."""


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
    def fingerprint(self) -> str:
        return self.run.manifest.fingerprint

    @property
    def mean_lost_us(self) -> float | None:
        if not self.operations:
            return None
        whole = sum(lost * count for lost, count in zip(self.lost_us, self.operations, strict=True))
        return whole / sum(self.operations)


# A replication: the trace and the seed. Two designs that share one met the same requests and draws.
_Replication = tuple[str, int]
_Entry = dict[_Replication, _Progress]


def rank_runs(runs: Sequence[Run], rows: pl.DataFrame, bounds: Collection[str]) -> list[Ranking]:
    """Rank `runs` with `rows`, the answer of the query `ranking`; one ranking for each workload and machine.

    `bounds` names the runs that are shown as bounds, apart from the designs.
    """
    groups: dict[tuple[object, ...], list[_Progress]] = {}
    for run in runs:
        m = run.manifest
        key = (identify_workload(m), m.machine.model_dump_json(), m.loop, m.jitter_percent, *m.lowmem)
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
    most: dict[str, int] = {}
    for progress in group:
        m = progress.run.manifest
        most[m.trace.sha256] = max(most.get(m.trace.sha256, 0), m.totals.operations)

    def is_whole(progress: _Progress) -> bool:
        # A run did the trace if it did as many operations as any other, and ended because there were no more.
        m = progress.run.manifest
        return m.totals.operations == most[m.trace.sha256] > 0 and not is_deadlocked(progress.run)

    whole = [progress for progress in group if is_whole(progress)]
    entries = _merge_replications([p for p in whole if p.run.name not in bounds])
    entries.sort(key=lambda entry: -_rate(entry).value)
    reference = entries[0] if entries else None
    beside = _merge_replications([p for p in whole if p.run.name in bounds])
    pairs = len(entries) * (len(entries) - 1) // 2 + len(entries) * len(beside)
    comparisons = max(pairs, 1)
    return Ranking(
        group[0].run.manifest,
        tuple(dict.fromkeys(progress.run.manifest.trace.name for progress in group)),
        [_with_family(_compare(entry, reference), comparisons) for entry in entries],
        [_with_family(_compare(entry, reference), comparisons) for entry in beside],
        [_compare({_replication(p): p}, None) for p in group if not is_whole(p)],
        max(len(p.operations) for p in group),
        comparisons,
    )


def _with_family(standing: Standing, comparisons: int) -> Standing:
    """Let the intervals of a standing's differences hold together with those of other pairs."""
    ratio, dearer_us = (
        estimate and replace(estimate, comparisons=comparisons)
        for estimate in (standing.ratio, standing.dearer_us)
    )
    return replace(standing, ratio=ratio, dearer_us=dearer_us)


def _replication(progress: _Progress) -> _Replication:
    return progress.run.manifest.trace.sha256, progress.run.manifest.seed


def _merge_replications(group: Sequence[_Progress]) -> list[_Entry]:
    """Runs of a design together; a second run of one replication is an entry of its own."""
    entries: dict[tuple[str, str, int], _Entry] = {}
    for progress in group:
        m, replication = progress.run.manifest, _replication(progress)
        again = 0
        while replication in entries.get((m.label, m.allocator.source_sha256, again), {}):
            again += 1
        entries.setdefault((m.label, m.allocator.source_sha256, again), {})[replication] = progress
    return list(entries.values())


def _different(entry: _Entry) -> list[_Progress]:
    """The runs that are different: of those with one fingerprint, the first."""
    found: dict[str, _Progress] = {}
    for progress in entry.values():
        found.setdefault(progress.fingerprint, progress)
    return list(found.values())


def _rate(entry: _Entry) -> Estimate:
    return mean([progress.rate for progress in _different(entry)])


def _costs_us(runs: Sequence[_Progress]) -> list[float] | None:
    """Mean cost of an operation in each run; None where that of one is not known."""
    costs = [progress.mean_lost_us for progress in runs]
    known = [cost for cost in costs if cost is not None]
    return known if len(known) == len(costs) else None


def _name(entry: _Entry, different: int) -> str:
    first = next(iter(entry.values())).run
    if len(entry) == 1:
        return first.name
    if different == 1:
        return f"{first.manifest.label} ({len(entry)} identical runs)"
    some = "" if different == len(entry) else f", {different} different"
    return f"{first.manifest.label} ({len(entry)} runs{some})"


def _compare(entry: _Entry, reference: _Entry | None) -> Standing:
    """What an entry does, and how that differs from the reference, if there is another one."""
    different = _different(entry)
    costs = _costs_us(different)
    alone = Standing(
        _name(entry, len(different)),
        tuple(progress.run.name for progress in entry.values()),
        len(different),
        different[0].run.manifest.allocator.bound,
        _rate(entry),
        mean(costs) if costs else None,
    )
    if reference is None or reference is entry:
        return alone
    # Replications in which both did again what they did in another are one unit, not several.
    pairs: dict[tuple[str, str], tuple[_Progress, _Progress]] = {}
    for replication in sorted(entry.keys() & reference.keys()):
        this, that = entry[replication], reference[replication]
        pairs.setdefault((this.fingerprint, that.fingerprint), (this, that))
    if not pairs:
        return _tell_unsure(alone, different, _different(reference), "no replication in common")
    if all(this == that for this, that in pairs):
        return replace(alone, ratio=Estimate(1.0), dearer_us=Estimate(0.0), identical=True)
    these, those = zip(*pairs.values(), strict=True)
    costs, other_costs = _costs_us(these), _costs_us(those)
    if len(pairs) >= 2:
        return replace(
            alone,
            ratio=paired_ratio([p.rate for p in these], [p.rate for p in those]),
            dearer_us=paired_difference(costs, other_costs) if costs and other_costs else None,
            method="replications",
        )
    if unknown := _explain_unpaired(these[0], those[0]):
        return _tell_unsure(alone, these, those, unknown)
    return replace(
        alone,
        # Each does the same work: the ratio of throughputs is that of the times, the other way up.
        ratio=paired_ratio(those[0].stretches_ns, these[0].stretches_ns),
        # Blocks of costs depend on one another: their interval would be too narrow.
        dearer_us=_subtract(costs, other_costs),
        method="blocks",
    )


def _tell_unsure(
    alone: Standing, these: Sequence[_Progress], those: Sequence[_Progress], unknown: str
) -> Standing:
    """The difference without its uncertainty, and why that is not known."""
    costs, other_costs = _costs_us(these), _costs_us(those)
    rates = [mean([progress.rate for progress in runs]).value for runs in (these, those)]
    ratio = Estimate(rates[0] / rates[1])
    return replace(alone, ratio=ratio, dearer_us=_subtract(costs, other_costs), unknown=unknown)


def _subtract(costs: Sequence[float] | None, other_costs: Sequence[float] | None) -> Estimate | None:
    """The difference of two mean costs, where both are known, without its uncertainty."""
    return Estimate(mean(costs).value - mean(other_costs).value) if costs and other_costs else None


def _explain_unpaired(this: _Progress, that: _Progress) -> str:
    """Say why two runs cannot be compared block by block; "" if they can."""
    for progress in (this, that):
        if not progress.operations:
            return f"{progress.run.name} has no log"
        if min(progress.operations) < LEAST_PER_BLOCK:
            return f"fewer than {LEAST_PER_BLOCK} operations in a block of the trace"
        # A block must outlast the round in which each task has its turn, or its neighbours depend on it.
        if min(progress.operations) < (progress.run.manifest.trace.metadata.get("tasks") or 0):
            return "fewer operations in a block of the trace than it has tasks"
    if len(this.operations) != len(that.operations):
        return "the runs did not do the same rows of the trace"
    return ""
