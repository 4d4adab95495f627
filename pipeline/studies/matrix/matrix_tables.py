"""The tables of docs/designs.md: common metrics between the bounds, and each design's own price."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pipeline.io.tables import markdown_table
from pipeline.studies.matrix.bounds import marked, sides
from pipeline.studies.matrix.grid import LOWER, Grid, Point, pins

PAGES_OF_16_GB = 16 * 2**30 // 4096
PRICED_AT = 16
"""CPUs for which prices are shown, or the most there are below."""

_HEAD = (
    "design", "throughput", "mean map us", "dearer us", "lock wait %", "flushes", "IPIs", "sleeps",
    "pin waits", "hits %",
)  # fmt: skip


def over_cpus(values: Sequence[str]) -> str:
    """Values for each number of CPUs in one cell; one value, if all are the same."""
    return values[0] if len(set(values)) == 1 else " / ".join(values)


def metrics(grid: Grid, trace: str, machine: str) -> str:
    """Designs against the common metrics on one trace and machine, a value for each number of CPUs."""
    columns = {cpus: grid.column(trace, machine, cpus) for cpus in grid.cpus}
    return markdown_table(_HEAD, [metric_row(allocator, columns) for allocator in grid.shown])


def metric_row(allocator: str, columns: dict[int, dict[str, Point]]) -> tuple[str, ...]:
    """One line of the table of metrics; `columns` are all designs for each number of CPUs."""
    found = [(column[allocator], sides(column[allocator], column)) for column in columns.values()]

    def cell(form: Callable[[Point], str]) -> str:
        return over_cpus([form(p) for p, _ in found])

    return (
        allocator,
        over_cpus([marked(_ratio(p.share), outside, "throughput") for p, outside in found]),
        cell(lambda p: f"{p.map_us:,.2f}"),
        cell(lambda p: f"{p.dearer_us:,.2f}"),
        cell(lambda p: f"{p.lock_wait_percent:.1f}"),
        over_cpus([marked(f"{p.totals.flushes:,}", outside, "flushes") for p, outside in found]),
        cell(lambda p: f"{p.totals.ipis:,}"),
        cell(lambda p: f"{p.totals.sleeps:,}"),
        cell(lambda p: f"{p.totals.pin_waits:,}"),
        cell(lambda p: f"{p.hit_percent:.1f}"),
    )


def _ratio(share: float) -> str:
    return f"{share:.3f}" if share >= 0.01 else f"{share:.5f}"


def prices(grid: Grid, trace: str, machine: str) -> str:
    """What each design takes beside time, on one trace and machine."""
    cpus = max([cpus for cpus in grid.cpus if cpus <= PRICED_AT], default=min(grid.cpus))
    column = grid.column(trace, machine, cpus)
    return markdown_table(
        (
            "design", "address space pages", "bytes in struct page", "MB of them in 16 GB", "tasks pinned",
            "waits for the own CPU s", "fallbacks", "a switch us", "walks per map",
            "single invalidations per map", "own TLB flushed", "findings",
        ),
        [price_row(column[allocator], column[LOWER], pins(allocator)) for allocator in grid.shown],
    )  # fmt: skip


def price_row(point: Point, lower: Point, pinned: bool) -> tuple[str, ...]:
    """One line of the table of prices."""
    totals = point.totals
    operations = max(totals.operations, 1)
    extra = point.switch_us - lower.switch_us
    return (
        point.allocator,
        f"{point.address_space_pages:,}",
        f"{point.page_struct_bytes:,}",
        f"{point.page_struct_bytes * PAGES_OF_16_GB / 1e6:,.0f}",
        "while mapped" if pinned else "no",
        f"{totals.pin_wait_ns / 1e9:.2f}" if pinned else "-",
        f"{totals.fallbacks:,}",
        f"{point.switch_us:.2f}" + (f" ({extra:+.2f})" if abs(extra) >= 0.01 else ""),
        f"{totals.walks / operations:.2f}",
        f"{totals.local_flushes / operations:.2f}",
        f"{totals.full_local_flushes:,}",
        found(point.findings),
    )


def found(findings: Sequence[str]) -> str:
    """Hazards with how often each was met."""
    counted = [f"{findings.count(name)} {name}" for name in dict.fromkeys(findings)]
    return ", ".join(counted) or "none"
