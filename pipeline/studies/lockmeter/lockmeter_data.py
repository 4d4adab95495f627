"""Lockmeter rows: what was measured of a lock in one configuration, as a table of one line per lock site.

Lockmeter's columns, with the units of its output (M. J. Bligh, linux-kernel, 18 March 2002): UTIL, the share
of the wall time for which the lock was held; CON, the share of acquisitions that found it busy; HOLD over all
acquisitions; WAIT, the mean spin of the contended ones; %CPU, all spinning as a share of the CPUs' time;
TOTAL, the acquisitions. A cell may be empty: not measured, or not published. The column `workload`, which a
file need not have, says what ran.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from functools import reduce
from math import inf
from operator import mul
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.errors import InputError
from pipeline.io.files import readable_file
from pipeline.machine.engine.records import MAX_CPUS
from pipeline.studies.lockmeter.interval import Interval

ROWS_OF_2002 = Path(__file__).with_name("lockmeter_2002.csv")
CALIBRATED_ROWS = ("A", "D")
SITES = ("all", "map", "unmap")

_NUMBER = Field(default=None, ge=0)


class SiteFigures(BaseModel):
    """The figures of one lock site, measured or simulated; None: not known."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    util_pct: float | None = _NUMBER
    contended_pct: float | None = _NUMBER
    hold_mean_us: float | None = _NUMBER
    hold_max_us: float | None = _NUMBER
    wait_mean_us: float | None = _NUMBER
    wait_max_us: float | None = _NUMBER
    wait_cpu_pct: float | None = _NUMBER
    acquisitions: float | None = Field(default=None, gt=0)


FIGURES = tuple(SiteFigures.model_fields)
MAXIMA = ("hold_max_us", "wait_max_us")


class _Line(BaseModel):
    """One line of the file, checked."""

    model_config = ConfigDict(extra="forbid")

    row: str = Field(min_length=1)
    kernel: str
    page_tables_in_highmem: bool
    series: int = Field(ge=1, le=64)
    slots_per_series: int = Field(ge=2, le=1 << 20)
    site: Literal["all", "map", "unmap"]
    figures: SiteFigures
    wall_s: float | None = Field(default=None, gt=0)
    cpus: int = Field(ge=1, le=MAX_CPUS)
    source: str
    workload: str = ""


_OPTIONAL = ("workload",)
_CONFIGURATION = (
    "kernel", "page_tables_in_highmem", "series", "slots_per_series", "cpus", "wall_s", "workload",
)  # fmt: skip
COLUMNS = tuple(
    column
    for name in _Line.model_fields
    if name not in _OPTIONAL
    for column in (FIGURES if name == "figures" else (name,))
)
"""Columns that a file must have; `workload` may be added."""


@dataclass(frozen=True)
class LockmeterRow:
    """One configuration with what was measured of it."""

    name: str
    kernel: str
    page_tables_in_highmem: bool
    series: int
    slots_per_series: int
    cpus: int
    wall_s: float | None
    sites: dict[str, SiteFigures]
    half_units: dict[tuple[str, str], float]
    """By (site, figure): half a unit of the last digit that was published."""
    workload: str = ""
    """What ran: a workload's name or .toml file, or another word; empty: the workload that is asked for."""

    @property
    def maps(self) -> int | None:
        """Maps of the whole run: half of all acquisitions, or those of either side; None if not given."""
        for site, share in (("all", 0.5), ("map", 1.0), ("unmap", 1.0)):
            figures = self.sites.get(site)
            if figures is not None and figures.acquisitions is not None:
                return round(figures.acquisitions * share)
        return None

    def describe(self) -> str:
        """Say in words what was configured."""
        series = f"{self.series} series of {self.slots_per_series}" if self.series > 1 else str(
            self.slots_per_series
        )  # fmt: skip
        where = "highmem" if self.page_tables_in_highmem else "lowmem"
        return f"{self.kernel}, page tables in {where}, {series} slots, {self.cpus} CPUs"

    def printed(self, site: str, name: str) -> Interval | None:
        """The numbers that round to a figure as it was published; None if it was not."""
        figures = self.sites.get(site)
        value = None if figures is None else getattr(figures, name)
        if value is None:
            return None
        half = 0.0 if name == "acquisitions" else self.half_units.get((site, name), 0.0)
        return Interval(max(value - half, 0.0), value + half)

    def wall(self) -> Interval | None:
        """Wall times in seconds that agree with the row's own figures, each as precise as it was published.

        Two ways lead from a site's figures to the wall: acquisitions x HOLD / UTIL, and acquisitions x CON x
        WAIT / (%CPU x CPUs). Each gives an interval; None if none can be had or they contradict each other.
        """
        wall_s: Interval | None = Interval(0.0, inf)
        for site in self.sites:
            ways = (
                (("acquisitions", "hold_mean_us"), "util_pct", 1e-4),
                (("acquisitions", "contended_pct", "wait_mean_us"), "wait_cpu_pct", 1e-6 / self.cpus),
            )
            for factors, divisor, unit in ways:
                known = [self.printed(site, name) for name in (*factors, divisor)]
                if any(figure is None or figure.low == 0.0 for figure in known):
                    continue
                *over, under = [figure for figure in known if figure is not None]
                wall_s = wall_s and wall_s.meet(reduce(mul, over) / under * unit)
        return wall_s if wall_s and wall_s.high < inf else None


