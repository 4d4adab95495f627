"""A run from columns of rows in memory, on a machine whose every price is given: no files, the same engine.

`pipeline.runs.replay` does the same from a trace to a run directory. This is for comparisons in which the
rows and the prices are chosen so that the result is known from elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from pipeline.allocators.api.allocator import Allocator
from pipeline.allocators.api.contract import Shape, parse_options
from pipeline.allocators.registry import resolve_allocator
from pipeline.jit.tables import Tables
from pipeline.machine.compose import Simulator, compose
from pipeline.machine.engine import records
from pipeline.machine.machine_state import RunSettings, build_allocator, build_machine_state, look
from pipeline.machine.profile import COST_KINDS, Profile
from pipeline.schema.run import CPU_CATEGORIES

_ONE_SECOND_NS = 1_000_000_000
_BUDGET_EVENTS = 1 << 20


@dataclass
class Rows:
    """Trace rows as int64 columns of one length, in trace order; names and units of the trace format.

    `kind` holds codes of pipeline.schema.trace.KINDS, 0 throughout if left out.
    """

    time_ns: np.ndarray
    task: np.ndarray
    page: np.ndarray
    think_ns: np.ndarray
    wait_ns: np.ndarray
    hold_ns: np.ndarray
    block_ns: np.ndarray
    depth: np.ndarray
    kind: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))

    def __post_init__(self) -> None:
        if len(self.kind) == 0:
            self.kind = np.zeros(len(self), np.int64)

    def __len__(self) -> int:
        return len(self.time_ns)

    def at(self, index: Any) -> Rows:
        """The rows at `index`, which may be a slice or an array of positions."""
        return Rows(**{name: column[index] for name, column in vars(self).items()})


def rows(count: int, **given: Any) -> Rows:
    """`count` rows; a column that is not given is 0, one given as a number is that number throughout.

    Raises TypeError for a column that a trace does not have.
    """
    columns = {
        column.name: np.array(np.broadcast_to(given.pop(column.name, 0), count), np.int64)
        for column in fields(Rows)
    }
    if given:
        raise TypeError(f"rows have no column {', '.join(given)}; there are {', '.join(columns)}")
    return Rows(**columns)


def free_machine(cpus: int, *, nodes: int = 1, arbitration: str = "fifo", **prices: int) -> Profile:
    """A machine on which everything is free but what `prices` names; time slices last a second.

    Raises TypeError for a price that machines do not have.
    """
    if unknown := sorted(set(prices) - set(COST_KINDS)):
        raise TypeError(f"machines have no cost {', '.join(unknown)}; there are {', '.join(COST_KINDS)}")
    costs = dict.fromkeys(COST_KINDS, 0) | {"timeslice_ns": _ONE_SECOND_NS} | prices
    return Profile.model_validate(
        {
            "name": "free",
            "summary": "everything is free but what is named",
            "cpus": cpus,
            "nodes": nodes,
            "arbitration": arbitration,
            "arbitration_source": "given",
            "costs": {name: {"value": value, "source": "given"} for name, value in costs.items()},
        }
    )


@dataclass(frozen=True)
class Outcome:
    """What a run came to."""

    status: int
    totals: dict[str, int]
    operations: np.ndarray
    """The operation log, in order of trace rows."""
    events: np.ndarray
    spent: np.ndarray
    """int64 [cpus, categories]: where each CPU's time went."""
    sites: np.ndarray
    locks: np.ndarray
    """The spinlocks as the run left them."""
    problems: list[str]
    """What the design's own check says at the end."""
    lost_wakeups: list[str]
    """Who is left asleep at the end beside a slot he could have, as the design says."""

    @property
    def wall_ns(self) -> int:
        """When the last event happened."""
        return self.totals["now_ns"]

    @property
    def fingerprint(self) -> tuple[int, ...]:
        """Hash of the whole log."""
        return tuple(self.totals[f"hash{k}"] for k in range(4))

    @property
    def unbooked_ns(self) -> np.ndarray:
        """int64 [cpus]: wall time that is in no category, 0 if the books are right."""
        return self.wall_ns - self.spent.sum(axis=1)

    def of_kind(self, event: int) -> np.ndarray:
        """The events of one kind."""
        return self.events[self.events["event"] == event]

    def time_in(self, category: str) -> int:
        """CPU time of one category, over all CPUs, in ns."""
        return int(self.spent[:, list(CPU_CATEGORIES).index(category)].sum())


