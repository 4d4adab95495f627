"""Replay page-fault and copy-user traces through kmap allocators on a simulated multiprocessor.

From Python it is five functions, of which a notebook needs no other, as docs/notebook.md shows:

    generate      make a trace of a workload
    import_trace  make a trace of a recording
    replay        put a trace through an allocator on a machine: a run
    sql           ask runs a question, with a DataFrame as the answer
    report        compare runs in one HTML page

What a user can mend is raised as `pipeline.errors.PipelineError`. All other names may change.
"""

from __future__ import annotations

import importlib
import sys

# Nothing else is imported at once: this is the first that the command line runs.
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
    """Write a synthetic trace and return its path.

    `workload` is the name of a shipped workload or a .toml file; `operations` and `seed` default to what it
    says. The same arguments give the same trace on every machine.
    """
    from pathlib import Path

    from pipeline.workload.generate import generate

    generate(workload, Path(output), operations=operations, seed=seed)
    return Path(output)


def import_trace(source: str | Path, output: str | Path, format: str | None = None) -> Path:
    """Write the trace of a recording and return its path.

    `format` is one of those that `pipeline import --help` lists; None finds it from the file's content.
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

    `trace` is a path or the name of a shipped recording; `allocator` a name or a .py file, or several by kind
    of operation ("page_fault=atomic,default=global_pool"), with `options` such as {"slots": 512}; `machine` a
    name or a .toml file, with `cpus` CPUs if given. `seed` decides what is left to chance: unfair locks,
    device interrupts, and with `jitter_percent` by how much, up to so many per cent, each think and wait time
    of the trace is scaled. `loop` is "closed" (a delayed task delays its own next operation) or "timed"
    (operations start at their recorded times); `events` is "full", "stretches" (the log, and what each CPU
    did from when to when) or "none" (totals only); pages of the kinds `lowmem` need no mapping. A run that is
    in `output` already is not simulated again. A hazard, such as a deadlock, is no error but a finding of the
    manifest. Not `compiled`, it takes some hundred times longer, and a debugger stops in the allocator.
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
    """Answer a question over runs.

    `runs` is one or several run directories, directories of runs, recordings of the kernel's pool or files of
    measured locks. The question is `query`, SQL over the views of docs/format.md, or `name`, a query of the
    library; `params` fill its parameters.
    """
    from pipeline.sql.query import sql

    return sql(_paths(runs), query, name=name, params=params)


def report(runs: Paths, output: str | Path, *, definition: str | Path | None = None) -> Path:
    """Write a report that compares runs, in the form of the suffix (.html, .md, .json); return its path.

    `runs` is one or several run directories, directories of runs or files of measured locks; `definition` is
    the name of a shipped report definition or a .toml file.
    """
    from pathlib import Path

    from pipeline.report.report import report

    return report(_paths(runs), Path(output), definition)


def _paths(places: Paths) -> list[Path]:
    from pathlib import Path

    return [Path(place) for place in ([places] if isinstance(places, str | Path) else places)]


def _make_callable(name: str) -> None:
    """Let a package that has the name of a function above be called as that function.

    Importing anything of `pipeline.sql` makes `pipeline.sql` the package; whichever it is, it can be called.
    """
    function = globals()[name]
    package = importlib.import_module(f"{__name__}.{name}")
    package.__class__ = type("_CallablePackage", (type(sys),), {"__call__": staticmethod(function)})
    vars(package)["__wrapped__"] = function  # what `help` and notebooks show as its signature
    globals()[name] = package


_make_callable("sql")
_make_callable("report")
