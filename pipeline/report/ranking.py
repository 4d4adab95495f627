"""Rank the designs of runs that share a workload and a machine, with the uncertainty of each difference.

Runs are compared if everything but the design is the same (`pipeline.report.groups`). The replications of a
design, which differ in the seeds of trace and run, are one entry. The uncertainty of a difference comes from
paired units, see `pipeline.statistics`. Units are replications if the entries have at least two different
ones in common; runs with equal fingerprints count as one run. Otherwise the units are batch means within the
single run (A. M. Law, Simulation Modeling and Analysis, 9.5.3), and the batches are blocks of the trace's
rows. The progress of a run is the mean completion time of each block. With the start and the end of the run,
these times divide the wall time into stretches, so the ratio estimated over them is the ratio of throughputs.

The reference is the design with the highest throughput, which is in part due to chance. The intervals
therefore hold simultaneously for all pairs of designs (J. C. Hsu, Multiple Comparisons, 1996). Ratios are
judged on a logarithmic scale, so a slowdown is not limited to 100 %.

A design is not ranked if any of its runs met a hazard or ended before its trace did.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import polars as pl

from pipeline.io.numbers import format_count, join_words
from pipeline.report.groups import Entry, Replication, group_runs
from pipeline.report.restrictions import describe_restriction
from pipeline.report.standing import Ranking, Standing
from pipeline.runs.metrics import METRICS
from pipeline.runs.store import Run, label_design
from pipeline.schema.manifest import Manifest
from pipeline.statistics import Estimate, mean, paired_ratio

QUERY_COLUMNS = ("run", "block", "operations", "done_ms", "lost_us")

# With fewer operations in a block, its mean is too uncertain.
LEAST_PER_BLOCK = 20


@dataclass(frozen=True)
class _Progress:
    """One run by block: completed operations, stretches of wall time in ns, and mapping time in us."""

    run: Run
    operations: list[int] = field(default_factory=list)
    stretches_ns: list[float] = field(default_factory=list)
    lost_us: list[float] = field(default_factory=list)

    def measure(self, name: str) -> float:
        """The value of one of the metrics by which runs are compared."""
        return METRICS[name].measure(self.run.manifest.totals)

    @property
    def rate(self) -> float:
        return self.measure("throughput")

    @property
    def fingerprint(self) -> str:
        return self.run.manifest.fingerprint

    @property
    def mean_lost_us(self) -> float | None:
        if not self.operations:
            return None
        whole = sum(lost * count for lost, count in zip(self.lost_us, self.operations, strict=True))
        return whole / sum(self.operations)


_Entry = dict[Replication, _Progress]


def rank_runs(runs: Sequence[Run], rows: pl.DataFrame, bounds: Collection[str]) -> list[Ranking]:
    """Rank `runs` with `rows`, the result of the query `ranking`; one ranking per workload and machine.

    `bounds` names the runs that are shown as bounds, separate from the designs.
    """
    parts = {str(name): part for (name,), part in rows.partition_by("run", as_dict=True).items()}
    nothing = rows.clear()

    def measure(entry: Entry) -> _Entry:
        return {key: _measure_progress(run, parts.get(run.name, nothing)) for key, run in entry.items()}

    return [_rank([measure(entry) for entry in group], bounds) for group in group_runs(runs)]


def describe_findings(manifests: Iterable[Manifest]) -> str:
    """List the hazards of some runs with their counts; "" for none."""
    counts = Counter(one.finding.replace("_", " ") for m in manifests for one in m.findings)
    words = [
        f"{name} ({format_count(count, 'time')})" if count > 1 else name for name, count in counts.items()
    ]
    return join_words(words) if words else ""


def _measure_progress(run: Run, rows: pl.DataFrame) -> _Progress:
    if rows.is_empty():
        return _Progress(run)
    rows = rows.sort("block")
    times = [0.0, *(1e6 * ms for ms in rows["done_ms"].to_list()), float(run.manifest.totals.wall_ns)]
    stretches = [later - earlier for earlier, later in pairwise(times)]
    return _Progress(run, rows["operations"].to_list(), stretches, rows["lost_us"].to_list())


def _rank(group: Sequence[_Entry], bounds: Collection[str]) -> Ranking:
    every = [progress for entry in group for progress in entry.values()]
    most: dict[str, int] = {}
    for progress in every:
        m = progress.run.manifest
        most[m.trace.sha256] = max(most.get(m.trace.sha256, 0), m.totals.operations)

    def explain_disqualified(entry: _Entry) -> str:
        manifests = [progress.run.manifest for progress in entry.values()]
        short = any(m.totals.operations < max(most[m.trace.sha256], 1) for m in manifests)
        found = describe_findings(manifests)
        reasons = [f"met {found}" if found else "", "did not complete the trace" if short else ""]
        return " and ".join(filter(None, reasons))

    entries: list[_Entry] = []
    beside: list[_Entry] = []
    disqualified: list[Standing] = []
    for entry in group:
        is_bound = next(iter(entry.values())).run.name in bounds
        if why := explain_disqualified(entry):
            disqualified.append(replace(_compare(entry, None), disqualified=why))
        else:
            (beside if is_bound else entries).append(entry)
    entries.sort(key=lambda entry: -_rate(entry).value)
    reference = entries[0] if entries else None
    pairs = len(entries) * (len(entries) - 1) // 2 + len(entries) * len(beside)
    comparisons = max(pairs, 1)
    return Ranking(
        every[0].run.manifest,
        _name_traces([progress.run.manifest for progress in every]),
        [_with_family(_compare(entry, reference), comparisons) for entry in entries],
        [_with_family(_compare(entry, reference), comparisons) for entry in beside],
        disqualified,
        max(len(p.operations) for p in every),
        comparisons,
        len({tuple(p.run.manifest.lowmem) for p in every}) == 1,
    )


def _name_traces(manifests: Sequence[Manifest]) -> tuple[str, ...]:
    """Names of the traces; equal names of different content are followed by the first digits of the hash."""
    names = {m.trace.sha256: m.trace.name for m in manifests}
    return tuple(
        f"{name} ({sha[:8]})" if list(names.values()).count(name) > 1 else name for sha, name in names.items()
    )


def _with_family(standing: Standing, comparisons: int) -> Standing:
    """Set the number of comparisons for which the intervals of the differences hold simultaneously."""
    ratio, slower_mapped = (
        estimate and replace(estimate, comparisons=comparisons)
        for estimate in (standing.ratio, standing.slower_mapped)
    )
    return replace(standing, ratio=ratio, slower_mapped=slower_mapped)


def _different(entry: _Entry) -> list[_Progress]:
    """The first run of each fingerprint."""
    found: dict[str, _Progress] = {}
    for progress in entry.values():
        found.setdefault(progress.fingerprint, progress)
    return list(found.values())


def _rate(entry: _Entry) -> Estimate:
    return mean([progress.rate for progress in _different(entry)])


def _costs_us(runs: Sequence[_Progress]) -> list[float] | None:
    """Mean mapping time of an operation in each run; None if it is unknown for any run."""
    costs = [progress.mean_lost_us for progress in runs]
    known = [cost for cost in costs if cost is not None]
    return known if len(known) == len(costs) else None


def _name(entry: _Entry, different: int) -> str:
    first = next(iter(entry.values())).run
    if len(entry) == 1:
        return first.name
    label = label_design(first.manifest)
    if different == 1:
        return f"{label} ({len(entry)} identical runs)"
    some = "" if different == len(entry) else f", {different} different"
    return f"{label} ({len(entry)} runs{some})"


def _compare(entry: _Entry, reference: _Entry | None) -> Standing:
    """The figures of an entry and its differences from the reference, unless it is the reference."""
    different = _different(entry)
    costs = _costs_us(different)
    alone = Standing(
        _name(entry, len(different)),
        label_design(different[0].run.manifest) if len(entry) > 1 else different[0].run.name,
        tuple(progress.run.name for progress in entry.values()),
        len(different),
        different[0].run.manifest.allocator.bound,
        _rate(entry),
        mean([progress.measure("map") for progress in different]),
        mean([progress.measure("cpu") for progress in different]),
        _idle_percent(different),
        mean(costs) if costs else None,
        restriction=describe_restriction(different[0].run.manifest),
    )
    if reference is None or reference is entry:
        return alone
    # Replications in which both runs repeat another replication are one unit, not several.
    pairs: dict[tuple[str, str], tuple[_Progress, _Progress]] = {}
    for replication in sorted(entry.keys() & reference.keys()):
        this, that = entry[replication], reference[replication]
        pairs.setdefault((this.fingerprint, that.fingerprint), (this, that))
    if not pairs:
        return _tell_unsure(alone, different, _different(reference), "no replication in common")
    these, those = zip(*pairs.values(), strict=True)
    if all(this == that for this, that in pairs):
        return replace(alone, ratio=Estimate(1.0), slower_mapped=_divide(these, those), identical=True)
    if len(pairs) >= 2:
        return replace(
            alone,
            ratio=paired_ratio([p.rate for p in these], [p.rate for p in those]),
            slower_mapped=_divide(these, those),
            method="replications",
        )
    if unknown := _explain_unpaired(these[0], those[0]):
        return _tell_unsure(alone, these, those, unknown)
    return replace(
        alone,
        # Both do the same work, so the ratio of throughputs is the inverse ratio of times.
        ratio=paired_ratio(those[0].stretches_ns, these[0].stretches_ns),
        # Mapping times of blocks are correlated, so their interval would be too narrow.
        slower_mapped=_divide(these, those),
        method="blocks",
    )


def _tell_unsure(
    alone: Standing, these: Sequence[_Progress], those: Sequence[_Progress], unknown: str
) -> Standing:
    """The difference without an interval, and the reason that the interval is unknown."""
    rates = [mean([progress.rate for progress in runs]).value for runs in (these, those)]
    times = [mean([progress.measure("map") for progress in runs]).value for runs in (these, those)]
    return replace(
        alone,
        ratio=Estimate(rates[0] / rates[1]),
        slower_mapped=Estimate(times[0] / times[1]) if times[1] else None,
        unknown=unknown,
    )


def _divide(these: Sequence[_Progress], those: Sequence[_Progress]) -> Estimate | None:
    """Ratio of the times from request to mapped of paired runs; None if the other side takes none."""
    times = [[progress.measure("map") for progress in runs] for runs in (these, those)]
    return paired_ratio(times[0], times[1]) if sum(times[1]) > 0 else None


def _idle_percent(runs: Sequence[_Progress]) -> float:
    """Idle CPU time of the runs as a share of all their CPU time."""
    cpus = [cpu for progress in runs for cpu in progress.run.manifest.totals.cpu_time]
    wall_ns = sum(p.run.manifest.totals.wall_ns * len(p.run.manifest.totals.cpu_time) for p in runs)
    return 100.0 * sum(cpu.idle_ns for cpu in cpus) / max(wall_ns, 1)


def _explain_unpaired(this: _Progress, that: _Progress) -> str:
    """State why two runs cannot be compared block by block; "" if they can."""
    for progress in (this, that):
        if not progress.operations:
            return f"{progress.run.name} has no log"
        if min(progress.operations) < LEAST_PER_BLOCK:
            return f"fewer than {LEAST_PER_BLOCK} operations in a block of the trace"
        # A block must contain operations of every task, or neighbouring blocks are correlated.
        if min(progress.operations) < (progress.run.manifest.trace.metadata.get("tasks") or 0):
            return "a block of the trace has fewer operations than the trace has tasks"
    if len(this.operations) != len(that.operations):
        return "the runs did not replay the same rows of the trace"
    return ""
