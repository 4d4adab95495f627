"""What a report of a sweep shows of each run, and the SQL that asks it of the view `results`."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.sql.library import OutputColumn


@dataclass(frozen=True)
class Measure:
    """A figure of a run: column, SQL over the view `results`, unit, meaning, and how its chart is headed."""

    column: str
    sql: str
    unit: str
    doc: str
    title: str
    axis: str
    none: str

    @property
    def output(self) -> OutputColumn:
        """The column as queries document theirs."""
        return OutputColumn(self.column, self.unit, self.doc)


THROUGHPUT = Measure(
    "operations_per_second", "1e9 * operations / wall_ns", "1/s",
    "operations completed per second of simulated time",
    "Throughput", "operations per second", "Nothing was done by",
)  # fmt: skip
MAPPED = Measure(
    "map_mean_us", "map_ns / 1e3 / operations", "us",
    "from the request to having the mapping, mean",
    "Request to mapped, mean", "request to mapped, mean", "No map took any time with",
)  # fmt: skip
MEASURES = (
    THROUGHPUT,
    MAPPED,
    Measure(
        "spin_percent", "100.0 * cpu_spin_ns / (wall_ns * cpus)", "%",
        "CPU time spent waiting for a lock, as a share of all there was",
        "Waiting for locks", "% of CPU time", "No CPU ever waited for a lock of",
    ),
    Measure(
        "flushes_per_1000", "1000.0 * flushes / operations", "",
        "flushes that reach other CPUs, for every 1,000 operations",
        "TLB flushes that reach other CPUs", "per 1,000 operations", "No flush beyond the own CPU by",
    ),
    Measure(
        "sleeps_per_1000", "1000.0 * sleeps / operations", "",
        "sleeps for a slot, for every 1,000 operations",
        "Sleeps for a slot", "per 1,000 operations", "Nobody slept for a slot of",
    ),
)  # fmt: skip
SHARE = Measure(
    "share_percent", "", "%", "throughput as a share of the reference's, compared run by run",
    "Throughput as a share of", "%", "Nothing was done by",
)  # fmt: skip


def results_sql(factors: list[str]) -> str:
    """The question for every run that is done: its factors, its measures, and what pairs it with others."""
    own = ("allocator", "label", *factors, "replication", "fingerprint", "operations", "trace_operations")
    quoted = [f'"{name}"' for name in dict.fromkeys(own)]
    measured = [f"{measure.sql} AS {measure.column}" for measure in MEASURES]
    listed = ",\n    ".join(quoted + measured)
    return f"SELECT\n    {listed}\nFROM results\nWHERE state = 'done' AND operations > 0 AND wall_ns > 0"
