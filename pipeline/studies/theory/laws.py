"""What must hold in every run whatever its design, machine and workload: Little's law, and conservation.

Little's law, L = λW (J. D. C. Little, Operations Research 9, 1961), is exact over a run that begins and ends
empty: the number in a queue, added up over time, is the time each customer spent in it, added up over
customers. The two are taken from books that the engine keeps apart. The left side is watched: after every
single event the simulated machine's own tables say how many are in each queue. The right side is read from
the log of the finished run, or from the trace.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from pipeline.allocators.api.allocator import Allocator
from pipeline.allocators.registry import load_allocator, shipped_allocators
from pipeline.jit.tables import Tables
from pipeline.machine.engine import records
from pipeline.machine.in_memory import Outcome, Rows, simulate
from pipeline.machine.profile import Profile, load_profile
from pipeline.schema.codes import E_RELOCK, E_SCAN, E_SLEEP, E_SWITCH, E_WAKE
from pipeline.studies.theory.check import Check
from pipeline.studies.theory.runs import mixed_rows

SPINNING = "CPUs that spin for a lock"
ASLEEP = "tasks asleep for a slot"
PINNED = "tasks ready, but pinned to a busy CPU"
READY = "tasks ready for any CPU"
OFF_CPU = "tasks off CPU of their own accord"
MAPPED = "operations that have a page mapped"

# Options that make a pool small, where a design has them.
CROWDED = {"slots": "8", "slots_per_cpu": "2"}
ROOMY = {"slots": "64", "slots_per_cpu": "16"}
# Machine, whether operations nest, and how large the pools are. Nested maps in a crowded pool may deadlock.
RUNS = (
    ("laptop-up-2002", False, CROWDED),
    ("smp4-2002", False, CROWDED),
    ("numaq16", False, CROWDED),
    ("arm32-quad", True, ROOMY),
)
TASKS = 24
OPERATIONS_EACH = 16


class QueueWatch:
    """How many are in each queue of a simulated machine, added up over time in ns, by watching it.

    To be shown the machine after every event. Tasks that are ready are counted along the queues' links; how
    long each of them was ready is told from its own state, as the right side of Little's law for them.
    """

    def __init__(self) -> None:
        self.area_ns = dict.fromkeys((SPINNING, ASLEEP, PINNED, READY, OFF_CPU, MAPPED), 0)
        self.ready_ns = 0
        self.pinned_ns = 0
        self._count = dict.fromkeys(self.area_ns, 0)
        self._now_ns = 0
        self._state = np.zeros(0, np.int8)
        self._since_ns = np.zeros(0, np.int64)
        self._bound = np.zeros(0, np.bool_)

    def __call__(self, machine_state: Tables) -> None:
        """Add the time since the last event, and look again."""
        machine = machine_state.machine.view(np.ndarray)[0]
        now_ns = int(machine["now_ns"])
        for name, count in self._count.items():
            self.area_ns[name] += count * (now_ns - self._now_ns)
        self._now_ns = now_ns
        tasks = machine_state.tasks.view(np.ndarray)
        self._time_tasks(tasks)
        cpus = machine_state.cpus.view(np.ndarray)
        following = tasks["next"]
        self._count = {
            SPINNING: int(machine_state.locks.view(np.ndarray)["spinners"].sum()),
            ASLEEP: int(machine_state.queues.view(np.ndarray)["sleepers"].sum()),
            PINNED: sum(_length(int(head), following) for head in cpus["pin_head"] if head >= 0),
            READY: _length(int(machine["ready_head"]), following),
            OFF_CPU: int((tasks["state"] == records.T_TIMER).sum()),
            MAPPED: int(machine["mapped"]),
        }

    def _time_tasks(self, tasks: np.ndarray) -> None:
        """Book how long tasks were ready that are so no more."""
        state = tasks["state"].copy()
        if len(self._state):
            left = np.flatnonzero((self._state == records.T_READY) & (state != records.T_READY))
            for task in left:
                waited_ns = self._now_ns - int(self._since_ns[task])
                if self._bound[task]:
                    self.pinned_ns += waited_ns
                else:
                    self.ready_ns += waited_ns
        self._state = state
        self._since_ns = tasks["since_ns"].copy()
        self._bound = tasks["pinned"] > 0


def _length(head: int, following: np.ndarray) -> int:
    """Links of a queue from `head` on."""
    length = 0
    while head >= 0:
        length += 1
        head = int(following[head])
    return length


@dataclass(frozen=True)
class Watched:
    """A run with what was watched of it."""

    case: str
    trace: Rows
    machine: Profile
    outcome: Outcome
    watch: QueueWatch
    hooked: bool = False
    """Whether the design makes switches dearer by work of its own, of which the log says nothing."""


def watch_run(
    allocator: Allocator, machine: Profile, trace: Rows, sizes: dict[str, str], compiled: bool = True
) -> Watched:
    """Replay `trace` event by event; `sizes` are options, of which the design gets those that it has."""
    known = {option.name for option in allocator.options}
    watch = QueueWatch()
    outcome = simulate(
        allocator, machine, trace, options={name: value for name, value in sizes.items() if name in known},
        compiled=compiled, chunk_rows=len(trace), budget_events=1, observe=watch,
    )  # fmt: skip
    hooked = hasattr(allocator.module, "switch_out")
    return Watched(f"{allocator.name} on {machine.name}", trace, machine, outcome, watch, hooked)


@cache
def watch_all_runs() -> tuple[Watched, ...]:
    """Every shipped design on each of the machines of RUNS."""
    return tuple(
        watch_run(
            load_allocator(name), load_profile(machine), mixed_rows(TASKS, OPERATIONS_EACH, nested), sizes
        )
        for name in shipped_allocators()
        for machine, nested, sizes in RUNS
    )


def time_in_queues(run: Watched) -> dict[str, int]:
    """How long customers were in each queue, all together, by the log and the trace, in ns."""
    operations = run.outcome.operations
    relocks = run.outcome.of_kind(E_RELOCK)["wait_ns"]
    return {
        SPINNING: int(operations["map_wait_ns"].sum() + operations["unmap_wait_ns"].sum() + relocks.sum()),
        ASLEEP: int(run.outcome.of_kind(E_SLEEP)["duration_ns"].sum()),
        PINNED: run.watch.pinned_ns,
        READY: run.watch.ready_ns,
        OFF_CPU: requested_times(run.trace)["off_cpu"],
        MAPPED: int((operations["done_ns"] - operations["mapped_ns"]).sum()),
    }


def requested_times(trace: Rows) -> dict[str, int]:
    """CPU time and time off CPU that the rows themselves ask for in a closed loop, in ns.

    `compute` is between operations and `in_use` with something mapped. An operation's own hold and block are
    what is left of them after the operations nested in it. A task's first operation begins at its time.
    """
    asked = dict.fromkeys(("compute", "in_use", "off_cpu"), 0)
    left: dict[int, list[list[int]]] = {}
    names = ("task", "depth", "time_ns", "think_ns", "wait_ns", "hold_ns", "block_ns")
    columns = (getattr(trace, name).tolist() for name in names)
    for task, depth, time_ns, think_ns, wait_ns, hold_ns, block_ns in zip(*columns, strict=True):
        begun = task in left
        under_way = left.setdefault(task, [])
        while len(under_way) > depth:
            _finish(asked, under_way.pop())
        if under_way:
            under_way[-1][0] = max(under_way[-1][0] - think_ns - hold_ns, 0)
            under_way[-1][1] = max(under_way[-1][1] - wait_ns - block_ns, 0)
        asked["in_use" if depth else "compute"] += think_ns
        asked["off_cpu"] += wait_ns if begun else max(time_ns - think_ns, 0)
        under_way.append([hold_ns, block_ns])
    for under_way in left.values():
        for operation in under_way:
            _finish(asked, operation)
    return asked


def _finish(asked: dict[str, int], operation: list[int]) -> None:
    asked["in_use"] += operation[0]
    asked["off_cpu"] += operation[1]


def little_checks() -> Iterator[Check]:
    """L = λW of each queue of each run, to the last ns."""
    for run in watch_all_runs():
        yield from little_checks_of(run)


def little_checks_of(run: Watched) -> Iterator[Check]:
    """The same of one run; the run must have come to its end, and queues that nobody used are left out."""
    outcome, area_ns, times_ns = run.outcome, run.watch.area_ns, time_in_queues(run)
    done = len(outcome.operations) if outcome.status == records.S_FINISHED else 0
    spun_ns = int(outcome.sites["wait_ns"].sum())
    comparisons = [
        ("operations done of those in the trace", len(run.trace), done, ""),
        *(
            (queue, time_ns / outcome.wall_ns, area_ns[queue] / outcome.wall_ns, "")
            for queue, time_ns in times_ns.items()
            if time_ns or area_ns[queue]
        ),
        ("time spun: lock sites against operations", times_ns[SPINNING], spun_ns, "ns"),
        (
            "time pinned and ready: totals against tasks", run.watch.pinned_ns,
            outcome.totals["pin_wait_ns"], "ns",
        ),
    ]  # fmt: skip
    for what, expected, simulated, unit in comparisons:
        yield Check("Little's law", what, expected, simulated, unit, run.case)


def conservation_checks() -> Iterator[Check]:
    """Where CPU time went, of each run, to the last ns."""
    for run in watch_all_runs():
        yield from conservation_checks_of(run)


def conservation_checks_of(run: Watched) -> Iterator[Check]:
    """Categories sum to the wall time of each CPU, and are what trace, log and prices ask for."""
    outcome = run.outcome
    name = "conservation of CPU time"
    for cpu, spent in enumerate(outcome.spent):
        booked_ns = int(spent.sum()) if (spent >= 0).all() else -1
        case = f"{run.case}, CPU {cpu}"
        yield Check(name, "a CPU's categories, of its wall time", outcome.wall_ns, booked_ns, "ns", case)
    asked = requested_times(run.trace)
    walks_ns = outcome.totals["walks"] * run.machine.costs["walk_ns"].value
    expected = {
        "compute": asked["compute"],
        "in_use": asked["in_use"] + walks_ns,
        "scan": int(outcome.of_kind(E_SCAN)["duration_ns"].sum()),
    }
    if not run.hooked:
        switches = (outcome.of_kind(event)["duration_ns"] for event in (E_SWITCH, E_WAKE))
        expected["switch"] = sum(int(durations.sum()) for durations in switches)
    for category, time_ns in expected.items():
        simulated_ns = outcome.time_in(category)
        yield Check(name, f"time in category {category}", time_ns, simulated_ns, "ns", run.case)
