"""What the order of the designs depends on: the same runs with one simplification or assumption changed.

Designs are ordered by the additional CPU time of an operation compared with direct_map. Each alternative is
replayed as often as the unchanged machine, with the same traces and seeds. A pair of designs is reversed if
its order on the unchanged machine differs from that with the alternative. Both differences must exceed
`MARGIN` of the more expensive design's cost and lie outside the confidence intervals of the paired
differences.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from pipeline.compare.making import runs_directory
from pipeline.machine.profile import Profile, load_profile
from pipeline.schema.names import CPU_CATEGORIES
from pipeline.statistics import mean, paired_difference
from pipeline.studies.experiment import scale_tasks
from pipeline.studies.runner import LOWER
from pipeline.studies.table import Columns, Table
from pipeline.sweeps.plan import PlannedRun, plan_run
from pipeline.sweeps.results import read_results
from pipeline.sweeps.sweep import make_runs

MARGIN = 0.05
REPLICATIONS = 6
WORKLOAD = "kernel_build"
CPUS = 16
OPERATIONS = 48_000
MADE_FOR = "numaq16"
_NAMED = 3

Costs = Mapping[str, int]
Samples = Mapping[str, Sequence[float]]
"""Additional CPU time of each design in each replication, us per operation."""


@dataclass(frozen=True)
class Alternative:
    """A changed assumption: `costs` that replace the profile's, and `options` of some designs."""

    name: str
    costs: Callable[[Profile], Costs] = lambda _: {}
    options: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def changes(self, profile: Profile) -> Costs:
        """Costs that differ from the profile's."""
        return {n: v for n, v in self.costs(profile).items() if v != profile.costs[n].value}


def _fixed(**costs: int) -> Callable[[Profile], Costs]:
    return lambda _: costs


def _times(factor: float, *names: str) -> Callable[[Profile], Costs]:
    return lambda profile: {name: round(factor * profile.costs[name].value) for name in names}


ALTERNATIVES = (
    Alternative(
        "every use of a mapping walks the page table (TLB size is not modelled)", _fixed(walks_always=1)
    ),
    Alternative("refilling the TLB costs nothing", _fixed(tlb_refill_ns=0)),
    Alternative("refilling the TLB takes four times as long", _times(4, "tlb_refill_ns")),
    Alternative("flushes of several CPUs queue", _fixed(flushes_queue=1)),
    Alternative("flushes of several CPUs do not queue", _fixed(flushes_queue=0)),
    Alternative("a switch empties the TLB (no PCID)", _fixed(switch_empties_tlb=1)),
    Alternative("a switch keeps the TLB (PCID)", _fixed(switch_empties_tlb=0)),
    # Scheduling.
    Alternative("a woken task preempts immediately", _fixed(preempt_after_ns=1)),
    Alternative("a woken task never preempts", _fixed(preempt_after_ns=0)),
    # Memory.
    Alternative("a cache line moves in half the time", _times(0.5, "line_transfer_ns")),
    Alternative("a cache line takes twice as long to move", _times(2, "line_transfer_ns")),
    Alternative("freeing a slot in a pass takes a quarter of the time", _times(0.25, "free_slot_ns")),
    Alternative("a process ends after 40 maps", options={"per_process": {"lifetime": 40}}),
)


@dataclass(frozen=True)
class Turn:
    """The effect of an alternative on the order on one machine."""

    machine: str
    alternative: str
    pairs: int
    turned: Sequence[tuple[str, str]]
    moved: str
    """The design with the largest change of cost, with both costs."""

    @property
    def examples(self) -> str:
        """Some of the pairs; the design that is cheaper on the unchanged machine comes first."""
        named = [f"{cheap} < {dear}" for cheap, dear in self.turned[:_NAMED]]
        more = len(self.turned) - len(named)
        return ", ".join(named) + (f" and {more} more" if more else "")


_COLUMNS: Columns = {
    "machine": "machine",
    "change": "alternative",
    "reversed pairs": lambda turn: f"{len(turn.turned)} of {turn.pairs}",
    "cheaper < more expensive, before": "examples",
    "largest change of cost": "moved",
}


