"""docs/designs.md: every design between the bounds, what it costs, and what its author said of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.allocators.registry import shipped_allocators
from pipeline.errors import UsageError, unknown_name
from pipeline.io.files import complete_file
from pipeline.io.progress import progress
from pipeline.io.tables import markdown_table
from pipeline.machine.profile import load_profile, shipped_profiles
from pipeline.studies.claims.bench import Bench
from pipeline.studies.matrix.bounds import BEYOND, TOLERANCE, Breach, Side, breaches
from pipeline.studies.matrix.claims_data import SAYINGS
from pipeline.studies.matrix.grid import (
    BOUNDS,
    CPUS,
    FEWEST_FLUSHES,
    LOWER,
    MACHINES,
    OPERATIONS_PER_CPU,
    UPPER,
    Grid,
)
from pipeline.studies.matrix.matrix_tables import metrics, prices
from pipeline.studies.matrix.verdicts import Judged, judged

_HEAD = """# The designs side by side

Every shipped design on a compile, on P tasks that read one byte, and on a recording of a real kernel, with
{cpus} CPUs of {machines}. Written by `pipeline study matrix --document docs/designs.md`, which makes every
run anew; texts and numbers are those of the runs that wrote it, and the same on every machine. Closed loop,
seed 0, designs with their default options.

A cell has a value for each number of CPUs ({slashes}), or one if all are the same. *Throughput* is operations
per second of simulated time as a share of `{lower}`'s on the same trace; *mean map* the time from asking to
having the mapping; *dearer* the CPU time, spinning and interrupts included and idling left out, that an
operation takes more than with `{lower}`; *lock wait* the share of all CPU time spent spinning. ▲ and ▼ mark
what is outside the bounds: throughput above `{lower}` or below `{upper}` by more than {tolerance:.0%}, fewer
flushes than `{fewest}` or more than `{upper}`. Flushes are those that may reach other CPUs; those of the own
TLB alone are among the prices. `{build}` and `{byte}` have {operations:,} operations for each CPU, and as
many tasks for each as on the 16 they are made for; `local` is the recording as it is, with the same tasks for
any number of CPUs.
"""


@dataclass(frozen=True)
class Comparison:
    """All that is written down: the grid with its figures, what is outside the bounds, the judgements."""

    grid: Grid
    outside: Sequence[Breach]
    judged: Sequence[Judged]

    @property
    def stale(self) -> list[Judged]:
        """Sayings whose judgement no longer fits the figures."""
        return [one for one in self.judged if one.stale]

    def markdown(self) -> str:
        """The whole document."""
        grid = self.grid
        head = _HEAD.format(
            cpus=_listed(grid.cpus), machines=_listed(grid.machines), lower=LOWER, upper=UPPER,
            fewest=FEWEST_FLUSHES, tolerance=TOLERANCE, slashes=" / ".join(str(cpus) for cpus in grid.cpus),
            build=grid.traces[0].name, byte=grid.traces[1].name, operations=grid.operations_per_cpu,
        )  # fmt: skip
        parts = [head.rstrip(), "## Between the bounds"]
        for trace in grid.traces:
            for machine in grid.machines:
                parts += [f"### {trace.name} on {machine}", metrics(grid, trace.name, machine).rstrip()]
        parts += ["## What each design takes"]
        for trace in (grid.traces[0], grid.traces[-1]):
            machine = grid.machines[0]
            parts += [f"### {trace.name} on {machine}", prices(grid, trace.name, machine).rstrip()]
        parts += ["## Outside the bounds", self.bounds_text().rstrip()]
        parts += ["## What the authors said, and what comes out", self.overview().rstrip()]
        for allocator in dict.fromkeys(one.saying.allocator for one in self.judged):
            said = [one.markdown() for one in self.judged if one.saying.allocator == allocator]
            parts += [f"### {allocator}", "\n".join(said)]
        parts += ["## What all this rests on", assumptions(grid)]
        return "\n\n".join(parts) + "\n"

    def bounds_text(self) -> str:
        """Who is outside which bound, in how many settings, and why."""
        settings = sum(1 for _ in self.grid.settings())
        lead = (
            f"{settings * (len(self.grid.shown) - 1):,} runs beside {LOWER}'s {settings}. "
            + (
                "Every one that is outside a bound has its reason in its own figures:"
                if all(breach.explained for breach in self.outside)
                else "**Some are outside a bound without a reason that would leave the bound as it is:**"
            )
            if self.outside
            else "No run is outside a bound."
        )
        rows = []
        for (allocator, side, why), group in _grouped(self.outside).items():
            example = group[0]
            rows.append(
                (
                    allocator, BEYOND[side], f"{len(group)}", f"{example.by} ({example.setting})",
                    why if example.explained else f"**{why}**",
                )
            )  # fmt: skip
        return lead + (
            "\n\n" + markdown_table(("design", "outside", "settings", "for instance", "why"), rows)
            if rows
            else ""
        )

    def overview(self) -> str:
        """Table of the sayings, with who is wrong."""
        return markdown_table(
            ("design", "who", "said", "outcome", "wrong"),
            [
                (one.saying.allocator, one.saying.author, one.saying.said, one.outcome, one.wrong)
                for one in self.judged
            ],
        )

    def text(self) -> str:
        """The judgements for the terminal."""
        lines = [
            f"{one.saying.allocator}: {one.saying.said}\n  {one.outcome}: {one.figures}"
            for one in self.judged
        ]
        lines += [
            f"{b.allocator} on {b.setting}: {BEYOND[b.side]}: {b.by}" for b in self.outside if not b.explained
        ]
        return "\n".join(lines) + "\n"


def _grouped(found: Sequence[Breach]) -> dict[tuple[str, Side, str], list[Breach]]:
    """Breaches of the same design, side and reason; reasons that quote figures stay apart."""
    groups: dict[tuple[str, Side, str], list[Breach]] = {}
    for breach in found:
        groups.setdefault((breach.allocator, breach.side, breach.why), []).append(breach)
    return groups


def _listed(items: Sequence[object]) -> str:
    *others, last = [str(item) for item in items]
    return f"{', '.join(others)} and {last}" if others else last


def assumptions(grid: Grid) -> str:
    """How many of the machines' prices nobody measured."""
    said = []
    for machine in grid.machines:
        costs = load_profile(machine).costs
        assumed = sum(cost.source.startswith("assumed") for cost in costs.values())
        said.append(f"{assumed} of {len(costs)} on {machine}")
    return (
        f"Prices that nobody measured: {_listed(said)} (`pipeline machines NAME`). {MACHINES[0]} and the "
        f"compile are "
        "fitted to two rows of 2002 and to nothing else; with 64 CPUs the fit is far outside of what it was "
        "made "
        "for. The recording's split of time between mappings is derived (traces/RECORDINGS.md), so that its "
        "throughput says little and its counts and CPU times more. Simplifications of the machine are in "
        "architecture.md."
    )


