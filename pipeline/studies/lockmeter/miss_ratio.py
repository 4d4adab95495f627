"""The fitted workload's miss-ratio curve: hit rate against slots, beside what was measured elsewhere."""

from __future__ import annotations

from dataclasses import replace

from pipeline.studies.experiment import Experiment
from pipeline.studies.lockmeter.prediction import MODEL, PAGE_TABLE_KINDS, describe_model
from pipeline.studies.point import Point
from pipeline.studies.runner import run_all
from pipeline.studies.table import Table

SIZES = (64, 128, 256, 512, 1024, 2048, 4096, 8192)
_PLACES = {"lowmem": "page tables in lowmem, one series", "highmem": "page tables in highmem, two series"}


def configurations(slots: int) -> dict[str, Experiment]:
    """The runs of one size: with page tables in low memory (as row D), and in highmem (as row A)."""
    model = replace(MODEL, cpus=16)
    return {
        "lowmem": replace(model, options={"slots": slots}, lowmem=PAGE_TABLE_KINDS),
        "highmem": replace(model, allocator="series_pool", options={"series": 2, "slots": slots}),
    }


def write_miss_ratio() -> str:
    """Markdown section: the curve of either configuration, as a table and as a chart."""
    wanted = {
        (place, slots): experiment for slots in SIZES for place, experiment in configurations(slots).items()
    }
    runs = dict(zip(wanted, map(Point.of, run_all(list(wanted.values()))), strict=True))
    return describe_curve(runs)


def describe_curve(runs: dict[tuple[str, int], Point]) -> str:
    """The section for runs by configuration and slots of a series."""
    head = (
        "slots of a series",
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

The whole compile with pools of other sizes; {model}, seed 0. {places}. One size of either is fitted, 1,024
slots; all else follows from which pages the compile wants again, and when. A flush empties the pool, so that
between two flushes of one series there are as many misses as it has slots. How many maps that takes says how
many different pages so many maps want."""
_FACTS = """\
Two measurements that were not fitted. Growing the pool from 1,024 to 4,096 slots cut flushes tenfold; here
from {few} to {many}. In another compile 3,762,429 maps had 27 flushes and 95 to 97 % hits: 139,000 maps a
flush, and as many misses between two as some 4,096 slots make. Here 4,096 slots make {hits} % hits and a
flush in {maps} maps. 61 % of that compile's maps were copies of exec arguments, which this workload does not
tell from others.
"""


def _cells(run: Point) -> tuple[str, str]:
    return f"{run.hit_percent:.1f}", f"{run.totals.flushes:,}"


def _chart(runs: dict[tuple[str, int], Point]) -> str:
    """Lines of the hit rate, as a Mermaid chart; its axis of slots has only these sizes."""
    lines = [
        f"    line [{', '.join(f'{runs[place, slots].hit_percent:.1f}' for slots in SIZES)}]"
        for place in _PLACES
    ]
    sizes = ", ".join(f'"{slots:,}"' for slots in SIZES)
    return "\n".join(
        (
            "```mermaid",
            "xychart-beta",
            '    title "Hit rate % against slots; upper line at 8,192 slots: '
            + max(_PLACES, key=lambda place: runs[place, SIZES[-1]].hit_percent)
            + '"',
            f'    x-axis "slots of a series" [{sizes}]',
            '    y-axis "hit rate %" 0 --> 100',
            *lines,
            "```",
        )
    )
