"""The grid of a sweep: factors and their values, from a TOML file or the arguments of a command.

A factor is a setting of runs: `trace`, `operations`, `allocator`, `machine`, `cpus`, `lowmem`, `loop` or
`jitter`. It can also be a value within one of them: `options.DESIGN.NAME`, `costs.NAME` of machines, or
`workload.KEY` of generated traces. A grid is the product of the values of its factors. Factors in a
`together` entry vary together, value by value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tomlkit
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from pipeline.errors import InputError, UsageError, did_you_mean
from pipeline.io.key_values import parse_percent
from pipeline.io.numbers import plain_number
from pipeline.io.toml import read_toml
from pipeline.io.toml_overrides import toml_value
from pipeline.schema.manifest import Events
from pipeline.schema.names import KINDS

NO_LOWMEM = "none"
SINGLE = ("trace", "operations", "allocator", "machine", "cpus", "lowmem", "loop", "jitter")
_GROUPS = ("options", "costs", "workload")
_MOST_DOUBLINGS = 62


def expand(given: Any) -> tuple[Any, ...]:
    """Return the values of a factor: one value or a list. Text such as "128..4096" is a range by doubling.

    Raises ValueError for a range that misses its end.
    """
    values: list[Any] = []
    for value in given if isinstance(given, list | tuple) else [given]:
        first, dots, last = value.partition("..") if isinstance(value, str) else ("", "", "")
        if dots and first.strip().isdecimal() and last.strip().isdecimal():
            values += _doublings(int(first), int(last))
        else:
            values.append(value)
    return tuple(values)


def _doublings(first: int, last: int) -> list[int]:
    values = [first << k for k in range(_MOST_DOUBLINGS) if first << k <= last]
    if not first or not values or values[-1] != last:
        near = f"; {first}..{values[-1]} does" if first and values else ""
        raise ValueError(f"a range doubles each value, and {first}..{last} misses its end{near}")
    return values


def _percent(given: Any) -> tuple[float, ...]:
    return tuple(parse_percent(str(value), "jitter") for value in expand(given))


def _flat(table: Any) -> dict[str, tuple[Any, ...]]:
    """Return the values of a nested table by dotted key."""
    if not isinstance(table, Mapping):
        raise ValueError("expected a table of names and values")
    return {key: expand(value) for key, value in _dotted(table, "")}


def _dotted(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _dotted(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _entries(given: Any) -> list[dict[str, tuple[Any, ...]]]:
    if not isinstance(given, list):
        raise ValueError("expected [[together]] tables")
    return [_flat(entry) for entry in given]


_Several = BeforeValidator(expand)
_Texts = Annotated[tuple[str, ...], _Several]
_Integers = Annotated[tuple[Annotated[int, Field(strict=True)], ...], _Several]
_Table = Annotated[dict[str, tuple[Any, ...]], BeforeValidator(_flat)]


class Grid(BaseModel):
    """Factors with their values, and settings that are the same for every run.

    `operations` and `workload` apply to generated traces, and `options` to designs that have them. A factor
    that does not apply does not vary. Replications have consecutive seeds, starting with `seed`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    trace: _Texts = ()
    """Paths of traces and workload files, names of shipped recordings and workloads."""
    operations: _Integers = ()
    """Number of operations of generated traces; the default is the workload's."""
    allocator: _Texts = ()
    """Designs, as for `pipeline replay --allocator`."""
    machine: _Texts = ()
    """Machine profiles by name or path."""
    cpus: _Integers = ()
    """Numbers of CPUs; the default is the machine's."""
    lowmem: _Texts = (NO_LOWMEM,)
    """Kinds of operation with pages in low memory, joined by +, or "none"."""
    loop: _Texts = ("closed",)
    """"closed" or "timed"."""
    jitter: Annotated[tuple[float, ...], BeforeValidator(_percent)] = (0.0,)
    """Largest random change of think and wait times, such as "0.5%"."""
    options: _Table = {}
    """Options of designs: "global_pool.slots", or "slots" for all designs with that option."""
    costs: _Table = {}
    """Costs that replace those of the machines."""
    workload: _Table = {}
    """Values that replace those of the workload, by dotted key, such as "tasks"."""
    together: Annotated[list[dict[str, tuple[Any, ...]]], BeforeValidator(_entries)] = []
    """Factors that vary together: in each entry, lists of the same length."""
    replications: Annotated[int, Field(ge=1, strict=True)] = 1
    """Number of runs of each combination, with different seeds."""
    seed: Annotated[int, Field(ge=0, lt=1 << 62, strict=True)] = 0
    """Seed of the first replication."""
    events: Events = "none"
    """Which log to keep for every run, as for a replay."""

    def with_absolute_paths(self) -> Grid:
        """Return the same grid with absolute paths."""
        named = {"trace": (".parquet", ".toml"), "allocator": (".py",), "machine": (".toml",)}

        def absolute(name: str, value: Any) -> Any:
            is_path = str(value).endswith(named.get(name, ("/",))) and "=" not in str(value)
            return (
                str(Path(value).resolve()) if is_path or (name == "trace" and Path(value).exists()) else value
            )

        given = {name: getattr(self, name) for name in self.model_fields_set}
        for name in named.keys() & given.keys():
            given[name] = [absolute(name, value) for value in given[name]]
        given["together"] = [
            {name: [absolute(name, value) for value in values] for name, values in entry.items()}
            for entry in self.together
        ]
        return Grid.model_validate({name: value for name, value in given.items() if value != []})

    def axes(self) -> list[Axis]:
        """Return the factors with their values, with factors that vary together as one axis.

        Raises UsageError for an empty product, an unknown or repeated factor, and a mismatch in the values of
        factors that vary together.
        """
        axes = [Axis((name,), tuple((value,) for value in getattr(self, name))) for name in SINGLE]
        for group in _GROUPS:
            for name, values in getattr(self, group).items():
                axes.append(Axis((f"{group}.{name}",), tuple((value,) for value in values)))
        beside = [_side_by_side(entry) for entry in self.together]
        names = [name for axis in beside for name in axis.factors]
        given_alone = [name for name in self.model_fields_set if name in names]
        given_alone += [
            axis.factors[0] for axis in axes if "." in axis.factors[0] and axis.factors[0] in names
        ]
        if twice := [*given_alone, *(name for name in names if names.count(name) > 1)]:
            raise UsageError(
                f"factor {twice[0]} is given twice; give it once, either separately or in one 'together'"
            )
        # An axis of several factors takes the place of its first factor.
        alone = [axis for axis in axes if axis.factors[0] not in names]
        optional = {"operations", "cpus"} - self.model_fields_set
        alone = [axis for axis in alone if axis.values or axis.factors[0] not in optional]
        for axis in (*alone, *beside):
            if not axis.values:
                name = axis.factors[0]
                raise UsageError(
                    f"factor {name} has no values, so the grid has no runs; give it at least one"
                )
        return alone + beside


