"""docs/designs.md: every allocator beside the bounds, what it costs, and what was said of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.allocators.registry import shipped_allocators
from pipeline.errors import UsageError, unknown_name
from pipeline.io.files import complete_file
from pipeline.io.numbers import join_words
from pipeline.machine.profile import load_profile, shipped_profiles
from pipeline.studies.experiment import assumed_costs
from pipeline.studies.matrix import grid as matrix
from pipeline.studies.matrix.alternatives import (
    CPUS,
    MARGIN,
    REPLICATIONS,
    Turn,
    find_turns,
    tabulate_turns,
)
from pipeline.studies.matrix.bounds import BEYOND, TOLERANCE, Breach, Side, find_breaches
from pipeline.studies.matrix.claims import CLAIMS
from pipeline.studies.matrix.grid import Grid
from pipeline.studies.matrix.matrix_tables import tabulate_metrics, tabulate_prices
from pipeline.studies.runner import LOWER, open_runner
from pipeline.studies.verdict import Columns, Table, Verdict

_HEAD = """# The designs side by side

Every shipped design on a compile, on P tasks that read one byte, and on a recording of a real kernel, with
{cpus} CPUs of {machines}. Written by `pipeline study matrix --document docs/designs.md`, which makes every
run anew; texts and numbers are those of the runs that wrote it, and the same on every machine. Closed loop,
seed 0, designs with their default options.

A cell has a value for each number of CPUs ({slashes}), or one if all are the same. *Throughput* is
operations per second of simulated time as a share of `direct_map`'s on the same trace; *mean map* the time
from asking to having the mapping; *dearer* the CPU time, spinning and interrupts included and idling left
out, that an operation takes more than with `direct_map`; *lock wait* the share of all CPU time spent
spinning. ▲ and ▼ mark what lies beyond the designs to measure by: throughput above `direct_map` or below
`always_flush` by more than {tolerance:.0%}, fewer flushes than `clairvoyant` or more than `always_flush`.
These bound less than that: `direct_map` what mapping costs, the other two the flushes of certain pools, for
a given order of maps and unmaps (`pipeline allocators NAME` has the proofs). Nothing bounds throughput, and
each run has an order of its own; so each mark has its reason below. † marks what is
extrapolated: more CPUs than the machine was fitted with. Flushes are those
that may reach other CPUs; those of the own TLB alone are among the prices. `kernel_build` and
`read_one_byte` have {operations:,} operations for each CPU, and as many tasks for each as on the 16 they
are made for; `local` is the recording as it is, with the same tasks for any number of CPUs.
"""


_TURNS = f"""The machine simplifies, and many of its prices are assumed. Here the compile is replayed with one
thing at a time otherwise, on {CPUS} CPUs and {REPLICATIONS} times with different traces; designs are ordered
by the CPU time that an operation takes more than with `{LOWER}`. A pair has turned if its order is the
reverse, both before and after by more than {MARGIN:.0%} of the dearer one's and outside the 95 % interval of
the paired difference. An order that stays is not thereby right: all of it rests on the same machine."""

_CLAIMS: Columns = {
    "design": "allocator",
    "who": "source",
    "said": "claim",
    "outcome": "outcome",
    "wrong": "wrong",
}
# Of breaches that have allocator, side and reason in common.
_BREACHES: Columns = {
    "design": "[0].allocator",
    "beyond": lambda group: BEYOND[group[0].side],
    "settings": lambda group: str(len(group)),
    "for instance": "[0]",
    "why": lambda group: group[0].why if group[0].explained else f"**{group[0].why}**",
}


@dataclass(frozen=True)
class Comparison:
    """All that is written down: the grid with its figures, what is outside the bounds, the verdicts."""

    grid: Grid
    outside: Sequence[Breach]
    verdicts: Sequence[Verdict]

    @property
    def stale(self) -> list[Verdict]:
        """Verdicts whose opinion no longer fits the figures."""
        return [verdict for verdict in self.verdicts if verdict.stale]

    def markdown(self, turns: Sequence[Turn] = ()) -> str:
        """The whole document; `turns` is what comes of alternatives to the machines as they are."""
        grid = self.grid
        head = _HEAD.format(
            cpus=join_words(map(str, grid.cpus)),
            machines=join_words(grid.machines),
            slashes=" / ".join(map(str, grid.cpus)),
            tolerance=TOLERANCE,
            operations=grid.operations_per_cpu,
        )
        parts = [head.rstrip(), "## Beside the bounds"]
        for trace in grid.traces:
            for machine in grid.machines:
                parts += [f"### {trace} on {machine}", tabulate_metrics(grid, trace, machine).markdown()]
        parts.append("## What each design takes")
        machine = grid.machines[0]
        for trace in (grid.traces[0], grid.traces[-1]):
            parts += [f"### {trace} on {machine}", tabulate_prices(grid, trace, machine).markdown()]
        parts += ["## Beyond the bounds", self.describe_bounds()]
        parts += ["## What the authors said, and what comes out", Table.of(self.verdicts, _CLAIMS).markdown()]
        for allocator in dict.fromkeys(verdict.allocator for verdict in self.verdicts):
            own = (verdict.item() for verdict in self.verdicts if verdict.allocator == allocator)
            parts += [f"### {allocator}", "\n".join(own)]
        if turns:
            parts += ["## What the order hangs on", _TURNS, tabulate_turns(turns).markdown()]
        parts += ["## What all this rests on", describe_assumptions(grid)]
        return "\n\n".join(parts) + "\n"

    def describe_bounds(self) -> str:
        """Which allocators are beyond which bound, in how many settings, and why."""
        if not self.outside:
            return "No run is beyond a bound."
        groups: dict[tuple[str, Side, str], list[Breach]] = {}
        for breach in self.outside:
            groups.setdefault((breach.allocator, breach.side, breach.why), []).append(breach)
        settings = len(self.grid.settings())
        reasons = (
            "Every one that is beyond a bound has its reason in its own figures:"
            if all(breach.explained for breach in self.outside)
            else "**Some are beyond a bound without a reason that would leave the bound as it is:**"
        )
        lead = f"{settings * (len(self.grid.shown) - 1):,} runs beside {LOWER}'s {settings}. {reasons}"
        return f"{lead}\n\n{Table.of(groups.values(), _BREACHES).markdown()}"

    def text(self) -> str:
        """The verdicts for the terminal."""
        unexplained = (
            f"{b.allocator} on {b.setting}: {BEYOND[b.side]}: {b.by}\n"
            for b in self.outside
            if not b.explained
        )
        return "".join([*(verdict.text() for verdict in self.verdicts), *unexplained])


def describe_assumptions(grid: Grid) -> str:
    """How many of the machines' prices nobody measured."""
    assumed = join_words(
        f"{len(assumed_costs(machine))} of {len(load_profile(machine).costs)} on {machine}"
        for machine in grid.machines
    )
    return (
        f"Prices that nobody measured: {assumed} (`pipeline machines NAME`). {matrix.MACHINES[0]} and the "
        "compile are fitted to two rows of 2002 and to nothing else; with 64 CPUs the fit is far outside of "
        "what it was made for. The recording's split of time between mappings is derived "
        "(traces/RECORDINGS.md), so that its throughput says little and its counts and CPU times more. "
        "Simplifications of the machine are in machine-model.md."
    )


