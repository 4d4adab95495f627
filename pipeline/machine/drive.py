"""The loop between the engine, what feeds it rows and what takes its log; and what a simulation is built of.

Runs from files (`pipeline.runs.execute`) and runs in memory (`pipeline.machine.in_memory`) differ only in
their feed and their log.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
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
from pipeline.machine.machine_state import RowStorage, build_allocator, build_machine_state, look
from pipeline.machine.profile import Profile
from pipeline.machine.room import check_room
from pipeline.schema import codes

# Events simulated between two looks at the keyboard and the progress bar: some tens of milliseconds.
_BUDGET_COMPILED = 200_000
_BUDGET_PLAIN = 2_000
# So many budgets of events that the allocator makes and that complete no operation, some ten seconds, are
# taken for an allocator that never ends one.
STUCK_BUDGETS = 200
# In `TLB_ENTRY` an epoch has so many bits.
_MOST_FLUSHES = 1 << (63 - records.PAGE_BITS)


# Columns of a trace in the order in which the engine's `arrange` takes them, and which of them are times.
TIMES = ("time_ns", "think_ns", "wait_ns", "hold_ns", "block_ns")
COLUMNS = ("task", *TIMES, "page", "kind", "depth")


@dataclass(frozen=True)
class Census:
    """What must be known of a trace before it can be replayed: `rows` and `process` are per task."""

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
        """Return how long before its recorded time a row can make a task do something, in a timed loop.

        With `jitter`, a share of 1, its wait may end that much earlier.
        """
        return self.longest_think_ns + math.ceil(jitter * self.longest_wait_ns)

    def shape(self, cpus: int) -> Shape:
        """What an allocator's state is sized by."""
        return Shape(cpus, self.tasks, self.processes, self.pages)


class RowFeed(Protocol):
    """Brings rows to the engine."""

    def admit_next(self) -> None:
        """Give the engine its next chunk of rows."""

    def relieve(self, operations: int) -> None:
        """Give memory back, `operations` being done."""


class Log(Protocol):
    """Takes the engine's log."""

    def exchange(self) -> None:
        """Empty the engine's buffers that are full."""

    def close(self) -> None:
        """Take what is left."""


@dataclass(frozen=True)
class Simulation:
    """A composed simulator with the state of its machine and its allocator."""

    allocator: Allocator
    shape: Shape
    simulator: Simulator
    machine_state: Tables
    allocator_state: Tables

    def ask_allocator(self, name: str) -> list[str]:
        """Call the allocator's own `check` or `lost_wakeups`; sentences, none if it does not define it."""
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
    """Allocate both states at the start of a trace; `storage` is as in `build_machine_state`.

    Raises what `check_room` does.
    """
    shape = census.shape(profile.cpus)
    check_room(allocator, options, shape, settings)
    allocator_state = build_allocator(allocator, options, shape)
    machine_state = build_machine_state(
        profile, allocator, options, shape, settings, allocator_state, storage
    )
    tasks, machine = machine_state.tasks, machine_state.machine[0]
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

    `observe` is called after each call of the engine, which simulates `budget_events` at most, with the
    number of operations that it completed. Raises InputError for an allocator under which no operation ends
    any more, and for a run with more flushes than can be told apart.
    """
    simulator, machine = simulation.simulator, simulation.machine_state.machine[0]
    usual = _BUDGET_COMPILED if simulator.compiled else _BUDGET_PLAIN
    budget = budget_events or usual
    done = idle_events = forced_events = 0
    engine_s = 0.0
    # The fingerprint's products are meant to wrap around; plain Python would warn of each.
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
            elif status != records.S_BUDGET:
                simulator.finish(simulation.machine_state)
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
    """How many events, at most, were due to time alone so far: ends of time slices, switches, interrupts."""
    spent = np.asarray(machine_state.spent).reshape(-1, codes.CATEGORIES)
    computed_ns = int(spent[:, [codes.C_COMPUTE, codes.C_IN_USE]].sum())
    slices = computed_ns // int(machine_state.costs[0].timeslice_ns)
    return 2 * slices + int(machine_state.cpus.devices.sum())


def _check_flushes(machine: Any) -> None:
    """Refuse a run whose epochs of a CPU's TLB could wrap around. Raises InputError."""
    flushes = int(machine.flushes) + int(machine.full_local_flushes) + int(machine.space_switches)
    if flushes >= _MOST_FLUSHES:
        raise InputError(
            f"the run has reached {flushes:,} flushes of TLBs, and its limit is {_MOST_FLUSHES:,}; use a "
            "shorter trace"
        )


def allocator_files(allocator: Allocator) -> str:
    """The files in one of which an allocator's mistake is."""
    return " or ".join(str(part.path) for part in parts_of(allocator))
