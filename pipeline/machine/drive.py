"""The loop between the engine, its source of rows and its log; and the parts of a simulation.

Runs from files (`pipeline.runs.execute`) and runs in memory (`pipeline.machine.in_memory`) differ only in
their row feed and their log.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from pipeline.allocators.api.allocator import Allocator
from pipeline.allocators.api.composite import parts_of
from pipeline.allocators.api.contract import Shape, Value
from pipeline.errors import InputError
from pipeline.jit.tables import Tables
from pipeline.machine.compose import Simulator
from pipeline.machine.engine import records
from pipeline.machine.layout import RunSettings
from pipeline.machine.machine_state import RowStorage, build_allocator, build_machine_state, grow, look
from pipeline.machine.profile import Profile
from pipeline.machine.room import check_room
from pipeline.schema import codes

# Events simulated between two checks for Ctrl-C and updates of the progress bar: some tens of milliseconds.
_BUDGET_COMPILED = 200_000
_BUDGET_PLAIN = 2_000
# After this many budgets of events caused by the allocator without a completed operation, about ten seconds,
# the allocator is assumed never to complete one.
STUCK_BUDGETS = 200
# Limit from the number of bits of an epoch in `TLB_ENTRY`.
_MOST_FLUSHES = 1 << (63 - records.PAGE_BITS)


# Columns of a trace in the order in which the engine's `arrange` takes them, and those that are times.
TIMES = ("time_ns", "think_ns", "wait_ns", "hold_ns", "block_ns")
COLUMNS = ("task", *TIMES, "page", "kind", "depth")
# Columns that follow these; each is empty if the trace lacks it.
AREA_COLUMNS: dict[str, np.dtype] = {
    "part": np.dtype(np.int8),
    "pages": np.dtype(np.int32),
    "mapping": np.dtype(np.int64),
}


def given_areas(columns: Sequence[np.ndarray]) -> int:
    """Which of the last columns, those of AREA_COLUMNS, are given: a bit each, as `arrange` takes it."""
    return sum(1 << k for k, column in enumerate(columns[-len(AREA_COLUMNS) :]) if len(column))


@dataclass(frozen=True)
class Census:
    """What a replay requires of a trace in advance; `rows` and `process` have one element per task."""

    rows: np.ndarray
    process: np.ndarray
    pages: int
    levels: int
    longest_think_ns: int
    longest_wait_ns: int

    @property
    def tasks(self) -> int:
        """Number of tasks, 1 + the largest task number."""
        return len(self.rows)

    @property
    def processes(self) -> int:
        """Number of processes, 1 + the largest process number."""
        return int(self.process.max(initial=-1)) + 1

    def lead_ns(self, jitter: float) -> int:
        """Return how long before its recorded time a row can make a task act, in a timed loop.

        With `jitter`, a fraction of 1, the wait of the row may end earlier by this fraction.
        """
        return self.longest_think_ns + math.ceil(jitter * self.longest_wait_ns)

    def shape(self, cpus: int) -> Shape:
        """The sizes from which an allocator's state is sized."""
        return Shape(cpus, self.tasks, self.processes, self.pages)


class RowFeed(Protocol):
    """Supplies rows to the engine."""

    def admit_next(self) -> None:
        """Give the engine its next chunk of rows."""

    def relieve(self, operations: int) -> None:
        """Release memory after the first `operations` operations are done."""


class Log(Protocol):
    """Receives the engine's log."""

    def exchange(self) -> None:
        """Empty the full buffers of the engine."""

    def close(self) -> None:
        """Take the remaining rows."""


@dataclass(frozen=True)
class Simulation:
    """A composed simulator with the state of its machine and its allocator."""

    allocator: Allocator
    shape: Shape
    simulator: Simulator
    machine_state: Tables
    allocator_state: Tables

    def ask_allocator(self, name: str) -> list[str]:
        """Call the allocator's own `check` or `lost_wakeups`; no sentences if it does not define it."""
        function = getattr(self.allocator.module, name, None)
        if function is None:
            return []
        return list(function(self.allocator_state, look(self.machine_state, self.shape)))