@dataclass(frozen=True)
class Axis:
    """One or more factors that vary as one: each of `values` has a value for each of `factors`."""

    factors: tuple[str, ...]
    values: tuple[tuple[Any, ...], ...]


def _side_by_side(entry: Mapping[str, tuple[Any, ...]]) -> Axis:
    if not entry:
        raise UsageError("an entry of 'together' has no factors; add some, or remove the entry")
    for name in entry:
        group, dot, _ = name.partition(".")
        if group not in (_GROUPS if dot else SINGLE):
            known = [*SINGLE, *(f"{group}.NAME" for group in _GROUPS)]
            raise UsageError(
                f"together: unknown factor '{name}'{did_you_mean(name, known)}; known: {', '.join(known)}"
            )
    lengths = {name: len(values) for name, values in entry.items()}
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{length} of {name}" for name, length in lengths.items())
        raise UsageError(f"factors that vary together must have equally many values, found {found}")
    checked = []
    for name, values in entry.items():
        try:
            checked.append(
                getattr(Grid.model_validate({name: list(values)}), name) if name in SINGLE else values
            )
        except ValidationError as error:
            raise UsageError(f"together: {_explain(error)}") from error
    return Axis(tuple(entry), tuple(zip(*checked, strict=True)))


def parse_lowmem(text: str) -> tuple[str, ...]:
    """Return the kinds in a value of `lowmem`, in the order of KINDS. Raises UsageError for unknown ones."""
    kinds = [] if text == NO_LOWMEM else [kind.strip() for kind in text.split("+")]
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise UsageError(
            f"lowmem must be {NO_LOWMEM} or kinds joined by +, found '{unknown[0]}'"
            f"{did_you_mean(unknown[0], KINDS)}; known: {', '.join(KINDS)}"
        )
    return tuple(kind for kind in KINDS if kind in kinds)


