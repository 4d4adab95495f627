"""The sides A and B: existing runs, or designs whose runs are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.compare.making import Conditions, make
from pipeline.errors import InputError, UsageError
from pipeline.io.key_values import key_integers
from pipeline.io.numbers import join_words
from pipeline.runs.store import find_runs
from pipeline.schema.manifest import Manifest
from pipeline.sweeps.grid import parse_percent
from pipeline.sweeps.sweep import Means, Observer
from pipeline.sweeps.trace_source import is_workload

Side = tuple[str, Sequence[Manifest]]
_TRACE = ".parquet"
# Without jitter, all replications of a recording would be the same run.
JITTER_OF_RECORDINGS = 0.5


@dataclass(frozen=True)
class Designs:
    """The settings for comparing designs, as given on the command line."""

    trace: str | None = None
    machine: str | None = None
    replications: int = 10
    cpus: int | None = None
    operations: int | None = None
    jitter: str | None = None
    costs: Sequence[str] = ()
    output: Path | None = None
    means: Means = field(default_factory=Means)
    observer: Observer = field(default_factory=Observer)

    def given(self) -> list[str]:
        """Return the given options that apply only to designs."""
        named = {
            "--machine": self.machine, "--cpus": self.cpus, "--ops": self.operations, "--jitter": self.jitter,
            "--cost": self.costs, "--output": self.output,
        }  # fmt: skip
        return [name for name, value in named.items() if value]


def is_pair_of_traces(a: str, b: str) -> bool:
    """Return whether both are traces. Raises UsageError if only one is."""
    of_traces = [text.endswith(_TRACE) and Path(text).is_file() for text in (a, b)]
    if any(of_traces) and not all(of_traces):
        trace, other = (a, b) if of_traces[0] else (b, a)
        raise UsageError(f"{trace} is a trace and {other} is not; compare two traces, two designs, or runs")
    return all(of_traces)


def find_sides(a: str, b: str, designs: Designs) -> tuple[Side, Side]:
    """Find the runs of both sides, or make them.

    Raises UsageError if A and B are of different kinds or options are missing, InputError if there are no
    runs, and the errors of a sweep.
    """
    there = [Path(text).exists() and not text.endswith(".py") for text in (a, b)]
    if designs.trace is None and all(there):
        if idle := designs.given():
            raise UsageError(f"{a} and {b} are existing runs; omit {join_words(idle)}")
        return (a, _runs(a)), (b, _runs(b))
    if any(there) and designs.trace is None:
        missing = b if there[0] else a
        raise UsageError(
            f"{missing}: found no run, directory of runs or sweep of that name; designs require --trace and "
            "--machine"
        )
    absent = [f"--{name}" for name in ("trace", "machine") if getattr(designs, name) is None]
    if absent:
        raise UsageError(
            f"{a} and {b} are not runs; to compare designs, give {' and '.join(absent)} (see 'pipeline "
            "compare --help')"
        )
    assert designs.trace is not None and designs.machine is not None
    conditions = Conditions(
        designs.trace, designs.machine, designs.replications, designs.cpus, designs.operations,
        jitter_percent(designs.jitter, designs.trace, designs.replications),
        costs=key_integers(designs.costs, "--cost"),
    )  # fmt: skip
    of_a, of_b = make([a, b], conditions, designs.output, designs.means, designs.observer)
    return (a, of_a), (b, of_b)


def jitter_percent(given: str | None, trace: str, replications: int) -> float:
    """Return the given jitter, or a default that makes replications of a recording differ."""
    if given is not None:
        return parse_percent(given, "--jitter")
    return 0.0 if replications == 1 or is_workload(trace) else JITTER_OF_RECORDINGS


def _runs(text: str) -> list[Manifest]:
    runs = [run.manifest for run in find_runs([Path(text)])]
    if not runs:
        raise InputError(f"{text}: found no runs; make some with 'pipeline replay' or 'pipeline sweep'")
    return runs
