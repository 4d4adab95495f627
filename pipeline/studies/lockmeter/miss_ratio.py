"""The hit rate of the fitted workload as a function of slots, compared with other measurements."""

from __future__ import annotations

from dataclasses import replace

from pipeline.studies.experiment import Experiment
from pipeline.studies.lockmeter.prediction import MODEL, PAGE_TABLE_KINDS, describe_model
from pipeline.studies.point import Point
from pipeline.studies.runner import run_all
from pipeline.studies.table import Table

SIZES = (64, 128, 256, 512, 1024, 2048, 4096, 8192)
_PLACES = {
    "lowmem": "page tables in low memory, one series",
    "highmem": "page tables in high memory, two series",
}


def configurations(slots: int) -> dict[str, Experiment]:
    """Runs with one size of pool: page tables in low memory as in row D, and in high memory as in row A."""
    model = replace(MODEL, cpus=16)
    return {
        "lowmem": replace(model, options={"slots": slots}, lowmem=PAGE_TABLE_KINDS),
        "highmem": replace(model, allocator="series_pool", options={"series": 2, "slots": slots}),
    }


def write_miss_ratio() -> str:
    """Write the section with the curves of both configurations, as Markdown."""
    wanted = {
        (place, slots): experiment for slots in SIZES for place, experiment in configurations(slots).items()
    }
    runs = dict(zip(wanted, map(Point.of, run_all(list(wanted.values()))), strict=True))
    return describe_curve(runs)


def describe_curve(runs: dict[tuple[str, int], Point]) -> str:
    """Describe the curves for runs by configuration and slots per series."""
    head = (
        "slots per series",
        *(f"{place}: {what}" for place in _PLACES for what in ("hit rate %", "flushes")),
    )
    rows = [
        (f"{slots:,}", *(text for place in _PLACES for text in _cells(runs[place, slots]))) for slots in SIZES
    ]
    few, many = runs["lowmem", 1024], runs["lowmem", 4096]
    facts = _FACTS.format(
        few=few.totals.flushes,
        many=many.totals.flushes,
        hits=f"{many.hit_percent:.1f}",
        maps=f"{many.maps_per_flush:,.0f}",
    )
    introduction = _INTRODUCTION.format(
        model=describe_model(), places="; ".join(f"{place}: {what}" for place, what in _PLACES.items())
    )
    return "\n\n".join((introduction, Table(head, rows).markdown(), _chart(runs), facts))


_INTRODUCTION = """\
## Hit rate against slots

This section replays the whole compile with pools of several sizes: {model}, seed 0. Configurations: {places}.
Only the size of 1,024 slots was fitted. The other sizes test how the compile reuses pages. A flush empties
the pool, so the number of misses between two flushes of a series is its number of slots. The number of maps
between two flushes shows how many different pages these maps use."""
_FACTS = """\
Two measurements were not used for the fit:

- Growing the pool from 1,024 to 4,096 slots cut flushes tenfold. In the simulation, flushes fall from {few}
  to {many}.
- Another compile had 3,762,429 maps with 27 flushes and 95 to 97 % hits. That is 139,000 maps per flush, and
  about as many misses between two flushes as 4,096 slots cause. In the simulation with 4,096 slots, {hits} %
  of maps hit, and there is a flush every {maps} maps. In that compile, 61 % of the maps were copies of exec
  arguments, which this workload does not model separately.
"""


def _cells(run: Point) -> tuple[str, str]:
    return f"{run.hit_percent:.1f}", f"{run.totals.flushes:,}"


def _chart(runs: dict[tuple[str, int], Point]) -> str:
    """Draw the hit rate as a Mermaid chart with these sizes on its axis."""
    lines = [
        f"    line [{', '.join(f'{runs[place, slots].hit_percent:.1f}' for slots in SIZES)}]"
        for place in _PLACES
    ]
    sizes = ", ".join(f'"{slots:,}"' for slots in SIZES)
    return "\n".join(
        (
            "```mermaid",
            "xychart-beta",
            '    title "Hit rate % by slots; upper line at 8,192 slots: '
            + max(_PLACES, key=lambda place: runs[place, SIZES[-1]].hit_percent)
            + '"',
            f'    x-axis "slots per series" [{sizes}]',
            '    y-axis "hit rate %" 0 --> 100',
            *lines,
            "```",
        )
    )