def build_simulation(
    simulator: Simulator,
    allocator: Allocator,
    options: dict[str, Value],
    profile: Profile,
    census: Census,
    settings: RunSettings,
    storage: RowStorage | None = None,
) -> Simulation:
    """Allocate the states of the machine and the allocator; `storage` is as in `build_machine_state`.

    Raises the errors of `check_room`.
    """
    shape = census.shape(profile.cpus)
    check_room(allocator, options, shape, settings)
    allocator_state = build_allocator(allocator, options, shape)
    machine_state = build_machine_state(
        profile, allocator, options, shape, settings, allocator_state, storage
    )
    tasks, machine = machine_state.tasks[: shape.tasks], machine_state.machine[0]
    tasks.rows_left = census.rows
    tasks.process = census.process
    tasks.state[census.rows == 0] = records.T_ENDED
    machine.live = machine.unstarted = int((census.rows > 0).sum())
    return Simulation(allocator, shape, simulator, machine_state, allocator_state)


def drive(
    simulation: Simulation,
    feed: RowFeed,
    log: Log | None,
    *,
    budget_events: int | None = None,
    observe: Callable[[int], None] = lambda _: None,
) -> tuple[int, float]:
    """Simulate to the end; return why it ended (S_FINISHED ...) and the seconds spent in the engine.

    `observe` is called after each call of the engine, with the number of operations that it completed. Each
    call simulates at most `budget_events` events. Raises InputError for an allocator under which operations
    stop completing, and for a run with more flushes than epochs can number.
    """
    simulator, machine = simulation.simulator, simulation.machine_state.machine[0]
    usual = _BUDGET_COMPILED if simulator.compiled else _BUDGET_PLAIN
    budget = budget_events or usual
    done = idle_events = forced_events = 0
    engine_s = 0.0
    # The fingerprint's products are meant to wrap around; NumPy would warn about each in plain Python.
    with np.errstate(over="ignore"):
        while True:
            before_s = time.perf_counter()
            status = int(simulator.run(simulation.machine_state, simulation.allocator_state, budget))
            engine_s += time.perf_counter() - before_s
            completed = int(machine.operations) - done
            done += completed
            feed.relieve(done)
            if status == records.S_NEED_ROWS:
                feed.admit_next()
            elif status == records.S_LOG_FULL and log is not None:
                log.exchange()
            elif status == records.S_TABLE_FULL:
                grow(simulation.machine_state)
            elif status != records.S_BUDGET:
                while simulator.finish(simulation.machine_state) == records.S_LOG_FULL and log is not None:
                    log.exchange()
                if log is not None:
                    log.close()
                return status, engine_s
            observe(completed)
            events = budget - int(machine.unspent)
            machine.unspent = 0
            forced_before, forced_events = forced_events, _count_forced_events(simulation.machine_state)
            idle = max(events - (forced_events - forced_before), 0)
            idle_events = 0 if completed or status == records.S_NEED_ROWS else idle_events + idle
            _check_flushes(machine)
            if idle_events >= STUCK_BUDGETS * usual:
                raise InputError(
                    f"{allocator_files(simulation.allocator)}: no operation was completed in the last "
                    f"{idle_events:,} events; does a path through its map_step or unmap_step never return "
                    "DONE, or return no known action?"
                )


def _count_forced_events(machine_state: Tables) -> int:
    """Upper bound of the events caused by time only: ends of time slices, switches, interrupts."""
    spent = np.asarray(machine_state.spent).reshape(-1, codes.CATEGORIES)
    computed_ns = int(spent[:, [codes.C_COMPUTE, codes.C_IN_USE]].sum())
    slices = computed_ns // int(machine_state.costs[0].timeslice_ns)
    return 2 * slices + int(machine_state.cpus.devices.sum())


def _check_flushes(machine: Any) -> None:
    """Refuse a run whose TLB epochs could wrap around. Raises InputError."""
    flushes = int(machine.flushes) + int(machine.full_local_flushes) + int(machine.space_switches)
    if flushes >= _MOST_FLUSHES:
        raise InputError(
            f"the run has reached {flushes:,} TLB flushes, and its limit is {_MOST_FLUSHES:,}; use a "
            "shorter trace"
        )


def allocator_files(allocator: Allocator) -> str:
    """The files that can contain an allocator's mistake."""
    return " or ".join(str(part.path) for part in parts_of(allocator))
