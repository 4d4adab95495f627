"""Laws of every run with any design, machine and workload: Little's law and conservation of CPU time.

Little's law, L = λW (J. D. C. Little, Operations Research 9, 1961), is exact for a run that begins and ends
empty: the length of a queue integrated over time equals the sum of the times that customers spend in it. The
two sides come from separate records of the engine. The left side is observed in the tables of the simulated
machine after every event. The right side is computed from the log of the finished run, or from the trace.
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
OFF_CPU = "tasks off CPU voluntarily"
MAPPED = "operations with a page mapped"

# Options for small pools, if a design has them.
CROWDED = {"slots": "8", "slots_per_cpu": "2"}
ROOMY = {"slots": "64", "slots_per_cpu": "16"}
# Machine, whether operations nest, and size of the pools. Nested maps may deadlock in a crowded pool.
RUNS = (
    ("laptop-up-2002", False, CROWDED),
    ("smp4-2002", False, CROWDED),
    ("numaq16", False, CROWDED),
    ("arm32-quad", True, ROOMY),
)
TASKS = 24
OPERATIONS_EACH = 16


class QueueWatch:
    """Integrates the length of each queue of a simulated machine over time, ns.

    Must be called with the machine after every event. Ready tasks are counted along the links of the queues.
    The time that each was ready is measured from its own state, for the right side of Little's law.
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
        """Add the time since the last event, and count the queues again."""
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
        """Add the ready times of tasks that have left the ready state."""
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
    """Length of a queue that starts at `head`."""
    length = 0
    while head >= 0:
        length += 1
        head = int(following[head])
    return length


@dataclass(frozen=True)
class Watched:
    """A run with its observed queues."""

    case: str
    trace: Rows
    machine: Profile
    outcome: Outcome
    watch: QueueWatch
    hooked: bool = False
    """Whether the design adds work to switches, which the log does not record."""


def watch_run(
    allocator: Allocator, machine: Profile, trace: Rows, sizes: dict[str, str], compiled: bool = True
) -> Watched:
    """Replay `trace` event by event; the design gets those options of `sizes` that it has."""
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
    """Run every shipped design on each machine of RUNS."""
    return tuple(
        watch_run(
            load_allocator(name), load_profile(machine), mixed_rows(TASKS, OPERATIONS_EACH, nested), sizes
        )
        for name in shipped_allocators()
        for machine, nested, sizes in RUNS
    )


def time_in_queues(run: Watched) -> dict[str, int]:
    """Total time of all customers in each queue, from the log and the trace, ns."""
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
    """CPU time and time off CPU that the rows request in a closed loop, ns.

    `compute` is the time between operations, and `in_use` the time with a page mapped. Hold and block of an
    operation exclude those of operations nested in it. The first operation of a task begins at its time.
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
    """Check L = λW for each queue of each run, to the ns."""
    for run in watch_all_runs():
        yield from little_checks_of(run)


def little_checks_of(run: Watched) -> Iterator[Check]:
    """Check one run, which must have finished; unused queues are omitted."""
    outcome, area_ns, times_ns = run.outcome, run.watch.area_ns, time_in_queues(run)
    done = len(outcome.operations) if outcome.status == records.S_FINISHED else 0
    spun_ns = int(outcome.sites["wait_ns"].sum())
    comparisons = [
        ("completed operations", len(run.trace), done, ""),
        *(
            (queue, time_ns / outcome.wall_ns, area_ns[queue] / outcome.wall_ns, "")
            for queue, time_ns in times_ns.items()
            if time_ns or area_ns[queue]
        ),
        ("spin time: lock sites and operations", times_ns[SPINNING], spun_ns, "ns"),
        (
            "pinned and ready time: totals and tasks", run.watch.pinned_ns,
            outcome.totals["pin_wait_ns"], "ns",
        ),
    ]  # fmt: skip
    for what, expected, simulated, unit in comparisons:
        yield Check("Little's law", what, expected, simulated, unit, run.case)


def conservation_checks() -> Iterator[Check]:
    """Check the categories of CPU time of each run, to the ns."""
    for run in watch_all_runs():
        yield from conservation_checks_of(run)


def conservation_checks_of(run: Watched) -> Iterator[Check]:
    """Check that categories sum to the wall-clock time and equal those of trace, log and costs."""
    outcome = run.outcome
    name = "conservation of CPU time"
    for cpu, spent in enumerate(outcome.spent):
        booked_ns = int(spent.sum()) if (spent >= 0).all() else -1
        case = f"{run.case}, CPU {cpu}"
        yield Check(name, "sum of a CPU's categories", outcome.wall_ns, booked_ns, "ns", case)
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
