"""The tables of docs/designs.md: common metrics beside the bounds, and each allocator's own price."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from pipeline.allocators.registry import pins_tasks
from pipeline.machine.profile import load_profile
from pipeline.studies.matrix.bounds import MARK, Side, find_sides
from pipeline.studies.matrix.grid import Grid, Trace
from pipeline.studies.point import Point
from pipeline.studies.verdict import Columns, Table, cell

PAGES_OF_16_GB = 16 * 2**30 // 4096
PRICED_AT = 16
"""CPUs for which prices are shown, or the most there are below."""


EXTRAPOLATED = "†"


class Placed(NamedTuple):
    """An allocator in one setting, and the bounds that it is beyond."""

    point: Point
    sides: Sequence[Side]

    def mark(self, figure: str, about: Literal["throughput", "flushes"]) -> str:
        """Put the mark of a breach behind a figure."""
        wanted = ("faster", "slower") if about == "throughput" else ("fewer flushes", "more flushes")
        return figure + "".join(MARK[side] for side in self.sides if side in wanted)


_METRICS: Columns = {
    "throughput": lambda p: p.mark(f"{p.point.share:.{3 if p.point.share >= 0.01 else 5}f}", "throughput"),
    "mean map us": "point.map_us:,.2f",
    "dearer us": "point.dearer_us:,.2f",
    "lock wait %": "point.lock_wait_percent:.1f",
    "flushes": lambda p: p.mark(f"{p.point.totals.flushes:,}", "flushes"),
    "IPIs": "point.totals.ipis:,",
    "sleeps": "point.totals.sleeps:,",
    "pin waits": "point.totals.pin_waits:,",
    "hits %": "point.hit_percent:.1f",
}


def join_cpus(values: Sequence[str], extrapolated: Sequence[bool] = ()) -> str:
    """Values for each number of CPUs in one cell; one value, if all are the same.

    Those that are extrapolated are marked.
    """
    if len(set(values)) == 1:
        return values[0]
    marks = [EXTRAPOLATED if beyond else "" for beyond in extrapolated] or [""] * len(values)
    return " / ".join(value + mark for value, mark in zip(values, marks, strict=True))


def tabulate_metrics(grid: Grid, trace: Trace, machine: str) -> Table:
    """Allocators against the common metrics on one trace and machine, a value for each number of CPUs."""
    columns = [grid.column(trace, machine, cpus) for cpus in grid.cpus]
    fit = load_profile(machine).fit
    beyond = [fit is not None and cpus > fit.cpus for cpus in grid.cpus]
    return Table(
        ("design", *_METRICS),
        [(allocator, *metric_cells(allocator, columns, beyond)) for allocator in grid.shown],
    )


def metric_cells(
    allocator: str, columns: Sequence[Mapping[str, Point]], extrapolated: Sequence[bool] = ()
) -> list[str]:
    """One line of the table of metrics; `columns` are all allocators for each number of CPUs."""
    placed = [Placed(column[allocator], find_sides(column[allocator], column)) for column in columns]
    return [join_cpus([cell(each, metric) for each in placed], extrapolated) for metric in _METRICS.values()]


class Priced(NamedTuple):
    """An allocator in one setting, and whether it pins tasks while they have something mapped."""

    point: Point
    pins: bool

    @property
    def switch_us(self) -> str:
        """A context switch, and in brackets what it takes more than with direct_map."""
        extra = self.point.switch_us - Point(self.point.lower, self.point.lower).switch_us
        return f"{self.point.switch_us:.2f}" + (f" ({extra:+.2f})" if abs(extra) >= 0.01 else "")


PRICES: Columns = {
    "design": "point.allocator",
    "address space pages": "point.address_space_pages:,",
    "bytes in struct page": "point.page_struct_bytes:,",
    "MB of them in 16 GB": lambda p: f"{p.point.page_struct_bytes * PAGES_OF_16_GB / 1e6:,.0f}",
    "tasks pinned": lambda p: "while mapped" if p.pins else "no",
    "waits for the own CPU s": lambda p: f"{p.point.totals.pin_wait_ns / 1e9:.2f}" if p.pins else "-",
    "fallbacks": "point.totals.fallbacks:,",
    "a switch us": "switch_us",
    "walks per map": lambda p: f"{p.point.per_operation(p.point.totals.walks):.2f}",
    "single invalidations per map": lambda p: f"{p.point.per_operation(p.point.totals.local_flushes):.2f}",
    "own TLB flushed": "point.totals.full_local_flushes:,",
    "findings": lambda p: count_findings(p.point.findings),
}


def tabulate_prices(grid: Grid, trace: Trace, machine: str) -> Table:
    """What each allocator takes beside time, on one trace and machine."""
    cpus = max([cpus for cpus in grid.cpus if cpus <= PRICED_AT], default=min(grid.cpus))
    column = grid.column(trace, machine, cpus)
    return Table.of([Priced(point, pins_tasks(name)) for name, point in column.items()], PRICES)


def count_findings(findings: Sequence[str]) -> str:
    """Hazards with how often each was met."""
    return ", ".join(f"{count} {name}" for name, count in Counter(findings).items()) or "none"
