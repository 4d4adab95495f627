"""The measures in the report of a sweep, and their SQL over the view `results`."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.sql.library import OutputColumn


@dataclass(frozen=True)
class Measure:
    """A measure of a run: column, SQL over the view `results`, unit, description, and titles of its chart."""

    column: str
    sql: str
    unit: str
    doc: str
    title: str
    axis: str
    none: str

    @property
    def output(self) -> OutputColumn:
        """The documentation of the column."""
        return OutputColumn(self.column, self.unit, self.doc)


THROUGHPUT = Measure(
    "operations_per_second", "1e9 * operations / wall_ns", "1/s",
    "operations completed per second of simulated time",
    "Throughput", "operations per second", "No throughput",
)  # fmt: skip
MAPPED = Measure(
    "map_mean_us", "map_ns / 1e3 / operations", "us",
    "time from request to mapped, mean",
    "Time from request to mapped, mean", "request to mapped, mean", "No map took any time",
)  # fmt: skip
MEASURES = (
    THROUGHPUT,
    MAPPED,
    Measure(
        "spin_percent", "100.0 * cpu_spin_ns / (wall_ns * cpus)", "%",
        "time spent spinning on locks, as a share of CPU time",
        "Lock waits", "% of CPU time", "No lock waits",
    ),
    Measure(
        "flushes_per_1000", "1000.0 * flushes / operations", "",
        "flushes of other CPUs' TLBs, per 1,000 operations",
        "TLB flushes of other CPUs", "per 1,000 operations", "No flushes of other CPUs",
    ),
    Measure(
        "sleeps_per_1000", "1000.0 * sleeps / operations", "",
        "sleeps for a slot, per 1,000 operations",
        "Sleeps for a slot", "per 1,000 operations", "No sleeps",
    ),
)  # fmt: skip
SHARE = Measure(
    "share_percent", "", "%", "throughput as a share of the reference design's, in pairs of runs",
    "Throughput as a share of", "%", "No throughput",
)  # fmt: skip


def results_sql(factors: list[str]) -> str:
    """The query for all completed runs: factors, measures, replication and fingerprint."""
    own = ("allocator", "label", *factors, "replication", "fingerprint", "operations", "trace_operations")
    quoted = [f'"{name}"' for name in dict.fromkeys(own)]
    measured = [f"{measure.sql} AS {measure.column}" for measure in MEASURES]
    listed = ",\n    ".join(quoted + measured)
    return f"SELECT\n    {listed}\nFROM results\nWHERE state = 'done' AND operations > 0 AND wall_ns > 0"
