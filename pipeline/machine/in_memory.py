"""A run from columns of rows in memory, on a machine with given costs: no files, the same engine.

`pipeline.runs.execute` does the same from a trace to a run directory. This module is for comparisons in which
the rows and the costs are chosen so that the result is known from another source.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.allocators.api.allocator import Allocator
from pipeline.allocators.api.contract import parse_options
from pipeline.jit.tables import Tables
from pipeline.machine.compose import compose
from pipeline.machine.drive import (
    AREA_COLUMNS,
    COLUMNS,
    Census,
    Simulation,
    build_simulation,
    drive,
    given_areas,
)
from pipeline.machine.engine import records
from pipeline.machine.layout import RunSettings
from pipeline.machine.profile import COST_KINDS, Profile
from pipeline.schema import codes
from pipeline.schema.names import CPU_CATEGORIES

_ONE_SECOND_NS = 1_000_000_000


Rows = np.recarray
"""Trace rows in trace order: an int64 field for each of COLUMNS and AREA_COLUMNS, as in the trace format."""
_ALL_COLUMNS = (*COLUMNS, *AREA_COLUMNS)
_ROW = np.dtype([(name, np.int64) for name in _ALL_COLUMNS])


def rows(count: int, **given: Any) -> Rows:
    """Build `count` rows; a missing column is 0, and a column given as a number is constant.

    `kind` holds codes of pipeline.schema.names.KINDS. Raises TypeError for a column that a trace does not
    have.
    """
    if unknown := sorted(set(given) - set(_ALL_COLUMNS)):
        raise TypeError(f"rows have no column {', '.join(unknown)}; there are {', '.join(_ALL_COLUMNS)}")
    table = np.zeros(count, _ROW).view(np.recarray)
    for name, values in given.items():
        table[name] = values
    return table


def free_machine(cpus: int, *, nodes: int = 1, arbitration: str = "fifo", **prices: int) -> Profile:
    """Build a machine with all costs 0 except `prices`; time slices last one second.

    Raises TypeError for an unknown cost.
    """
    if unknown := sorted(set(prices) - set(COST_KINDS)):
        raise TypeError(f"machines have no cost {', '.join(unknown)}; there are {', '.join(COST_KINDS)}")
    properties = {"timeslice_ns": _ONE_SECOND_NS, "switch_empties_tlb": 1}
    costs = dict.fromkeys(COST_KINDS, 0) | properties | prices
    return Profile.model_validate(
        {
            "name": "free",
            "summary": "all costs are 0 except those given",
            "cpus": cpus,
            "nodes": nodes,
            "arbitration": arbitration,
            "arbitration_source": "given",
            "costs": {name: {"value": value, "source": "given"} for name, value in costs.items()},
        }
    )


@dataclass(frozen=True)
class Outcome:
    """Results of a run."""

    status: int
    totals: dict[str, int]
    operations: np.ndarray
    """the operation log, in order of trace rows"""
    events: np.ndarray
    spent: np.ndarray
    """int64 [cpus, categories]: CPU time of each CPU by category, in ns"""
    sites: np.ndarray
    locks: np.ndarray
    """the spinlocks at the end of the run"""
    problems: list[str]
    """findings of the allocator's own `check` at the end"""
    lost_wakeups: list[str]
    """tasks that sleep at the end although they could have a slot, from the allocator's `lost_wakeups`"""

    @property
    def wall_ns(self) -> int:
        """Time of the last event, in ns."""
        return self.totals["now_ns"]

    @property
    def fingerprint(self) -> tuple[int, ...]:
        """Hash of the whole log."""
        return tuple(self.totals[f"hash{k}"] for k in range(4))

    @property
    def unbooked_ns(self) -> np.ndarray:
        """int64 [cpus]: wall-clock time in no category, in ns; 0 if the accounts are correct."""
        return self.wall_ns - self.spent.sum(axis=1)

    def of_kind(self, event: int) -> np.ndarray:
        """Events of one kind."""
        return self.events[self.events["event"] == event]

    def time_in(self, category: str) -> int:
        """CPU time of one category, over all CPUs, in ns."""
        return int(self.spent[:, list(CPU_CATEGORIES).index(category)].sum())