def simulate(
    allocator: str | Allocator,
    profile: Profile,
    trace: Rows,
    *,
    options: dict[str, str] | None = None,
    seed: int = 0,
    loop: int = records.CLOSED,
    compiled: bool = False,
    chunk_rows: int = 1 << 14,
    log_rows: int = 1 << 16,
    levels: int | None = None,
    process_of: Sequence[int] | None = None,
    budget_events: int = _BUDGET_EVENTS,
    observe: Callable[[Tables], None] | None = None,
) -> Outcome:
    """Replay `trace` to its end or to a deadlock.

    `process_of` gives each task's process; left out, each is its own. `observe` is shown the machine after
    each call of the engine and each chunk of rows read; with `budget_events=1` that is after every event.
    Raises RuntimeError if the clock stands still.
    """
    allocator = resolve_allocator(allocator) if isinstance(allocator, str) else allocator
    tasks = int(trace.task.max()) + 1
    processes = np.arange(tasks) if process_of is None else np.array(process_of)
    shape = Shape(profile.cpus, tasks, int(processes.max()) + 1, int(trace.page.max()) + 1)
    values = parse_options(allocator.options, options or {}, allocator.name)
    chunks = -(-len(trace) // chunk_rows)
    levels = int(trace.depth.max()) + 1 if levels is None else levels
    setting = RunSettings(
        seed, loop, True, chunk_rows, chunks, chunks, levels, log_operations=log_rows, log_events=log_rows
    )
    state = build_allocator(allocator, values, shape)
    machine_state = build_machine_state(profile, allocator, values, shape, setting, state)
    counts = np.bincount(trace.task, minlength=tasks)
    machine_state.tasks.rows_left = counts
    machine_state.tasks.process = processes
    machine_state.tasks.state[counts == 0] = records.T_ENDED
    machine = machine_state.machine[0]
    machine.live = machine.unstarted = int((counts > 0).sum())
    # Integers of plain Python are unbounded, NumPy's wrap as the fingerprint wants, but complain.
    with np.errstate(over="ignore"):
        status, operations, events = _drive(
            compose(allocator, compiled), machine_state, state, trace, chunk_rows, budget_events, observe
        )
    check = getattr(allocator.module, "check", None)
    lost_wakeups = getattr(allocator.module, "lost_wakeups", None)
    return Outcome(
        status,
        {name: int(machine[name]) for name in machine.dtype.names},
        operations[np.argsort(operations["op"])],
        events,
        np.array(machine_state.spent).reshape(-1, records.CATEGORIES),
        np.array(machine_state.sites),
        np.array(machine_state.locks),
        check(state, look(machine_state, shape)) if check else [],
        lost_wakeups(state, look(machine_state, shape)) if lost_wakeups else [],
    )


def _drive(
    simulator: Simulator,
    machine_state: Tables,
    state: Tables,
    trace: Rows,
    chunk_rows: int,
    budget_events: int,
    observe: Callable[[Tables], None] | None,
) -> tuple[int, np.ndarray, np.ndarray]:
    """Run until nothing more can happen; return why, and both logs."""
    machine = machine_state.machine[0]
    operations: list[np.ndarray] = []
    events: list[np.ndarray] = []
    most_think = int(trace.think_ns.max())
    # Slicing a recarray makes a new type each time, which takes longer than a small simulation.
    log, event_log = machine_state.operations.view(np.ndarray), machine_state.events.view(np.ndarray)
    chunk = 0
    quiet_events = 0

    def keep() -> None:
        operations.append(log[: machine.operations_logged].copy())
        events.append(event_log[: machine.events_logged].copy())
        machine.operations_logged = 0
        machine.events_logged = 0

    while True:
        before = int(machine.now_ns)
        status = int(simulator.run(machine_state, state, budget_events))
        quiet = status == records.S_BUDGET and machine.now_ns == before
        quiet_events = quiet_events + budget_events if quiet else 0
        if quiet_events > _BUDGET_EVENTS:
            raise RuntimeError(f"the clock stands still at {before} ns: {quiet_events:,} events in no time")
        if status == records.S_NEED_ROWS:
            first, last = chunk * chunk_rows, min(len(trace), (chunk + 1) * chunk_rows)
            part = trace.at(slice(first, last))
            wrong = simulator.arrange(
                machine_state, chunk, last - first, first, part.task, part.time_ns, part.think_ns,
                part.wait_ns, part.hold_ns, part.block_ns, part.page, part.kind, part.depth,
            )  # fmt: skip
            if wrong != -1:
                raise ValueError(f"row {first + wrong}: there is no task {part.task[wrong]}")
            horizon = int(part.time_ns[-1]) - most_think
            simulator.admit(machine_state, chunk, chunk, last - first, horizon, int(last == len(trace)))
            chunk += 1
        elif status == records.S_LOG_FULL:
            keep()
        elif status != records.S_BUDGET:
            simulator.finish(machine_state)
            keep()
            return status, np.concatenate(operations), np.concatenate(events)
        if observe is not None:
            observe(machine_state)
