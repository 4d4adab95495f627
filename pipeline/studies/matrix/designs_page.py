"""docs/designs.md: what was said of each allocator, its curves beside the bounds, and what it costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.allocators.registry import shipped_allocators
from pipeline.errors import UsageError, unknown_name
from pipeline.io.files import complete_file
from pipeline.io.numbers import format_count, join_words
from pipeline.machine.profile import load_profile, shipped_profiles
from pipeline.studies.answer import Answer
from pipeline.studies.catalogue import find_about
from pipeline.studies.curves import draw_svg, specify
from pipeline.studies.definition import Outcome
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
from pipeline.studies.matrix.grid import FEWEST_FLUSHES, JITTER_PERCENT, UPPER, Grid, Trace
from pipeline.studies.matrix.matrix_tables import (
    CURVES,
    curve_rows,
    shown_cpus,
    tabulate_metrics,
    tabulate_prices,
)
from pipeline.studies.measure import answer_studies
from pipeline.studies.pages import PICTURES, render_item, render_text
from pipeline.studies.runner import LOWER, open_runner
from pipeline.studies.verdict import Columns, Table

_HEAD = """# The designs side by side

Every shipped design on a compile, on P tasks that read one byte, and on a recording of a real kernel, with
{cpus} CPUs of {machines}; closed loop, default options, {replications} runs of each with
traces of other seeds (of the recording: think and wait times scaled at random by {jitter:g} %).

{answers}

## What was said, and what comes out

