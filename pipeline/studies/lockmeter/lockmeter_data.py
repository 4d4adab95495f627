"""Lockmeter rows: measurements of a lock in one configuration, with one line per lock site.

Columns of lockmeter, in the units of its output (M. J. Bligh, linux-kernel, 18 March 2002):

    UTIL   percentage of the wall-clock time for which the lock was held
    CON    percentage of acquisitions that were contended
    HOLD   hold time of all acquisitions
    WAIT   spin time of contended acquisitions
    %CPU   spin time as a percentage of all CPU time
    TOTAL  acquisitions

An empty cell is a figure that was not measured or not published. The optional column `workload` names the
workload.
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
    """Figures of a lock site, measured or simulated; None if unknown."""

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
    """A validated line of the file."""

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
"""Required columns; `workload` is optional."""


@dataclass(frozen=True)
class LockmeterRow:
    """A configuration with its measurements."""

    name: str
    kernel: str
    page_tables_in_highmem: bool
    series: int
    slots_per_series: int
    cpus: int
    wall_s: float | None
    sites: dict[str, SiteFigures]
    half_units: dict[tuple[str, str], float]
    """By (site, figure): half a unit of the last published digit."""
    workload: str = ""
    """Name or .toml file of a workload, or a description; empty: the workload given on the command line."""

    @property
    def maps(self) -> int | None:
        """Maps of the whole run: half of all acquisitions, or those of one site; None if unknown."""
        for site, share in (("all", 0.5), ("map", 1.0), ("unmap", 1.0)):
            figures = self.sites.get(site)
            if figures is not None and figures.acquisitions is not None:
                return round(figures.acquisitions * share)
        return None

    def describe(self) -> str:
        """Describe the configuration."""
        series = f"{self.series} series of {self.slots_per_series}" if self.series > 1 else str(
            self.slots_per_series
        )  # fmt: skip
        where = "highmem" if self.page_tables_in_highmem else "lowmem"
        return f"{self.kernel}, page tables in {where}, {series} slots, {self.cpus} CPUs"

    def printed(self, site: str, name: str) -> Interval | None:
        """Numbers that round to a figure as published; None if it was not published."""
        figures = self.sites.get(site)
        value = None if figures is None else getattr(figures, name)
        if value is None:
            return None
        half = 0.0 if name == "acquisitions" else self.half_units.get((site, name), 0.0)
        return Interval(max(value - half, 0.0), value + half)

    def wall(self) -> Interval | None:
        """Wall-clock times that agree with the row's own figures, given their published precision, s.

        Two formulas derive the wall-clock time from a site's figures: acquisitions x HOLD / UTIL, and
        acquisitions x CON x WAIT / (%CPU x CPUs). Returns the intersection of the intervals, or None if no
        formula applies or the intersection is empty.
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
    """Read a CSV file of lockmeter rows, by default the shipped rows of 2002, in the order of the file.

    Lines with the same `row` are the sites of that row and must have the same configuration. Raises
    InputError with file, line and column.
    """
    path = readable_file(path, "lockmeter rows (CSV)")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: expected CSV in UTF-8, found invalid bytes; save the file as UTF-8"
        ) from error
    reader = csv.DictReader(io.StringIO(text), strict=True)
    lines: dict[str, list[tuple[int, _Line, dict[str, str]]]] = {}
    try:
        head = reader.fieldnames or []
        missing = [name for name in COLUMNS if name not in head]
        if missing:
            raise InputError(
                f"{path}:1: missing column{'s' * (len(missing) > 1)} {', '.join(missing)}; "
                f"the header must be {','.join(COLUMNS)}"
            )
        for cells in reader:
            line = _line(path, reader.line_num, cells)
            lines.setdefault(line.row, []).append((reader.line_num, line, cells))
    except csv.Error as error:
        raise InputError(f"{path}:{reader.line_num}: invalid CSV: {error}") from error
    if not lines:
        raise InputError(f"{path}: the file has a header but no rows; add a line for each site of each row")
    return [_row(path, group) for group in lines.values()]


def is_calibrated(row: LockmeterRow) -> bool:
    """Whether the model was fitted to this row, which must equal a shipped row in every figure."""
    return row.name in CALIBRATED_ROWS and row in read_rows()


def _line(path: Path, number: int, cells: dict[Any, Any]) -> _Line:
    if None in cells or None in cells.values():
        raise InputError(
            f"{path}:{number}: expected as many cells as the header has; check commas and quotes"
        )
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
                    f"'{getattr(first, name)}' in line {first_number}; all lines of a row must agree"
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
    """Half a unit of the last digit of a number in decimal notation; 0 for other notations."""
    if not text.replace(".", "", 1).isdigit():
        return 0.0
    return 0.5 * 10.0 ** -len(text.partition(".")[2])