def read_rows(path: Path = ROWS_OF_2002) -> list[LockmeterRow]:
    """Read a CSV file of lockmeter rows, by default the shipped rows of 2002; rows in the file's order.

    Lines of one `row` belong together: they are its sites and must agree in the configuration. Raises
    InputError naming file, line and column.
    """
    path = readable_file(path, "lockmeter rows (CSV)")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: wanted CSV in UTF-8, found other bytes; save it as UTF-8") from error
    reader = csv.DictReader(io.StringIO(text), strict=True)
    lines: dict[str, list[tuple[int, _Line, dict[str, str]]]] = {}
    try:
        head = reader.fieldnames or []
        missing = [name for name in COLUMNS if name not in head]
        if missing:
            raise InputError(
                f"{path}:1: lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}; "
                f"wanted: {','.join(COLUMNS)}"
            )
        for cells in reader:
            line = _line(path, reader.line_num, cells)
            lines.setdefault(line.row, []).append((reader.line_num, line, cells))
    except csv.Error as error:
        raise InputError(f"{path}:{reader.line_num}: wanted CSV, found a mistake: {error}") from error
    if not lines:
        raise InputError(f"{path}: has a head but no rows; add a line for each site of each row")
    return [_row(path, group) for group in lines.values()]


def is_calibrated(row: LockmeterRow) -> bool:
    """Whether the model was fitted to this row: one of the shipped ones, figure by figure."""
    return row.name in CALIBRATED_ROWS and row in read_rows()


def _line(path: Path, number: int, cells: dict[Any, Any]) -> _Line:
    if None in cells or None in cells.values():
        raise InputError(f"{path}:{number}: wanted as many cells as the head has; mend the commas or quotes")
    present = [name for name in (*COLUMNS, *_OPTIONAL) if name in cells]
    filled = {name: cells[name].strip() for name in present if cells[name].strip()}
    figures = {name: filled.pop(name) for name in FIGURES if name in filled}
    try:
        return _Line.model_validate({"source": "", "kernel": "", **filled, "figures": figures})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        column = str(first["loc"][-1])
        found = "an empty cell" if first["type"] == "missing" else f"'{first['input']}'"
        raise InputError(f"{path}:{number}: column {column}: {first['msg']}; found {found}") from error


def _row(path: Path, group: list[tuple[int, _Line, dict[str, str]]]) -> LockmeterRow:
    first_number, first, _ = group[0]
    sites: dict[str, SiteFigures] = {}
    half_units: dict[tuple[str, str], float] = {}
    for number, line, cells in group:
        for name in _CONFIGURATION:
            if getattr(line, name) != getattr(first, name):
                raise InputError(
                    f"{path}:{number}: row {line.row}: {name} is '{getattr(line, name)}' here but "
                    f"'{getattr(first, name)}' in line {first_number}; the lines of a row are its sites"
                )
        if line.site in sites:
            raise InputError(f"{path}:{number}: row {line.row} has the site '{line.site}' twice; keep one")
        sites[line.site] = line.figures
        for name in FIGURES:
            half_units[line.site, name] = _half_unit(cells[name].strip())
    return LockmeterRow(
        first.row, first.kernel, first.page_tables_in_highmem, first.series, first.slots_per_series,
        first.cpus, first.wall_s, {site: sites[site] for site in SITES if site in sites}, half_units,
        first.workload,
    )  # fmt: skip


def _half_unit(text: str) -> float:
    """Half a unit of the last digit of a number in decimal notation; 0 for one in another."""
    if not text.replace(".", "", 1).isdigit():
        return 0.0
    return 0.5 * 10.0 ** -len(text.partition(".")[2])