def chosen_allocators(bounds: Sequence[str] = BOUNDS) -> tuple[str, ...]:
    """Names of the shipped designs, the bounds included."""
    return tuple(dict.fromkeys((*bounds, *sorted(shipped_allocators()))))


@contextmanager
def compared(
    allocators: Sequence[str] = (),
    machines: Sequence[str] = MACHINES,
    cpus: Sequence[int] = CPUS,
    operations_per_cpu: int = OPERATIONS_PER_CPU,
) -> Iterator[Comparison]:
    """Replay the designs (all shipped ones, if none are named) and judge; runs are kept until the block ends.

    The bounds are always among them. Raises UsageError for a name that is no shipped design or profile, and
    for a number of CPUs or operations below 1.
    """
    for allocator in allocators:
        if allocator not in shipped_allocators():
            raise unknown_name("design", allocator, shipped_allocators())
    for machine in machines:
        if machine not in shipped_profiles():
            raise unknown_name("machine", machine, shipped_profiles())
    if not cpus or min(cpus) < 1 or operations_per_cpu < 1:
        raise UsageError("CPUs and operations want numbers from 1 up")
    names = tuple(dict.fromkeys((*BOUNDS, *allocators))) if allocators else chosen_allocators()
    with (
        TemporaryDirectory() as directory,
        progress("replaying designs", None, "runs") as advance,
    ):
        grid = Grid(
            Bench(Path(directory), advance), names, tuple(dict.fromkeys(machines)),
            tuple(sorted(set(cpus))), operations_per_cpu,
        )  # fmt: skip
        outside = [
            breach
            for trace, machine, count in grid.settings()
            for breach in breaches(
                f"{trace}, {count} CPU{'s' * (count > 1)} of {machine}", grid.column(trace, machine, count)
            )
        ]
        sayings = [saying for saying in SAYINGS if saying.allocator in grid.shown]
        yield Comparison(grid, outside, [judged(grid, saying) for saying in sayings])


def write_designs(path: Path, comparison: Comparison) -> Path:
    """Write the document. Raises OutputError if it cannot be written."""
    with complete_file(Path(path)) as temporary:
        temporary.write_text(comparison.markdown(), encoding="utf-8")
    return Path(path)
