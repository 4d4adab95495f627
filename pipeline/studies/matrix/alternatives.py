"""What the order of the designs hangs on: the same runs where something simplified or assumed is otherwise.

Designs are ordered by the CPU time that an operation takes more than with direct_map. Each alternative
is replayed as often as the machine as it is, with the same traces and seeds; a pair of designs has turned if
one was dearer than the other with the machine as it is and cheaper with the alternative, both by more than
`MARGIN` of the dearer one's cost and outside the intervals of the paired differences.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from pipeline.compare.making import runs_directory
from pipeline.machine.profile import Profile, load_profile
from pipeline.schema.run import CPU_CATEGORIES
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
"""Of each design, the CPU time by which it is dearer in each replication, us an operation."""


@dataclass(frozen=True)
class Alternative:
    """Something that could be otherwise: `costs` in place of a profile's, `options` of some designs."""

    name: str
    costs: Callable[[Profile], Costs] = lambda _: {}
    options: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def changes(self, profile: Profile) -> Costs:
        """The costs that differ from the profile's."""
        return {n: v for n, v in self.costs(profile).items() if v != profile.costs[n].value}


def _fixed(**costs: int) -> Callable[[Profile], Costs]:
    return lambda _: costs


def _times(factor: float, *names: str) -> Callable[[Profile], Costs]:
    return lambda profile: {name: round(factor * profile.costs[name].value) for name in names}


ALTERNATIVES = (
    Alternative("TLBs keep nothing between two uses (they have no capacity here)", _fixed(walks_always=1)),
    Alternative("what a flush takes from the TLB comes back for nothing", _fixed(tlb_refill_ns=0)),
    Alternative("refilling takes four times as long", _times(4, "tlb_refill_ns")),
    Alternative("flushes of several CPUs queue", _fixed(flushes_queue=1)),
    Alternative("flushes of several CPUs do not queue", _fixed(flushes_queue=0)),
    Alternative("a switch empties the TLB (no PCID)", _fixed(switch_empties_tlb=1)),
    Alternative("a switch leaves the TLB (PCID)", _fixed(switch_empties_tlb=0)),
    Alternative("a woken task preempts at once", _fixed(preempt_after_ns=1)),
    Alternative("a woken task never preempts", _fixed(preempt_after_ns=0)),
    Alternative("a line of memory moves in half the time", _times(0.5, "line_transfer_ns")),
    Alternative("a line of memory takes twice as long", _times(2, "line_transfer_ns")),
    Alternative("freeing a slot in a pass takes a quarter", _times(0.25, "free_slot_ns")),
    Alternative("a process ends after 40 maps", options={"per_process": {"lifetime": 40}}),
)


@dataclass(frozen=True)
class Turn:
    """What an alternative does to the order on one machine."""

    machine: str
    alternative: str
    pairs: int
    turned: Sequence[tuple[str, str]]
    moved: str
    """The design whose cost changes most, with both costs."""

    @property
    def examples(self) -> str:
        """Some of the pairs: the design that was cheaper first."""
        named = [f"{cheap} < {dear}" for cheap, dear in self.turned[:_NAMED]]
        more = len(self.turned) - len(named)
        return ", ".join(named) + (f" and {more} more" if more else "")


_COLUMNS: Columns = {
    "machine": "machine",
    "otherwise": "alternative",
    "pairs that turn": lambda turn: f"{len(turn.turned)} of {turn.pairs}",
    "cheaper < dearer, before": "examples",
    "moves most": "moved",
}


def tabulate_turns(turns: Sequence[Turn]) -> Table:
    """A line for each alternative on each machine."""
    return Table.of(turns, _COLUMNS)


def find_turns(
    designs: Sequence[str],
    machines: Sequence[str],
    replications: int = REPLICATIONS,
    operations: int = OPERATIONS,
) -> list[Turn]:
    """Replay the designs beside direct_map, on each machine as it is and with every alternative.

    Raises what a sweep does for a design or machine that cannot be used.
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
    """CPU time of an operation by the run's key, idling left out, us."""
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
    """-1 if these are cheaper than those, 1 if dearer, 0 if that cannot be told or is too little."""
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
