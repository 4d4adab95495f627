"""Replay page-fault and copy-user traces through kmap allocators on a simulated multiprocessor.

The Python interface has five functions; docs/notebook.md shows how to use them:

    generate      generate a trace from a workload
    import_trace  convert a recording into a trace
    replay        replay a trace with an allocator on a simulated machine, which produces a run
    sql           query runs with SQL; the answer is a DataFrame
    report        write an HTML page that compares runs

Errors that a user can fix are raised as `pipeline.errors.PipelineError`. All other names may change.
"""

from __future__ import annotations

import importlib
import sys

# Import nothing else here: the command line runs this module first.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    import polars as pl

    from pipeline.runs.finished import RunResult

    Paths = str | Path | Iterable[str | Path]

__all__ = ["generate", "import_trace", "replay", "report", "sql"]


def generate(
    workload: str | Path, output: str | Path, *, operations: int | None = None, seed: int | None = None
) -> Path:
    """Generate a synthetic trace and return its path.

    `workload` is the name of a shipped workload or a .toml file. `operations` and `seed` default to the
    workload's values. The same arguments give the same trace on every machine.
    """
    from pathlib import Path

    from pipeline.workload.generate import generate

    generate(workload, Path(output), operations=operations, seed=seed)
    return Path(output)


def import_trace(source: str | Path, output: str | Path, format: str | None = None) -> Path:
    """Convert a recording into a trace and return the trace's path.

    `format` is the name of a format; None detects the format from the file's content.
    """
    from pathlib import Path

    from pipeline.importing.import_trace import import_trace

    return import_trace(Path(source), Path(output), format).output


def replay(
    trace: str | Path,
    *,
    allocator: str,
    machine: str,
    options: Mapping[str, object] | None = None,
    cpus: int | None = None,
    seed: int = 0,
    jitter_percent: float = 0.0,
    loop: str = "closed",
    events: str = "full",
    lowmem: Collection[str] = (),
    output: str | Path = "runs",
    compiled: bool = True,
) -> RunResult:
    """Replay a trace and return the run: its `path` and its `manifest`, with totals and findings.

    trace: a path or the name of a shipped recording.
    allocator: a name or a .py file, or one per kind of operation ("page_fault=atomic,default=global_pool").
    machine: the name of a profile or a .toml file.
    options: options of the allocator, such as {"slots": 512}.
    cpus: number of CPUs; the default is the profile's.
    seed: seed of the random parts of a run: unfair locks, device interrupts and jitter.
    jitter_percent: scale each think and wait time at random, by up to this many per cent.
    loop: "closed" (a delayed task delays its own next operation) or "timed" (operations start at their
        recorded times).
    events: "full" (the log), "stretches" (the log and each CPU's activity over time) or "none" (totals only).
    lowmem: kinds of operation whose pages are in low memory and need no mapping.
    output: directory of runs. A run that exists there is not simulated again.
    compiled: False runs the simulator as plain Python, so that a debugger can stop in the allocator. This
        takes about a hundred times longer.

    A hazard, such as a deadlock, is not an error; the manifest lists it as a finding.
    """
    from pathlib import Path

    from pipeline.runs.execute import replay

    texts = {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in (options or {}).items()
    }
    return replay(
        trace, allocator=allocator, machine=machine, options=texts, cpus=cpus, seed=seed,
        jitter_percent=jitter_percent, loop=loop, events=events, lowmem=lowmem, output=Path(output),
        compiled=compiled,
    )  # fmt: skip


def sql(
    runs: Paths, query: str | None = None, *, name: str | None = None, **params: float | str
) -> pl.DataFrame:
    """Query runs and return the answer as a DataFrame.

    `runs` is one or more run directories, directories of runs, recordings of the kernel's pool or files of
    lock measurements. Give either `query`, SQL over the views of docs/format.md, or `name`, a query of the
    library. `params` are the values of the query's parameters.
    """
    from pipeline.sql.query import sql

    return sql(_paths(runs), query, name=name, params=params)


def report(runs: Paths, output: str | Path, *, definition: str | Path | None = None) -> Path:
    """Write a report that compares runs and return its path.

    `runs` is one or more run directories, directories of runs or files of lock measurements. The suffix of
    `output` selects the format: .html, .md or .json. `definition` is the name of a shipped report definition
    or a .toml file.
    """
    from pathlib import Path

    from pipeline.report.report import report

    return report(_paths(runs), Path(output), definition)


def _paths(places: Paths) -> list[Path]:
    from pathlib import Path

    return [Path(place) for place in ([places] if isinstance(places, str | Path) else places)]


def _make_callable(name: str) -> None:
    """Make a subpackage that has the name of a function above callable as that function.

    Importing any module of `pipeline.sql` binds `pipeline.sql` to the package, so both must be callable.
    """
    function = globals()[name]
    package = importlib.import_module(f"{__name__}.{name}")
    package.__class__ = type("_CallablePackage", (type(sys),), {"__call__": staticmethod(function)})
    vars(package)["__wrapped__"] = function  # what `help` and notebooks show as its signature
    globals()[name] = package


_make_callable("sql")
_make_callable("report")
