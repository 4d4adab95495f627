"""Turn the runs of a sweep into points of curves: means over different runs, with intervals.

A *series* is a design; its factors give its positions on the axes. The replications of a series with equal
factors form a point. If a series lacks a factor, such as an option of another design, it appears at every
value of this factor.
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
    """Runs by series and setting, with the values of each factor and the series name of each allocator."""

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
        """Numeric factors, which can be axes of curves."""
        return [
            name
            for name, values in self.values.items()
            if all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
        ]

    def counts(self) -> list[tuple[int, int]]:
        """For each point, the number of runs and of different runs."""
        return [(len(runs), len(_different(runs.values()))) for runs in self.runs.values()]

    def estimate(self, measure: str) -> Estimates:
        """Mean of a measure at each point."""
        return {
            place: mean([run[measure] for run in _different(runs.values())])
            for place, runs in self.runs.items()
        }

    def compare(self, measure: str, reference: str) -> Estimates:
        """The measure as a share of the reference's at the same setting, in per cent.

        Runs are compared in pairs with the same replication. Settings without the reference are omitted.
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
        """The estimate of `series` at a setting with all factors, from the result of `compare`.

        None if the reference has a factor that the series lacks, because `compare` used only one value of it.
        """
        for (name, own), estimate in compared.items():
            if name == series and _fits(own, setting):
                other = next(place for run, place in self.runs if run == reference and _fits(place, setting))
                lacking = any(a is None and b is not None for a, b in zip(own, other, strict=True))
                return None if lacking else estimate
        return None

    def tabulate(self, found: Estimates, column: str) -> pl.DataFrame:
        """Make a row per series and setting: estimate as `column`, interval and number of runs."""
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
        """The settings of a point: all values of the factors that its series lacks."""
        own = zip(setting, self.values.values(), strict=True)
        return product(*((value,) if value is not None else values for value, values in own))


def make_points(rows: Iterable[Mapping[str, Any]], factors: Sequence[str]) -> Points:
    """Group runs by series and setting.

    `rows` have each factor, `allocator`, `label`, `replication`, `fingerprint` and measures. Constant factors
    are dropped, and so are factors that depend on another one, such as the CPUs of a machine. Of two runs
    with the same setting and replication, the first is kept.
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
    """Drop each factor that depends on another one that is kept."""
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
    """Name of each allocator: its label without the varied options."""
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
    """The first run of each fingerprint."""
    found: dict[str, dict[str, Any]] = {}
    for run in runs:
        found.setdefault(run["fingerprint"], run)
    return list(found.values())


def _fitting(beside: Mapping[Setting, _Runs], setting: Setting) -> Iterator[_Runs]:
    """The runs of a setting; a factor that either side lacks matches every value."""
    for own, runs in beside.items():
        if _fits(own, setting):
            yield runs


def _fits(own: Setting, setting: Setting) -> bool:
    """Whether two settings agree in the factors that both have."""
    return all(a is None or b is None or a == b for a, b in zip(own, setting, strict=True))