def read_grid(path: Path, changes: Mapping[str, Any] | None = None) -> Grid:
    """Read a grid; `changes` are factors that replace the file's.

    Raises InputError, with the file's name, for invalid TOML and for a file that is not a grid.
    """
    table = read_toml(path, "a grid (TOML)")
    try:
        return make_grid(merge(table, changes or {}))
    except UsageError as error:
        raise InputError(f"{path}: {error}") from error


def merge(table: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the factors with some replaced; those in tables are replaced individually."""
    merged = dict(table)
    for name, value in changes.items():
        inner = merged.get(name)
        merged[name] = (
            {**inner, **value} if isinstance(value, Mapping) and isinstance(inner, Mapping) else value
        )
    return merged


def make_grid(table: Mapping[str, Any]) -> Grid:
    """Check the factors of a grid. Raises UsageError; for an unknown name it suggests the nearest."""
    for name in table:
        if name not in Grid.model_fields:
            known = list(Grid.model_fields)
            raise UsageError(f"unknown factor '{name}'{did_you_mean(name, known)}; known: {', '.join(known)}")
    try:
        grid = Grid.model_validate(table)
    except ValidationError as error:
        raise UsageError(_explain(error)) from error
    grid.axes()
    return grid


def _explain(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    where = ".".join(str(step) for step in first["loc"])
    if reason := first.get("ctx", {}).get("error"):
        return f"factor {where}: {reason}"
    return f"factor {where}: {first['msg'].replace('Input should be', 'expected')}, found {first['input']!r}"


def is_grid(path: Path) -> bool:
    """Return whether a TOML file is a grid and not a workload, which has tasks and kinds.

    A file with invalid TOML counts as a grid, so `read_grid` reports the error.
    """
    if not path.is_file():
        return False
    try:
        table = read_toml(path, "a grid (TOML)")
    except InputError:
        return True
    return not {"tasks", "kinds"} & table.keys()


def parse_values(words: Sequence[str]) -> list[Any]:
    """Parse comma-separated values of a command; numbers are as in TOML, or such as 200k."""
    parts = (part.strip() for word in words for part in word.split(","))
    return [toml_value(plain_number(part)) for part in parts if part]


_COMMENTS = {
    "trace": "Paths of traces and workload files, names of shipped recordings and workloads.",
    "operations": "Number of operations of generated traces.",
    "allocator": "Designs; see `pipeline allocators`.",
    "machine": "Machines; see `pipeline machines`.",
    "cpus": "Numbers of CPUs.",
    "lowmem": "Kinds of operation with pages in low memory, joined by +.",
    "loop": "closed: an operation follows the task's previous one; timed: also not before its recorded time.",
    "jitter": "Largest random change of think and wait times.",
    "options": "Options of designs that have them.",
    "costs": "Costs that replace those of the machines; see `pipeline machines NAME`.",
    "workload": "Values that replace those of the workloads.",
    "together": "Factors that vary together, instead of in all combinations.",
    "replications": "Number of runs of each combination, with different seeds.",
    "seed": "Seed of the first replication; the others have the next seeds.",
    "events": "none: totals only; full: the log of every run.",
}


def grid_text(grid: Grid) -> str:
    """Write a grid as a commented TOML file for `read_grid`."""
    document = tomlkit.document()
    document.add(tomlkit.comment("Every combination of these factors is a run of `pipeline sweep`."))
    given = [
        name for name in Grid.model_fields if name in grid.model_fields_set and getattr(grid, name) != {}
    ]
    # Tables are last, as TOML assigns following keys to them.
    for name in sorted(given, key=lambda name: name in (*_GROUPS, "together")):
        value = getattr(grid, name)
        if name in _GROUPS:
            document.add(name, _table(value, _COMMENTS[name]))
            continue
        if name == "together":
            entries = tomlkit.aot()
            for entry in value:
                entries.append(_table(entry, _COMMENTS[name]))
            document.add(name, entries)
            continue
        document.add(tomlkit.nl())
        document.add(tomlkit.comment(_COMMENTS[name]))
        if name == "jitter":
            document.add(name, [f"{percent:g}%" for percent in value])
        else:
            document.add(name, list(value) if isinstance(value, tuple) else value)
    return tomlkit.dumps(document)


def _table(values: Mapping[str, tuple[Any, ...]], comment: str) -> Any:
    table = tomlkit.table()
    table.add(tomlkit.comment(comment))
    for key, several in values.items():
        table.add(key, list(several))
    return table
