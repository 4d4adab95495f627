"""How waits for the lock are distributed in the calibrated rows, and what makes the longest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import polars as pl

from pipeline.io.tables import markdown_table
from pipeline.sql.query import sql
from pipeline.studies.experiment import Experiment, change_costs
from pipeline.studies.lockmeter.comparison import format_figure
from pipeline.studies.lockmeter.lockmeter_data import CALIBRATED_ROWS, read_rows
from pipeline.studies.lockmeter.prediction import MODEL, configure
from pipeline.studies.runner import open_runner

AT_LEAST_US = (25, 100, 1_000, 4_000, 8_000, 16_000)
_SITES = ("map", "unmap")


@dataclass(frozen=True)
class Waits:
    """Waits of the contended acquisitions of one run and site."""

    mean_us: float
    longest_us: float
    counts: tuple[int, ...]
    """How many last at least so long, for each of AT_LEAST_US."""
    time_percent: tuple[float, ...]
    """Their share of all waiting."""


def hand_offs() -> dict[str, Experiment]:
    """The model as it is, and with other ways to hand the lock over."""
    return {
        "as fitted": MODEL,
        "a spinner on the releaser's node gets it in 2 us, others in 20 us": replace(
            MODEL, machine_changes=change_costs(handoff_local_ns=2_000, handoff_remote_ns=20_000)
        ),
        "in turn (fifo)": replace(MODEL, machine_changes={"arbitration": "fifo"}),
    }


def measure_waits(experiments: Sequence[Experiment]) -> list[dict[str, Waits]]:
    """Make runs and count the waits of each, by site; they are in its log of stretches."""
    logged = [replace(experiment, events="stretches") for experiment in experiments]
    with open_runner("measuring waits", total=len(logged)) as runner:
        runner.make(logged)
        statement = "SELECT part, value, n FROM wait_histogram"
        found = [sql([runner.path(experiment)], statement) for experiment in logged]
    return [{site: count_waits(one.filter(pl.col("part") == site)) for site in _SITES} for one in found]


def count_waits(histogram: pl.DataFrame) -> Waits:
    """Count the waits of a histogram: columns value (ns) and n."""
    lasting = histogram.with_columns(time=pl.col("value").cast(pl.Float64) * pl.col("n"))
    total_ns = float(lasting["time"].sum())
    long = [lasting.filter(pl.col("value") >= 1_000 * least) for least in AT_LEAST_US]
    return Waits(
        total_ns / max(int(lasting["n"].sum()), 1) / 1e3,
        max(lasting["value"].to_list(), default=0) / 1e3,
        tuple(int(part["n"].sum()) for part in long),
        tuple(100.0 * float(part["time"].sum()) / max(total_ns, 1.0) for part in long),
    )


def write_waits() -> str:
    """Markdown section: waits of the calibrated rows, by their length, with each way to hand over."""
    rows = [row for row in read_rows() if row.name in CALIBRATED_ROWS]
    head = (
        "row",
        "hand-off",
        "site",
        "mean us",
        *(f">= {least:,} us" for least in AT_LEAST_US),
        "longest us",
    )
    lines = []
    for row in rows:
        for site in _SITES:
            figures = row.sites[site]
            ends = (format_figure(figures.wait_mean_us), *("" for _ in AT_LEAST_US))
            lines.append((row.name, "*measured*", site, *ends, format_figure(figures.wait_max_us)))
        models = hand_offs()
        measured = measure_waits([configure(row, 0, model) for model in models.values()])
        for name, by_site in zip(models, measured, strict=True):
            for site, waits in by_site.items():
                cells = zip(waits.counts, waits.time_percent, strict=True)
                lines.append(
                    (
                        row.name, name, site, format_figure(waits.mean_us),
                        *(f"{count:,} ({percent:.0f} %)" for count, percent in cells),
                        format_figure(waits.longest_us),
                    )
                )  # fmt: skip
    return f"{_INTRODUCTION}\n\n{markdown_table(head, lines)}\n{_REMARKS}"


_INTRODUCTION = """\
## How long waits are

Contended acquisitions that wait at least so long, and in brackets their share of all waiting; seed 0. A mean
of such waits says little: very many last as long as a few holds and hand-offs, and few are behind a flush."""
_REMARKS = """\
Directly behind a pass and its flush a CPU waits as long as these last, 4 ms in row D and up to 8 ms in row A.
Longer waits are of CPUs that are passed over after that. With a hand-off that favours the releaser's node,
CPUs of other nodes are, and the longest wait is longer than the measured 16 ms. So such starvation makes
waits as long as measured; the fit has little of it, because with more of it row A's CON falls short.

Measured, a map finds the lock busy more often than an unmap: 64.9 to 62.1 % in row A, 2.9 to 2.5 % in row D.
Simulated, both are nearly alike. In row D a CPU comes back for its next map before a hand-off that it left
under way is over, so that maps wait longer than unmaps, as measured, and find the lock busy a little more
often. A shorter time to the next map, longer copies, and hand-offs of other spread and bias did not bring
more than 4 % of difference; what makes the measured 16 % is not known.
"""
