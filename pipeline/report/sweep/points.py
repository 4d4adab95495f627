"""From the runs of a sweep to points of curves: means over different runs, with their intervals.

A *series* is a design, whose factors are where it stands on the axes. Runs of a series with equal factors
that differ in their replication are a point. A factor that a series does not have, as an option of another
design, changes nothing for it: it stands at every value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import polars as pl

from pipeline.statistics import Estimate, mean, paired_ratio

Setting = tuple[Any, ...]
"""Value of each factor, in their order."""
Estimates = dict[tuple[str, Setting], Estimate]
_Runs = dict[int, dict[str, Any]]


@dataclass(frozen=True)
class Points:
    """Runs by series and setting; `values` are those of each factor, `names` the series of each allocator."""

    values: dict[str, list[Any]]
    runs: dict[tuple[str, Setting], _Runs]
    names: dict[str, str]

    @property
    def series(self) -> list[str]:
        """The designs."""
        return list(self.names.values())

    @property
    def factors(self) -> list[str]:
        """Names of the factors that vary."""
        return list(self.values)

    @property
    def numeric(self) -> list[str]:
        """Factors that are numbers: axes of curves."""
        return [
            name
            for name, values in self.values.items()
            if all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
        ]

    def counts(self) -> list[tuple[int, int]]:
        """Runs of each point, and how many of them are different."""
        return [(len(runs), len(_different(runs.values()))) for runs in self.runs.values()]

    def estimate(self, measure: str) -> Estimates:
        """Mean of a measure at each point."""
        return {
            place: mean([run[measure] for run in _different(runs.values())])
            for place, runs in self.runs.items()
        }

    def compare(self, measure: str, reference: str) -> Estimates:
        """The measure as a share of the reference's in the same setting, in per cent.

        Runs are compared in pairs of one replication. Settings without the reference are left out.
        """
        beside = {setting: runs for (series, setting), runs in self.runs.items() if series == reference}
        found = {}
        for (series, setting), runs in self.runs.items():
            other = beside.get(setting) or next(_fitting(beside, setting), {})
            pairs: dict[tuple[str, str], tuple[dict[str, Any], dict[str, Any]]] = {}
            for replication in sorted(runs.keys() & other.keys()):
                this, that = runs[replication], other[replication]
                pairs.setdefault((this["fingerprint"], that["fingerprint"]), (this, that))
            if pairs:
                these, those = ([run[measure] for run in side] for side in zip(*pairs.values(), strict=True))
                ratio = Estimate(1.0) if series == reference else paired_ratio(these, those)
                found[series, setting] = ratio.scaled(100)
        return found

    def ratio(self, compared: Estimates, reference: str, series: str, setting: Setting) -> Estimate | None:
        """The estimate of `series` at a setting that has all factors, of those that `compare` made.

        None where the reference has a factor that the series lacks: it was compared at one value of it.
        """
        for (name, own), estimate in compared.items():
            if name == series and _fits(own, setting):
                other = next(place for run, place in self.runs if run == reference and _fits(place, setting))
                lacking = any(a is None and b is not None for a, b in zip(own, other, strict=True))
                return None if lacking else estimate
        return None

    def tabulate(self, found: Estimates, column: str) -> pl.DataFrame:
        """Make a row for each series at each value of every factor: estimate as `column`, interval, runs."""
        rows = []
        for (series, setting), estimate in found.items():
            width = estimate.half_width
            ends = (None, None) if width is None else (estimate.value - width, estimate.value + width)
            runs = len(_different(self.runs[series, setting].values()))
            for everywhere in self._fill(setting):
                rows.append((series, *everywhere, estimate.value, *ends, runs))
        names = ["run", *self.factors, column, "low", "high", "runs"]
        frame = pl.DataFrame(rows, names, orient="row", infer_schema_length=None, strict=False)
        frame = frame.with_columns(pl.col(column, "low", "high").cast(pl.Float64))
        order = [
            pl.col(name).replace_strict({value: place for place, value in enumerate(values)}, default=0)
            for name, values in (("run", self.series), *self.values.items())
        ]
        return frame.sort([*order[1:], order[0]])

    def _fill(self, setting: Setting) -> Iterator[Setting]:
        """The settings at which a point stands: all values of the factors that its series does not have."""
        own = zip(setting, self.values.values(), strict=True)
        return product(*((value,) if value is not None else values for value, values in own))


def make_points(rows: Iterable[Mapping[str, Any]], factors: Sequence[str]) -> Points:
    """Put runs together by series and setting.

    `rows` have each factor, `allocator`, `label`, `replication`, `fingerprint` and measures. Of the factors
    stay those that vary, without those that follow from another one, as the number of CPUs from the machine.
    Of two runs in one place with the same replication the first stays.
    """
    found = list(rows)
    varied = _drop_followers(found, [name for name in factors if len(_values(found, name)) > 1])
    names = _name_series(found)
    values = {name: _values(found, name) for name in varied}
    for several in values.values():
        if all(isinstance(value, int | float) for value in several):
            several.sort()
    runs: dict[tuple[str, Setting], _Runs] = {}
    for row in found:
        place = names[row["allocator"]], tuple(row[name] for name in varied)
        runs.setdefault(place, {}).setdefault(row["replication"], dict(row))
    return Points(values, runs, names)


def _values(rows: Sequence[Mapping[str, Any]], name: str) -> list[Any]:
    return list(dict.fromkeys(row[name] for row in rows if row[name] is not None))


def _drop_followers(rows: Sequence[Mapping[str, Any]], factors: list[str]) -> list[str]:
    """Leave out each factor that another one, which stays, decides."""
    kept = list(factors)
    for name in factors:
        others = [other for other in kept if other != name and isinstance(_values(rows, other)[0], str)]
        for other in others:
            pairs = {(row[other], row[name]) for row in rows}
            if len(pairs) == len({row[other] for row in rows}):
                kept.remove(name)
                break
    return kept


def _name_series(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Name of each allocator: its label, without the options that vary."""
    labels: dict[str, set[str]] = {}
    for row in rows:
        labels.setdefault(row["allocator"], set()).add(row["label"])
    names = {
        allocator: next(iter(found)) if len(found) == 1 else min(found).partition(" (")[0]
        for allocator, found in labels.items()
    }
    unique = len(set(names.values())) == len(names)
    return names if unique else {allocator: allocator for allocator in names}


def _different(runs: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The runs that are different: of those with one fingerprint, the first."""
    found: dict[str, dict[str, Any]] = {}
    for run in runs:
        found.setdefault(run["fingerprint"], run)
    return list(found.values())


def _fitting(beside: Mapping[Setting, _Runs], setting: Setting) -> Iterator[_Runs]:
    """Those of a setting; a factor that either side does not have fits every value."""
    for own, runs in beside.items():
        if _fits(own, setting):
            yield runs


def _fits(own: Setting, setting: Setting) -> bool:
    """Whether two settings agree in the factors that both have."""
    return all(a is None or b is None or a == b for a, b in zip(own, setting, strict=True))