@dataclass(frozen=True)
class Settings:
    """Settings for the simulation of rows in memory.

    `process_of` gives each task's process (default: a process per task). `observe` is called with the machine
    after each call of the engine; with `budget_events=1` that is after every event.
    """

    options: dict[str, str] | None = None
    seed: int = 0
    jitter_percent: float = 0.0
    loop: int = records.CLOSED
    compiled: bool = False
    chunk_rows: int = 1 << 14
    log_rows: int = 1 << 16
    levels: int | None = None
    process_of: Sequence[int] | None = None
    budget_events: int | None = None
    observe: Callable[[Tables], None] = lambda _: None


def simulate(allocator: Allocator, profile: Profile, trace: Rows, **settings: Any) -> Outcome:
    """Replay `trace` to its end or to a deadlock; the settings are those of `Settings`.

    Raises the errors of `drive`.
    """
    given = Settings(**settings)
    tasks = int(trace.task.max()) + 1
    census = Census(
        rows=np.bincount(trace.task, minlength=tasks),
        process=np.arange(tasks) if given.process_of is None else np.array(given.process_of),
        pages=int(trace.page.max()) + 1,
        levels=int(trace.depth.max()) + 1 if given.levels is None else given.levels,
        longest_think_ns=int(trace.think_ns.max()),
        longest_wait_ns=int(trace.wait_ns.max()),
    )
    chunks = -(-len(trace) // given.chunk_rows)
    run_settings = RunSettings(
        given.seed, given.loop, True, given.chunk_rows, chunks, census.levels,
        log_operations=given.log_rows, log_events=given.log_rows,
    )  # fmt: skip
    options = parse_options(allocator.options, given.options or {}, allocator.name, profile.architecture)
    simulator = compose(allocator, given.compiled)
    simulation = build_simulation(simulator, allocator, options, profile, census, run_settings)
    machine_state, log = simulation.machine_state, _MemoryLog(simulation.machine_state)
    status, _ = drive(
        simulation,
        _MemoryFeed(simulation, trace, census, given.chunk_rows, given.jitter_percent / 100),
        log,
        budget_events=given.budget_events,
        observe=lambda _: given.observe(machine_state),
    )
    operations, events = (np.concatenate(kept) for kept in log.kept.values())
    machine = machine_state.machine[0]
    return Outcome(
        status,
        {name: int(machine[name]) for name in machine.dtype.names},
        operations[np.argsort(operations["op"])],
        events,
        np.array(machine_state.spent).reshape(-1, codes.CATEGORIES),
        np.array(machine_state.sites),
        np.array(machine_state.locks),
        simulation.ask_allocator("check"),
        simulation.ask_allocator("lost_wakeups"),
    )


class _MemoryFeed:
    """Rows in memory, one chunk at a time."""

    def __init__(
        self, simulation: Simulation, trace: Rows, census: Census, chunk_rows: int, jitter: float
    ) -> None:
        self._simulation = simulation
        self._trace = trace
        self._census = census
        self._chunk_rows = chunk_rows
        self._jitter = jitter
        self._chunk = 0

    def admit_next(self) -> None:
        simulator, machine_state = self._simulation.simulator, self._simulation.machine_state
        chunk, first = self._chunk, self._chunk * self._chunk_rows
        part = self._trace[first : first + self._chunk_rows]
        columns = [np.ascontiguousarray(part[name]) for name in _ALL_COLUMNS]
        wrong = simulator.arrange(machine_state, chunk, len(part), first, *columns, given_areas(columns))
        if wrong != -1:
            raise ValueError(f"row {first + wrong}: there is no task {part['task'][wrong]}")
        if self._jitter > 0:
            simulator.scale_times(machine_state, chunk, len(part), self._jitter)
        complete = int(first + len(part) == len(self._trace))
        horizon_ns = int(part["time_ns"][-1]) - self._census.lead_ns(self._jitter)
        simulator.admit(machine_state, chunk, len(part), horizon_ns, complete)
        self._chunk += 1

    def relieve(self, operations: int) -> None:
        """Do nothing: there is no memory to release."""


class _MemoryLog:
    """Copies of the engine's log."""

    def __init__(self, machine_state: Tables) -> None:
        self._machine = machine_state.machine[0]
        # Slicing a recarray creates a new type each time, which takes longer than a small simulation.
        self._buffers = {
            name: getattr(machine_state, name).view(np.ndarray) for name in ("operations", "events")
        }
        self.kept: dict[str, list[np.ndarray]] = {name: [] for name in self._buffers}

    def exchange(self) -> None:
        for name, buffer in self._buffers.items():
            self.kept[name].append(buffer[: self._machine[f"{name}_logged"]].copy())
            self._machine[f"{name}_logged"] = 0

    close = exchange
