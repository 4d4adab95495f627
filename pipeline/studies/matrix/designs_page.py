"""docs/designs.md: claims about each allocator, its curves with the bounds, and its costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.allocators.registry import kmap_allocators, shipped_allocators
from pipeline.errors import UsageError, unknown_name
from pipeline.io.files import complete_file
from pipeline.io.numbers import format_count, join_words
from pipeline.machine.catalogue import shipped_profiles
from pipeline.machine.profile import load_profile
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
from pipeline.studies.table import Columns, Table
from pipeline.studies.templates import render_template

_COUNTED: Mapping[Outcome, str] = {
    "holds": "hold",
    "does not hold": "do not hold",
    "depends": "depend on the setting",
    "cannot tell": "are undecided",
}
# Columns for a group of breaches with the same side and reason.
_BREACHES: Columns = {
    "beyond": lambda group: BEYOND[group[0].side],
    "designs": lambda group: ", ".join(dict.fromkeys(breach.allocator for breach in group)),
    "runs": lambda group: str(len(group)),
    "example": lambda group: f"{group[0].allocator}: {group[0]}",
    "reason": lambda group: group[0].why if group[0].explained else f"**{group[0].why}**",
}


@dataclass(frozen=True)
class Comparison:
    """The content of the document: the grid, runs beyond the bounds, and answers to claims."""

    grid: Grid
    outside: Sequence[Breach]
    answers: Sequence[Answer]

    def markdown(self, turns: Sequence[Turn] = (), pictures: Path | None = None) -> str:
        """Render the whole document; `turns` has the effects of alternatives to the machines.

        Curves are drawn into the folder `pictures` if one is given.
        """
        grid = self.grid
        settings = [(trace, machine) for trace in grid.traces for machine in grid.machines]
        priced = [(grid.traces[0], grid.machines[0])]
        return render_template(
            "matrix",
            grid=grid,
            cpus=join_words(map(str, grid.cpus)),
            machines=join_words(grid.machines),
            jitter_percent=JITTER_PERCENT,
            answers=self.describe_answers(),
            sayings=self.list_sayings(),
            lower=LOWER,
            fewest=FEWEST_FLUSHES,
            upper=UPPER,
            shown_cpus=shown_cpus(grid),
            fits=describe_fits(grid),
            curves=[
                (
                    f"{trace} on {machine}",
                    draw_curves(grid, trace, machine, pictures) if pictures else "",
                    tabulate_metrics(grid, trace, machine).markdown() if trace == grid.traces[0] else "",
                )
                for trace, machine in settings
            ],
            prices=[
                (f"{trace} on {machine}", tabulate_prices(grid, trace, machine).markdown())
                for trace, machine in priced
            ],
            tolerance_percent=f"{100 * TOLERANCE:g}",
            outside=self.tabulate_outside(),
            unexplained=not all(breach.explained for breach in self.outside),
            turns=tabulate_turns(turns).markdown() if turns else "",
            turn_cpus=CPUS,
            turn_replications=REPLICATIONS,
            turn_margin_percent=f"{100 * MARGIN:g}",
            assumed=describe_assumptions(grid),
            fitted=matrix.MACHINES[0],
        )

    def describe_answers(self) -> str:
        """Count the claims by outcome, as a sentence."""
        if not self.answers:
            return ""
        counts = Counter(answer.outcome for answer in self.answers)
        counted = join_words(f"{counts[name]} {_COUNTED[name]}" for name in _COUNTED if counts[name])
        return f"**Of {format_count(len(self.answers), 'claim')} about single designs, {counted}.**"

    def list_sayings(self) -> dict[str, str]:
        """Markdown lists of claims by design."""
        designs = dict.fromkeys(design for answer in self.answers for design in answer.study.about)
        return {
            design: "\n".join(render_item(answer) for answer in self.answers if design in answer.study.about)
            for design in designs
            if design in self.grid.shown
        }

    def tabulate_outside(self) -> str:
        """Markdown table of runs beyond a bound, by bound and reason; "" if there are none."""
        groups: dict[tuple[Side, str], list[Breach]] = {}
        for breach in self.outside:
            groups.setdefault((breach.side, breach.why), []).append(breach)
        return Table.of(groups.values(), _BREACHES).markdown() if groups else ""

    def text(self) -> str:
        """Render the claims, and breaches without a reason, for the terminal."""
        unexplained = (
            f"{b.allocator} on {b.setting}: {BEYOND[b.side]}: {b.by}\n"
            for b in self.outside
            if not b.explained
        )
        return "".join([*(f"{render_text(answer)}\n" for answer in self.answers), *unexplained])


def draw_curves(grid: Grid, trace: Trace, machine: str, pictures: Path) -> str:
    """Draw the curves of one trace and machine into a folder; return the Markdown that shows them."""
    name = f"designs-{trace}-{machine}.svg"
    rows = curve_rows(grid, trace, machine)
    with complete_file(pictures / name) as file:
        file.write_text(draw_svg([specify(curves, rows) for curves in CURVES]), encoding="utf-8")
    return f"![Throughput and CPU time of every design by the number of CPUs]({pictures.name}/{name})"


def describe_fits(grid: Grid) -> str:
    """Describe for how many CPUs machines were fitted."""
    fits = {machine: load_profile(machine).fit for machine in grid.machines}
    return " ".join(
        f"{machine} was fitted with {fit.cpus} CPUs, and figures for more CPUs are extrapolated."
        for machine, fit in fits.items()
        if fit is not None and max(grid.cpus) > fit.cpus
    )


def describe_assumptions(grid: Grid) -> str:
    """Count the machines' assumed costs."""
    return join_words(
        f"{len(assumed_costs(machine))} of {len(load_profile(machine).costs)} on {machine}"
        for machine in grid.machines
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
    """Replay allocators, by default all shipped ones for kmap, and with `judged` test claims about them.

    The bounds are always included. Runs are kept in `keep`, or removed when the block ends. Raises UsageError
    for an unknown allocator or profile, and for a number of CPUs or operations below 1.
    """
    for what, names, known in (
        ("design", allocators, shipped_allocators()),
        ("machine", machines, shipped_profiles()),
    ):
        for name in names:
            if name not in known:
                raise unknown_name(what, name, known)
    if not cpus or min(cpus) < 1 or operations_per_cpu < 1:
        raise UsageError("CPUs and operations must be numbers from 1 up")
    with open_runner("replaying designs", keep) as runner:
        grid = Grid(
            runner,
            tuple(allocators or kmap_allocators()),
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
    """Write the document, including alternatives. Raises OutputError if it cannot be written."""
    grid = comparison.grid
    designs = [allocator for allocator in grid.shown if allocator not in matrix.BOUNDS]
    with complete_file(Path(path)) as temporary:
        turns = find_turns(designs, grid.machines, operations=grid.operations_per_cpu * CPUS)
        text = comparison.markdown(turns, Path(path).parent / PICTURES)
        temporary.write_text(text, encoding="utf-8")
    return Path(path)