@contextmanager
def compare_allocators(
    allocators: Sequence[str] = (),
    machines: Sequence[str] = matrix.MACHINES,
    cpus: Sequence[int] = matrix.CPUS,
    operations_per_cpu: int = matrix.OPERATIONS_PER_CPU,
    keep: Path | None = None,
) -> Iterator[Comparison]:
    """Replay the allocators (all shipped ones, if none are named) and judge what was said of them.

    The bounds are always among them. Runs stay in `keep`, or until the block ends. Raises UsageError for a
    name that is no shipped allocator or profile, and for a number of CPUs or operations below 1.
    """
    for what, names, known in (
        ("design", allocators, shipped_allocators()),
        ("machine", machines, shipped_profiles()),
    ):
        for name in names:
            if name not in known:
                raise unknown_name(what, name, known)
    if not cpus or min(cpus) < 1 or operations_per_cpu < 1:
        raise UsageError("CPUs and operations want numbers from 1 up")
    with open_runner("replaying designs", keep) as runner:
        grid = Grid(
            runner,
            tuple(allocators or shipped_allocators()),
            tuple(dict.fromkeys(machines)),
            tuple(sorted(set(cpus))),
            operations_per_cpu,
        )
        outside = [
            breach
            for trace, machine, count in grid.settings()
            for breach in find_breaches(
                f"{trace}, {count} CPU{'s' * (count > 1)} of {machine}", grid.column(trace, machine, count)
            )
        ]
        claims = [claim for claim in CLAIMS if claim.allocator in grid.shown]
        groups = list(dict.fromkeys(claim.allocator for claim in claims))
        claims.sort(key=lambda claim: groups.index(claim.allocator))
        yield Comparison(grid, outside, [claim.judge(grid) for claim in claims])


def write_designs(path: Path, comparison: Comparison) -> Path:
    """Write the document, with what comes of alternatives. Raises OutputError if it cannot be written."""
    grid = comparison.grid
    designs = [allocator for allocator in grid.shown if allocator not in matrix.BOUNDS]
    with complete_file(Path(path)) as temporary:
        turns = find_turns(designs, grid.machines, operations=grid.operations_per_cpu * CPUS)
        temporary.write_text(comparison.markdown(turns), encoding="utf-8")
    return Path(path)
