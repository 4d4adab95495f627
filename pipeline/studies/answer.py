"""What a study says: outcome, words with their numbers, what it rests on, and the commands."""

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

# Values of a workload that lie so deep are named by their number alone.
_DEEP = 3


@dataclass(frozen=True)
class FilledTable:
    """A table of a study as text."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Answer:
    """What came of a study.

    `charts` are the rows of the study's own, in its order; `commands` make one of its runs.
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
        """Whether the runs say otherwise than when the opinion was written; too few of them say nothing."""
        expected = self.study.opinion.expected if self.study.opinion else self.outcome
        return self.outcome not in (expected, "cannot tell")

    @property
    def opinion(self) -> str:
        """What is thought of the outcome; "" where nothing is, or if the runs do not tell enough for it."""
        opinion = self.study.opinion
        if opinion is None:
            return ""
        if self.stale:
            return f"To be judged anew: the opinion was written for '{opinion.expected}'."
        return " ".join(opinion.words.split()) if self.outcome == opinion.expected else ""


class _Numbers(Formatter):
    """Writes what is not known as "-"."""

    def format_field(self, value: Any, format_spec: str) -> str:
        absent = value is None or (isinstance(value, float) and isnan(value))
        return "-" if absent else str(format(value, format_spec))


def fill(study: Study, outcome: Outcome, settings: Sequence[Setting], numbers: Mapping[str, object]) -> str:
    """Put numbers into the words for an outcome.

    Raises InputError, with file and line, for words that name a number that is not there or cannot be
    written so.
    """
    known = {**numbers, **_count(settings)}
    for key, words in study.words.model_dump(by_alias=True).items():
        for name in fields(words):
            if name not in known:
                raise InputError(
                    f"{study.source_file.at('words', key)}: words.{key} names '{name}', and 'numbers' has "
                    f"{', '.join(numbers) or 'nothing'} (beside {', '.join(COUNTED)})"
                )
    template = f"{study.words.of(outcome) or _lead(outcome, settings)} {study.words.text}"
    try:
        text = _Numbers().format(template, **known)
    except _UNWRITABLE as error:
        problem = _describe(error)
        raise InputError(f"{study.source_file.at('words')}: words for '{outcome}': {problem}") from error
    return " ".join(text.split())


# What a template meets that names what is not there, or writes it in a way that it cannot be written.
_UNWRITABLE = (ValueError, TypeError, LookupError, AttributeError)


def _describe(error: Exception) -> str:
    return f"there is no {error}" if isinstance(error, LookupError) else str(error)


def _lead(outcome: Outcome, settings: Sequence[Setting]) -> str:
    """What is said of settings where the study has no words of its own."""
    if outcome not in ("depends", "cannot tell"):
        return ""
    if len(settings) == 1:
        only = settings[0]
        return f"It holds in {only.held} of {only.replications} replications, which do not tell."
    failing = ", not in: {failing}" if outcome == "depends" else ""
    untold = "; {replications} replications do not tell in: {untold}"
    some_untold = any(setting.holds is None for setting in settings)
    return f"It holds in {{held}} of {{settings}} settings{failing}{untold if some_untold else ''}."


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
    """Write the rows of a table; each column is a template such as "{slots:,}".

    Raises InputError, with file and line, for a template that the rows do not fit.
    """
    formatter = _Numbers()
    rows = []
    for row in frame.to_dicts():
        try:
            rows.append([formatter.format(column, **row) for column in columns.values()])
        except _UNWRITABLE as error:
            raise InputError(
                f"{study.source_file.at('table')}: table: {_describe(error)}; the rows have "
                f"{', '.join(frame.columns)}"
            ) from error
    return FilledTable(list(columns), rows)


def describe_runs(study: Study) -> list[str]:
    """What is the same and what varies in the runs of a study: a line, and one for each of several grids."""
    grids = {name: _factors(study, grid) for name, grid in study.grids.items()}
    first = next(iter(grids.values()))
    shared = [words for words in first if all(words in factors for factors in grids.values())]
    lines = [f"Runs: {'; '.join(shared)}"]
    own = {name: [words for words in factors if words not in shared] for name, factors in grids.items()}
    return lines + [f"{name}: {'; '.join(words)}" for name, words in own.items() if words]


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
        others = f" with {len(entry) - len(shown)} values more" if len(shown) < len(entry) else ""
        rows = "; ".join(" / ".join(map(_text, row)) for row in beside)
        words.append(f"{', '.join(name.removeprefix('workload.') for name in shown)}{others}: {rows}")
    return words if study.exact else [*words, format_count(grid.replications, "replication")]


def _text(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _describe_machine(name: str) -> str:
    profile = load_profile(name)
    return f"{name} ({len(profile.assumed)} of its {len(profile.costs)} costs are assumed)"


def describe_costs(study: Study) -> str:
    """Costs on which the outcome rests most: values, and where each comes from."""
    parts = []
    for machine, names in study.costs.items():
        costs = load_profile(machine).costs
        described = (f"`{name}` {_text(costs[name].value)} ({_origin(costs[name].source)})" for name in names)
        parts.append(f"{machine}: {', '.join(described)}")
    return "; ".join(parts)


def _origin(source: str) -> str:
    """What a source begins with: the word for its sort, or its first clause."""
    first = re.split(r"[\s:,;]", source.strip(), maxsplit=1)[0]
    return first if first in ("assumed", "derived", "measured", "fitted") else re.split(r"[:;]", source)[0]
