"""What a ranking says of each design: its figures, and how they compare with the reference's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipeline.schema.manifest import Manifest
from pipeline.statistics import Estimate

# Throughputs that differ by less than this share are alike.
NEGLIGIBLE = 0.01

Method = Literal["", "replications", "blocks"]
Verdict = Literal["", "faster", "slower", "alike", "identical", "cannot tell", "unknown"]


@dataclass(frozen=True)
class Standing:
    """One design in a ranking: what it does, and how that differs from the reference."""

    name: str
    label: str
    """The name without how many runs there are."""
    runs: tuple[str, ...]
    different: int
    """How many of the runs are different."""
    bound: str
    operations_per_second: Estimate
    mapped_us: Estimate
    """From the request to having the mapping, mean."""
    cpu_us: Estimate
    """CPU time of an operation, all but idling."""
    idle_percent: float
    """CPU time without a task to run, as a share of all."""
    lost_us: Estimate | None
    """From asking to being served, map and unmap of an operation together; None where no log tells."""
    ratio: Estimate | None = None
    """Its throughput as a share of the reference's; None of the reference itself."""
    slower_mapped: Estimate | None = None
    """Its time from request to mapped as a share of the reference's; None where that is 0."""
    method: Method = ""
    unknown: str = ""
    """Why the difference has no uncertainty."""
    identical: bool = False
    """Whether it did in every replication exactly what the reference did."""
    disqualified: str = ""
    """Why it is not ranked."""
    restriction: str = ""
    """What the design may not do, and whether the trace does it."""

    @property
    def verdict(self) -> Verdict:
        """How its throughput compares with the reference's; "alike" only where a difference would show."""
        if self.ratio is None:
            return ""
        if self.identical:
            return "identical"
        interval = self.ratio.factor_interval
        if interval is None:
            return "unknown"
        low, high = interval
        if not low <= 1.0 <= high:
            return "faster" if self.ratio.value > 1 else "slower"
        return "alike" if high / low <= (1 + NEGLIGIBLE) ** 2 and high <= 1 + NEGLIGIBLE else "cannot tell"

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
    disqualified: list[Standing]
    """Designs and bounds that met a hazard or did not do the whole trace, and so are not ranked."""
    blocks: int
    """Blocks that the trace is cut into."""
    comparisons: int = 1
    """Pairs of designs, and of designs with bounds, whose intervals hold together."""
    same_lowmem: bool = True
    """Whether all runs have the same pages in low memory."""
