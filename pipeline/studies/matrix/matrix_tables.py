"""Tables and curves of docs/designs.md: common metrics with the bounds, and each allocator's costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

import polars as pl

from pipeline.allocators.registry import pins_tasks
from pipeline.studies.definition import Curves
from pipeline.studies.matrix.grid import Grid, Trace
from pipeline.studies.point import Point
from pipeline.studies.runner import LOWER
from pipeline.studies.table import Columns, Table

PAGES_OF_16_GB = 16 * 2**30 // 4096
SHOWN_AT = 16
"""Number of CPUs of the tables, or the largest available number below it."""

METRICS: Mapping[str, tuple[Callable[[Point], float], str]] = {
    "throughput": (lambda p: p.share, ".3g"),
    "mean map us": (lambda p: p.map_us, ",.2f"),
    "extra CPU us": (lambda p: p.dearer_us, ",.2f"),
    "lock wait %": (lambda p: p.lock_wait_percent, ".1f"),
    "flushes": (lambda p: p.totals.flushes, ",.0f"),
    "IPIs": (lambda p: p.totals.ipis, ",.0f"),
    "sleeps": (lambda p: p.totals.sleeps, ",.0f"),
    "pin waits": (lambda p: p.totals.pin_waits, ",.0f"),
    "hits %": (lambda p: p.hit_percent, ".1f"),
}
"""By heading: a figure of a run, and the format of its mean over the runs."""

CURVES = (
    Curves(
        view="designs", title="Throughput", x="cpus", y="share", colour="design", panel="kind",
        x_title="CPUs", y_title="share of direct_map's throughput", log_x=True, log_y=True,
    ),
    Curves(
        view="designs", title="Extra CPU time of an operation", x="cpus", y="dearer_us", colour="design",
        panel="kind",
        x_title="CPUs", y_title="us more than with direct_map", log_x=True, log_y=True,
    ),
)  # fmt: skip


def tabulate_metrics(grid: Grid, trace: Trace, machine: str) -> Table:
    """Tabulate means of the common metrics on one trace and machine."""
    columns = grid.columns[trace, machine, shown_cpus(grid)]
    return Table(
        ("design", *METRICS),
        [(name, *metric_cells([column[name] for column in columns])) for name in grid.shown],
    )


def metric_cells(points: Sequence[Point]) -> list[str]:
    """Format a line of the table of metrics: means over a design's runs in one setting."""
    return [format(fmean(map(figure, points)), form) for figure, form in METRICS.values()]


def curve_rows(grid: Grid, trace: Trace, machine: str) -> pl.DataFrame:
    """Rows of CURVES: each design with each number of CPUs and seed, and whether it takes a lock."""
    locked = {
        name
        for cpus in grid.cpus
        for column in grid.columns[trace, machine, cpus]
        for name, point in column.items()
        if point.acquisitions
    }
    return pl.DataFrame(
        [
            {
                "design": name,
                "kind": "with a lock" if name in locked else "without a lock",
                "cpus": cpus,
                "share": point.share,
                "dearer_us": point.dearer_us,
            }
            for name in grid.shown
            if name != LOWER
            for cpus in grid.cpus
            for column in grid.columns[trace, machine, cpus]
            for point in [column[name]]
        ]
    )


def shown_cpus(grid: Grid) -> int:
    """Number of CPUs of the tables: the largest up to SHOWN_AT, or the smallest available."""
    return max([cpus for cpus in grid.cpus if cpus <= SHOWN_AT], default=min(grid.cpus))


class Priced(NamedTuple):
    """An allocator in one setting, and whether it pins tasks that have a page mapped."""

    point: Point
    pins: bool

    @property
    def switch_us(self) -> str:
        """CPU time of a context switch, with the difference from direct_map in brackets, us."""
        extra = self.point.switch_us - Point(self.point.lower, self.point.lower).switch_us
        return f"{self.point.switch_us:.2f}" + (f" ({extra:+.2f})" if abs(extra) >= 0.01 else "")


PRICES: Columns = {
    "design": "point.allocator",
    "address space pages": "point.address_space_pages:,",
    "bytes in struct page": "point.page_struct_bytes:,",
    "MB in struct pages of 16 GB": lambda p: f"{p.point.page_struct_bytes * PAGES_OF_16_GB / 1e6:,.0f}",
    "tasks pinned": lambda p: "while mapped" if p.pins else "no",
    "pin waits s": lambda p: f"{p.point.totals.pin_wait_ns / 1e9:.2f}" if p.pins else "-",
    "fallbacks": "point.totals.fallbacks:,",
    "switch us": "switch_us",
    "walks per map": lambda p: f"{p.point.per_operation(p.point.totals.walks):.2f}",
    "invalidations per map": lambda p: f"{p.point.per_operation(p.point.totals.local_flushes):.2f}",
    "local TLB flushes": "point.totals.full_local_flushes:,",
    "findings": lambda p: count_findings(p.point.findings),
}


def tabulate_prices(grid: Grid, trace: Trace, machine: str) -> Table:
    """Tabulate the costs of each allocator other than time, on one trace and machine."""
    column = grid.column(trace, machine, shown_cpus(grid))
    return Table.of([Priced(point, pins_tasks(name)) for name, point in column.items()], PRICES)


def count_findings(findings: Sequence[str]) -> str:
    """Count the findings of each kind."""
    return ", ".join(f"{count} {name}" for name, count in Counter(findings).items()) or "none"
