"""The answer of a study: outcome, text with its numbers, conditions, and commands."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from string import Formatter
from typing import Any

import polars as pl

from pipeline.errors import InputError
from pipeline.io.numbers import format_count
from pipeline.machine.profile import load_profile
from pipeline.studies.definition import COUNTED, Outcome, Study, fields
from pipeline.studies.outcome import Setting
from pipeline.sweeps.grid import Grid

# Workload values nested at least this deep are counted and not named.
_DEEP = 3


@dataclass(frozen=True)
class FilledTable:
    """A table of a study, with formatted cells."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Answer:
    """The result of a study.

    `charts` has the rows of each chart, in the order of the study; `commands` run one of its simulations.
    """

    study: Study
    outcome: Outcome
    settings: Sequence[Setting]
    text: str
    charts: Sequence[pl.DataFrame]
    tables: Sequence[FilledTable]
    commands: Sequence[str]
    runs: int

    @property
    def stale(self) -> bool:
        """Whether the outcome differs from the opinion's; "cannot tell" does not count."""
        expected = self.study.opinion.expected if self.study.opinion else self.outcome
        return self.outcome not in (expected, "cannot tell")

    @property
    def opinion(self) -> str:
        """The study's opinion of the outcome; "" if it has none or the runs cannot tell."""
        opinion = self.study.opinion
        if opinion is None:
            return ""
        if self.stale:
            return f"The opinion is out of date: it was written for the outcome '{opinion.expected}'."
        return " ".join(opinion.words.split()) if self.outcome == opinion.expected else ""


class _Numbers(Formatter):
    """Writes a missing value as "-"."""

    def format_field(self, value: Any, format_spec: str) -> str:
        absent = value is None or (isinstance(value, float) and isnan(value))
        return "-" if absent else str(format(value, format_spec))


def fill(study: Study, outcome: Outcome, settings: Sequence[Setting], numbers: Mapping[str, object]) -> str:
    """Put numbers into the text for an outcome.

    Raises InputError, with file and line, for a text with an unknown name or an unsuitable format.
    """
    known = {**numbers, **_count(settings)}
    for key, words in study.words.model_dump(by_alias=True).items():
        for name in fields(words):
            if name not in known:
                raise InputError(
                    f"{study.source_file.at('words', key)}: words.{key} names '{name}', which does not "
                    f"exist; known names: {', '.join((*numbers, *COUNTED))}"
                )
    template = f"{study.words.of(outcome) or _lead(outcome, settings)} {study.words.text}"
    try:
        text = _Numbers().format(template, **known)
    except _UNWRITABLE as error:
        problem = _describe(error)
        raise InputError(f"{study.source_file.at('words')}: words for '{outcome}': {problem}") from error
    return " ".join(text.split())


# Errors of a template that names an unknown value or formats a value in an unsuitable way.
_UNWRITABLE = (ValueError, TypeError, LookupError, AttributeError)


def _describe(error: Exception) -> str:
    return f"there is no {error}" if isinstance(error, LookupError) else str(error)


def _lead(outcome: Outcome, settings: Sequence[Setting]) -> str:
    """The sentence about settings if the study has none of its own for the outcome."""
    if outcome not in ("depends", "cannot tell"):
        return ""
    if len(settings) == 1:
        of = format_count(settings[0].replications, "replication")
        return f"It holds in {settings[0].held} of {of}, which is inconclusive."
    failing = " It does not hold in: {failing}." if outcome == "depends" else ""
    untold = " {replications} replications are inconclusive in: {untold}."
    some_untold = any(setting.holds is None for setting in settings)
    return f"It holds in {{held}} of {{settings}} settings.{failing}{untold if some_untold else ''}"


def _count(settings: Sequence[Setting]) -> dict[str, object]:
    def named(wanted: bool | None) -> str:
        return "; ".join(setting.name for setting in settings if setting.holds is wanted)

    return {
        "settings": len(settings),
        "held": sum(setting.holds is True for setting in settings),
        "holding": named(True),
        "failing": named(False),
        "untold": named(None),
        "replications": min(setting.replications for setting in settings),
    }


def fill_table(study: Study, columns: Mapping[str, str], frame: pl.DataFrame) -> FilledTable:
    """Format the rows of a table; each column is a template such as "{slots:,}".

    Raises InputError, with file and line, for a template that does not fit the rows.
    """
    formatter = _Numbers()
    rows = []
    for row in frame.to_dicts():
        try:
            rows.append([formatter.format(column, **row) for column in columns.values()])
        except _UNWRITABLE as error:
            raise InputError(
                f"{study.source_file.at('table')}: table: {_describe(error)}; the view has the "
                f"columns {', '.join(frame.columns)}"
            ) from error
    return FilledTable(list(columns), rows)


def describe_runs(study: Study) -> list[str]:
    """Describe the runs of a study: a line of shared factors, and one for each grid if there are several."""
    grids = {name: _factors(study, grid) for name, grid in study.grids.items()}
    first = next(iter(grids.values()))
    shared = [words for words in first if all(words in factors for factors in grids.values())]
    lines = [f"{'All runs' if len(grids) > 1 else 'Runs'}: {'; '.join(shared)}"]
    own = {name: [words for words in factors if words not in shared] for name, factors in grids.items()}
    return lines + [f"Grid {name}: {'; '.join(words)}" for name, words in own.items() if words]


def _factors(study: Study, grid: Grid) -> list[str]:
    words = []
    for factor in ("trace", "operations", "allocator", "machine", "cpus", "lowmem", "loop", "jitter"):
        if factor in grid.model_fields_set:
            values = getattr(grid, factor)
            texts = [_describe_machine(value) if factor == "machine" else _text(value) for value in values]
            words.append(f"{factor} {', '.join(texts)}{' %' if factor == 'jitter' else ''}")
    for group in (grid.options, grid.costs, grid.workload):
        words += [f"{key} {', '.join(map(_text, values))}" for key, values in group.items()]
    for entry in grid.together:
        shown = [name for name in entry if name.count(".") < _DEEP] or list(entry)[:1]
        beside = zip(*(entry[name] for name in shown), strict=True)
        others = f" and {len(entry) - len(shown)} more" if len(shown) < len(entry) else ""
        rows = "; ".join(" / ".join(map(_text, row)) for row in beside)
        words.append(f"{', '.join(name.removeprefix('workload.') for name in shown)}{others}: {rows}")
    return words if study.exact else [*words, format_count(grid.replications, "replication")]


def _text(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _describe_machine(name: str) -> str:
    profile = load_profile(name)
    return f"{name} ({len(profile.assumed)} of its {len(profile.costs)} costs are assumed)"


def describe_costs(study: Study) -> str:
    """Describe the costs that matter most for the outcome: values and their sources."""
    parts = []
    for machine, names in study.costs.items():
        costs = load_profile(machine).costs
        described = (f"`{name}` {_text(costs[name].value)} ({_origin(costs[name].source)})" for name in names)
        parts.append(f"{machine}: {', '.join(described)}")
    return "; ".join(parts)


def _origin(source: str) -> str:
    """The first word of a source if it is its kind, else its first clause."""
    first = re.split(r"[\s:,;]", source.strip(), maxsplit=1)[0]
    return first if first in ("assumed", "derived", "measured", "fitted") else re.split(r"[:;]", source)[0]