def tabulate_turns(turns: Sequence[Turn]) -> Table:
    """Tabulate the effect of each alternative on each machine."""
    return Table.of(turns, _COLUMNS)


def find_turns(
    designs: Sequence[str],
    machines: Sequence[str],
    replications: int = REPLICATIONS,
    operations: int = OPERATIONS,
) -> list[Turn]:
    """Replay the designs and direct_map, on each machine unchanged and with every alternative.

    Raises the errors of a sweep for a design or machine that cannot be used.
    """
    with runs_directory(None) as directory:
        runs: dict[tuple[str, str], list[PlannedRun]] = {}
        for machine in machines:
            profile = load_profile(machine)
            for alternative in (Alternative(""), *ALTERNATIVES):
                costs = alternative.changes(profile)
                if alternative.name and not costs and not set(alternative.options) & set(designs):
                    continue
                runs[machine, alternative.name] = [
                    _plan(
                        design, machine, costs, alternative.options.get(design, {}), operations, replication
                    )
                    for design in (LOWER, *designs)
                    for replication in range(replications)
                ]
        make_runs(directory, list({run.key: run for some in runs.values() for run in some}.values()))
        costs_us = _costs_us(read_results(directory).to_pylist())
        samples = {at: _dearer(some, costs_us) for at, some in runs.items()}
    return [
        _compare(machine, case, samples[machine, ""], changed)
        for (machine, case), changed in samples.items()
        if case
    ]


def _plan(
    design: str, machine: str, costs: Costs, options: Costs, operations: int, replication: int
) -> PlannedRun:
    varied = {
        "trace": WORKLOAD, "allocator": design, "machine": machine, "cpus": CPUS, "operations": operations,
        "lowmem": "none", "loop": "closed", "jitter": 0.0,
    }  # fmt: skip
    varied |= {f"workload.{key}": value for key, value in scale_tasks(WORKLOAD, MADE_FOR, CPUS).items()}
    varied |= {f"costs.{cost}": value for cost, value in costs.items()}
    varied |= {f"options.{option}": value for option, value in options.items()}
    return plan_run(varied, replication=replication)


def _costs_us(rows: Sequence[Mapping[str, object]]) -> dict[str, float]:
    """CPU time per operation by key of the run, without idle time, us."""
    busy = [f"cpu_{category}_ns" for category in CPU_CATEGORIES if category != "idle"]
    return {
        str(row["key"]): sum(float(str(row[name])) for name in busy) / float(str(row["operations"])) / 1e3
        for row in rows
        if row["state"] != "failed"
    }


def _dearer(runs: Sequence[PlannedRun], costs_us: Mapping[str, float]) -> Samples:
    bound = {run.replication: costs_us[run.key] for run in runs if run.allocator == LOWER}
    found: dict[str, list[float]] = defaultdict(list)
    for run in runs:
        if run.allocator != LOWER:
            found[run.allocator].append(costs_us[run.key] - bound[run.replication])
    return found


def _order(these: Sequence[float], those: Sequence[float]) -> int:
    """-1 if these are cheaper than those, 1 if more expensive, 0 if insignificant or small."""
    difference = paired_difference(these, those)
    least = MARGIN * max(abs(mean(these).value), abs(mean(those).value))
    if abs(difference.value) <= least or difference.half_width is None or difference.may_be(0.0):
        return 0
    return -1 if difference.value < 0 else 1


def _compare(machine: str, case: str, before: Samples, after: Samples) -> Turn:
    turned = []
    for one, other in combinations(before, 2):
        order = _order(before[one], before[other])
        if order and _order(after[one], after[other]) == -order:
            turned.append((one, other) if order < 0 else (other, one))
    means = {design: (mean(before[design]).value, mean(after[design]).value) for design in before}
    most = max(means, key=lambda design: abs(means[design][1] - means[design][0]))
    moved = f"{most}: {means[most][0]:,.2f} to {means[most][1]:,.2f} us"
    return Turn(machine, case, len(means) * (len(means) - 1) // 2, turned, moved)
