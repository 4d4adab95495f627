"""Building a grid from the arguments of a command, and the output of a dry run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import UsageError
from pipeline.io.files import complete_file
from pipeline.io.key_values import key_values
from pipeline.io.numbers import format_count
from pipeline.io.tables import align_columns
from pipeline.runs.options import parse_designs
from pipeline.sweeps.directory import SWEEP_FILE, open_sweep
from pipeline.sweeps.estimate import estimate
from pipeline.sweeps.grid import Grid, grid_text, is_grid, make_grid, parse_values, read_grid
from pipeline.sweeps.journal import RunState, read_states
from pipeline.sweeps.plan import Planner
from pipeline.sweeps.sweep import in_shard


def grid_of_words(
    what: Sequence[str],
    factors: Mapping[str, Sequence[str] | None],
    tables: Mapping[str, tuple[str, Sequence[str] | None]],
    single: Mapping[str, Any],
) -> Grid:
    """Build the grid of a command from a file, or from traces and factors.

    `factors` are words with values, by factor. `tables` are the option and its KEY=VALUES words, by group.
    `single` are single values, None if not given. Raises UsageError, and InputError for a file.
    """
    given: dict[str, Any] = {}
    for name, words in factors.items():
        if words:
            given[name] = parse_designs(words) if name == "allocator" else parse_values(words)
    for name, (option, words) in tables.items():
        if words:
            given[name] = {key: parse_values([text]) for key, text in key_values(words, option).items()}
    given |= {name: value for name, value in single.items() if value is not None}
    files = [word for word in what if word.endswith(".toml") and is_grid(Path(word))]
    if files and len(what) > 1:
        raise UsageError(f"expected one grid or traces, found {' '.join(what)}; name the traces in the grid")
    if files or (len(what) == 1 and what[0].endswith(".toml") and not Path(what[0]).exists()):
        return read_grid(Path(what[0]), given)
    if missing := [f"--{name}" for name in ("allocator", "machine") if name not in given]:
        raise UsageError(
            f"a sweep of traces requires {' and '.join(missing)}; or give the .toml file of a grid"
        )
    return make_grid({"trace": parse_values(what)} | given)


def parse_shard(text: str) -> tuple[int, int]:
    """Parse I/N. Raises UsageError."""
    i, slash, n = text.partition("/")
    if not slash or not i.isdecimal() or not n.isdecimal() or not 1 <= int(i) <= int(n):
        raise UsageError(f"--shard must be I/N with I from 1 to N, such as 3/64, found '{text}'")
    return int(i), int(n)


def holds_grid(path: Path, grid: Grid) -> bool:
    """Return whether a file is what `save_grid` would write, as when a command is repeated."""
    return path.is_file() and path.read_bytes() == grid_text(grid).encode()


def save_grid(grid: Grid, path: Path) -> None:
    """Write a grid as a commented file. Raises OutputError."""
    with complete_file(path) as file:
        file.write_text(grid_text(grid), encoding="utf-8")


def dry_run_text(grid: Grid, output: Path, shard: tuple[int, int], most: int, workers: int | None) -> str:
    """Describe the runs of a sweep, and estimate their time from the runs in its directory."""
    runs = in_shard(Planner(grid, most).runs, shard)
    sweep = open_sweep(output) if (output / SWEEP_FILE).exists() else None
    states = read_states(sweep) if sweep else {}
    todo = [run for run in runs if not states.get(run.key, RunState()).settled]
    done = sum(states.get(run.key, RunState()).state == "done" for run in runs)
    lines = [f"{format_count(len(runs), 'run')}: {done:,} exist, {len(todo):,} to make"]
    found: dict[tuple[str, str], list[int]] = {}
    for run in todo:
        counted = found.setdefault((run.allocator, run.trace.name), [0, 0])
        counted[0] += 1
        counted[1] += run.trace.operations
    rows = [
        (f"  {allocator}", trace, format_count(count, "run"), format_count(operations, "operation"))
        for (allocator, trace), (count, operations) in found.items()
    ]
    lines += align_columns(rows, right=(2, 3)).splitlines()
    traces = {run.trace.place(output): run.trace for run in todo if run.trace.is_missing(output)}
    if traces:
        operations = sum(trace.operations for trace in traces.values())
        lines.append(f"{format_count(len(traces), 'trace')} of {operations:,} operations to generate")
    lines.append(estimate(sweep, todo, workers))
    return "".join(f"{line}\n" for line in lines)