A saying is judged by all runs of its study (`pipeline study NAME` makes them, and prints conditions and
commands): it *holds* or *does not hold* in every setting tried, or it *depends*; where six runs or more do
not tell, the outcome says so.
"""

_CURVES = """\
Lines are means of {replications} runs, bars 95 % intervals. *Throughput* is operations per second of
simulated time, as a share of `{lower}`'s on the same trace; the second chart has the CPU time, spinning and
interrupts included and idling left out, that an operation takes more than with `{lower}`. The tables have
means with {shown} CPUs; *mean map* is the time from asking to having the mapping, *lock wait* the share of
all CPU time spent spinning. Flushes are those that may reach other CPUs. {machines} `kernel_build` and
`read_one_byte` have {operations:,} operations and as many tasks for each CPU as on the 16 they are made
for; `local` is the recording, with the same tasks for any number of CPUs."""

_BOUNDS = """`{lower}` pays nothing for mapping; for a given order of maps and unmaps `{fewest}` has the
fewest flushes of pools that flush every TLB, and `{upper}` the most of those that flush at most once a miss
(`pipeline allocators NAME` has the proofs). Nothing bounds throughput, and each run has an order of its own.
So each run beyond them by more than {tolerance:.0%} has its reason here, from its own figures."""

_TURNS = f"""The machine simplifies, and many of its prices are assumed. Here the compile is replayed with one
thing at a time otherwise, on {CPUS} CPUs and {REPLICATIONS} times with different traces; designs are ordered
by the CPU time that an operation takes more than with `{LOWER}`. A pair has turned if its order is the
reverse, both before and after by more than {MARGIN:.0%} of the dearer one's and outside the 95 % interval of
the paired difference. An order that stays is not thereby right: all of it rests on the same machine."""

_COUNTED: Mapping[Outcome, str] = {
    "holds": "hold",
    "does not hold": "do not hold",
    "depends": "depend on the setting",
    "cannot tell": "cannot be told",
}
# Of breaches that have side and reason in common.
_BREACHES: Columns = {
    "beyond": lambda group: BEYOND[group[0].side],
    "designs": lambda group: ", ".join(dict.fromkeys(breach.allocator for breach in group)),
    "runs": lambda group: str(len(group)),
    "for instance": lambda group: f"{group[0].allocator}: {group[0]}",
    "why": lambda group: group[0].why if group[0].explained else f"**{group[0].why}**",
}


@dataclass(frozen=True)
class Comparison:
    """All that is written down: the grid with its figures, what is outside the bounds, the sayings judged."""

    grid: Grid
    outside: Sequence[Breach]
    answers: Sequence[Answer]

    def markdown(self, turns: Sequence[Turn] = (), pictures: Path | None = None) -> str:
        """The whole document; `turns` is what comes of alternatives to the machines as they are.

        Curves are drawn into the folder `pictures`, if there is one.
        """
        grid = self.grid
        head = _HEAD.format(
            cpus=join_words(map(str, grid.cpus)),
            machines=join_words(grid.machines),
            replications=grid.replications,
            jitter=JITTER_PERCENT,
            answers=self.describe_answers(),
        )
        parts = [head.rstrip(), *self.list_sayings(), "## Curves, and figures beside the bounds"]
        parts.append(
            _CURVES.format(
                replications=grid.replications, lower=LOWER, shown=shown_cpus(grid),
                operations=grid.operations_per_cpu, machines=describe_fits(grid),
            )
        )  # fmt: skip
        for trace in grid.traces:
            for machine in grid.machines:
                parts.append(f"### {trace} on {machine}")
                if pictures is not None:
                    parts.append(draw_curves(grid, trace, machine, pictures))
                parts.append(tabulate_metrics(grid, trace, machine).markdown())
        parts.append("## What each design takes")
        machine = grid.machines[0]
        for trace in (grid.traces[0], grid.traces[-1]):
            parts += [f"### {trace} on {machine}", tabulate_prices(grid, trace, machine).markdown()]
        bounds = _BOUNDS.format(lower=LOWER, fewest=FEWEST_FLUSHES, upper=UPPER, tolerance=TOLERANCE)
        parts += ["## Beyond the bounds", bounds, self.describe_bounds()]
        if turns:
            parts += ["## What the order hangs on", _TURNS, tabulate_turns(turns).markdown()]
        parts += ["## What all this rests on", describe_assumptions(grid)]
        return "\n\n".join(parts) + "\n"

    def describe_answers(self) -> str:
        """How many sayings there are, by outcome."""
        if not self.answers:
            return ""
        counts = Counter(answer.outcome for answer in self.answers)
        counted = join_words(f"{counts[name]} {_COUNTED[name]}" for name in _COUNTED if counts[name])
        return f"**Of {len(self.answers)} sayings about single designs {counted}.**"

    def list_sayings(self) -> list[str]:
        """Markdown: a heading for each design, with what was said of it."""
        designs = dict.fromkeys(design for answer in self.answers for design in answer.study.about)
        return [
            f"### {design}\n\n"
            + "\n".join(render_item(answer) for answer in self.answers if design in answer.study.about)
            for design in designs
            if design in self.grid.shown
        ]

    def describe_bounds(self) -> str:
        """Which allocators are beyond which bound, in how many runs, and why."""
        if not self.outside:
            return "No run is beyond a bound."
        groups: dict[tuple[Side, str], list[Breach]] = {}
        for breach in self.outside:
            groups.setdefault((breach.side, breach.why), []).append(breach)
        lead = (
            ""
            if all(breach.explained for breach in self.outside)
            else ("**Some are beyond a bound without a reason that would leave the bound as it is:**\n\n")
        )
        return f"{lead}{Table.of(groups.values(), _BREACHES).markdown()}"

    def text(self) -> str:
        """The sayings, and breaches without a reason, for the terminal."""
        unexplained = (
            f"{b.allocator} on {b.setting}: {BEYOND[b.side]}: {b.by}\n"
            for b in self.outside
            if not b.explained
        )
        return "".join([*(f"{render_text(answer)}\n" for answer in self.answers), *unexplained])


def draw_curves(grid: Grid, trace: Trace, machine: str, pictures: Path) -> str:
    """Draw the curves of one trace and machine into a folder; returns the Markdown that shows them."""
    name = f"designs-{trace}-{machine}.svg"
    rows = curve_rows(grid, trace, machine)
    with complete_file(pictures / name) as file:
        file.write_text(draw_svg([specify(curves, rows) for curves in CURVES]), encoding="utf-8")
    return f"![Throughput and CPU time of every design by the number of CPUs]({pictures.name}/{name})"


def describe_fits(grid: Grid) -> str:
    """For how many CPUs machines were fitted; beyond that, figures are extrapolated."""
    fits = {machine: load_profile(machine).fit for machine in grid.machines}
    return " ".join(
        f"{machine} was fitted with {fit.cpus} CPUs; what lies beyond is extrapolated."
        for machine, fit in fits.items()
        if fit is not None and max(grid.cpus) > fit.cpus
    )


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
    judged: bool = True,
) -> Iterator[Comparison]:
    """Replay the allocators (all shipped ones, if none are named) and judge what was said of them.

    The bounds are always among them; if not `judged`, nothing that was said is. Runs stay in `keep`, or until
    the block ends. Raises UsageError for a name that is no shipped allocator or profile, and for a number of
    CPUs or operations below 1.
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
            for (trace, machine, count), columns in grid.columns.items()
            for column in columns
            for breach in find_breaches(f"{trace}, {format_count(count, 'CPU')} of {machine}", column)
        ]
        sayings = [study for study in find_about(grid.shown) if study.about]
        yield Comparison(grid, outside, answer_studies(sayings, keep) if judged else [])


def write_designs(path: Path, comparison: Comparison) -> Path:
    """Write the document, with what comes of alternatives. Raises OutputError if it cannot be written."""
    grid = comparison.grid
    designs = [allocator for allocator in grid.shown if allocator not in matrix.BOUNDS]
    with complete_file(Path(path)) as temporary:
        turns = find_turns(designs, grid.machines, operations=grid.operations_per_cpu * CPUS)
        text = comparison.markdown(turns, Path(path).parent / PICTURES)
        temporary.write_text(text, encoding="utf-8")
    return Path(path)
