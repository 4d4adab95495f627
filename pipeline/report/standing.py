"""The figures of each design in a ranking, and how they compare with the reference design."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipeline.schema.manifest import Manifest
from pipeline.statistics import Estimate

# Throughputs that differ by less than this share count as equal.
NEGLIGIBLE = 0.01

Method = Literal["", "replications", "blocks"]
Verdict = Literal["", "faster", "slower", "alike", "identical", "cannot tell", "unknown"]


@dataclass(frozen=True)
class Standing:
    """One design in a ranking: its figures, and their differences from the reference."""

    name: str
    label: str
    """The name without the number of runs."""
    runs: tuple[str, ...]
    different: int
    """Number of runs with different fingerprints."""
    bound: str
    operations_per_second: Estimate
    mapped_us: Estimate
    """Time from request to mapped, mean."""
    cpu_us: Estimate
    """CPU time per operation, without idle time."""
    idle_percent: float
    """Share of CPU time without a task to run."""
    lost_us: Estimate | None
    """Time from request to mapped plus time from unmap request to done, per operation; None without a log."""
    ratio: Estimate | None = None
    """Throughput relative to the reference; None for the reference itself."""
    slower_mapped: Estimate | None = None
    """Time from request to mapped relative to the reference; None if the reference takes none."""
    method: Method = ""
    unknown: str = ""
    """Why the uncertainty of the difference is unknown."""
    identical: bool = False
    """Whether its log equals that of the reference in every replication."""
    disqualified: str = ""
    """Why the design is not ranked; "" if it is."""
    restriction: str = ""
    """What the design forbids, and whether the trace does it."""

    @property
    def verdict(self) -> Verdict:
        """How throughput compares with the reference; equal if the whole interval is negligible."""
        if self.ratio is None:
            return ""
        if self.identical:
            return "identical"
        interval = self.ratio.factor_interval
        if interval is None:
            return "unknown"
        low, high = interval
        if low >= 1 / (1 + NEGLIGIBLE) and high <= 1 + NEGLIGIBLE:
            return "alike"
        if not low <= 1.0 <= high:
            return "faster" if self.ratio.value > 1 else "slower"
        return "cannot tell"

    @property
    def deviation(self) -> float | None:
        """Standard deviation of `ratio` between runs, as far as it can be estimated."""
        if self.ratio is None or self.ratio.error is None:
            return None
        # All blocks are of one run, so the error of their mean is that of the run.
        return self.ratio.error * (self.ratio.units**0.5 if self.method == "replications" else 1.0)


@dataclass(frozen=True)
class Ranking:
    """The runs of one workload on one machine; the design with the highest throughput is the reference."""

    manifest: Manifest
    """Manifest of one of the runs; machine, loop and jitter are the same for all."""
    traces: tuple[str, ...]
    """Names of the traces, which differ only in their seed."""
    standings: list[Standing]
    bounds: list[Standing]
    disqualified: list[Standing]
    """Designs and bounds that are not ranked: they met a hazard or did not complete the trace."""
    blocks: int
    """Number of blocks into which the trace is divided."""
    comparisons: int = 1
    """Number of pairs of designs, and of designs with bounds, for which intervals hold simultaneously."""
    same_lowmem: bool = True
    """Whether all runs have the same pages in low memory."""
