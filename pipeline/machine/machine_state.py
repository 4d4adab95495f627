"""Building the arrays of one simulated machine, with the layouts of `engine.records`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.allocators.api.allocator import Allocator
from pipeline.allocators.api.composite import Composite
from pipeline.allocators.api.contract import Check, Shape, Value
from pipeline.allocators.api.protocols import StepSpecials
from pipeline.jit.tables import Tables
from pipeline.jit.tables import records as records_of
from pipeline.machine.composite.state import join
from pipeline.machine.costs import PRICES_OF_STEPS
from pipeline.machine.engine import records
from pipeline.machine.engine.tables import MachineState
from pipeline.machine.layout import RunSettings, lay_out_allocator, lay_out_machine, leaves
from pipeline.machine.profile import Profile
from pipeline.schema import codes

# In the order of their definition, on which compiled code relies.
_MACHINE_TABLES = tuple(MachineState.__annotations__)


@dataclass(frozen=True)
class RowStorage:
    """The two tables into which a trace is read: ROW and RUN records, the same number of each."""

    rows: np.ndarray
    runs: np.ndarray

    @classmethod
    def allocate(cls, count: int) -> RowStorage:
        """Allocate both tables in memory."""
        return cls(records_of(count, records.ROW), records_of(count, records.RUN))


def _table(count: int, dtype: np.dtype) -> Any:
    made = records_of(count, dtype)
    return made if dtype.names else made.view(np.ndarray)


def build_allocator(allocator: Allocator, options: dict[str, Value], shape: Shape) -> Tables:
    """Allocate the allocator's state and let the allocator initialise it."""
    coded = allocator.encode(options)
    if isinstance(allocator, Composite):
        own = [allocator.options_of(k, options) for k in range(len(allocator.allocators))]
        parts = [build_allocator(part, own[k], shape) for k, part in enumerate(allocator.allocators)]
        return join(allocator, parts, coded, shape)

    tables = {name: _table(*table) for name, table in lay_out_allocator(allocator, coded, shape).items()}
    tables["queues"].head = tables["queues"].tail = -1
    tables["spaces"].process = -1
    for name, code in coded.items():
        tables["options"][0][name] = code
    state = Tables(checked=True, **tables)
    if hasattr(allocator.module, "prepare"):
        allocator.module.prepare(state, shape)
    return state


def build_machine_state(
    profile: Profile,
    allocator: Allocator,
    options: dict[str, Value],
    shape: Shape,
    setting: RunSettings,
    state: Tables,
    storage: RowStorage | None = None,
) -> Tables:
    """Allocate the machine with every CPU idle and every task dormant.

    `storage` receives the trace, chunk_slots * chunk_rows records of each table (default: allocated here).
    """
    coded = allocator.encode(options)
    workers = allocator.size("workers", coded, shape)
    layout = lay_out_machine(allocator, coded, shape, setting)
    storage = storage or RowStorage.allocate(setting.chunk_slots * setting.chunk_rows)
    given = {
        "costs": profile.record().view(np.recarray),
        "rows": storage.rows,
        "runs": storage.runs,
        "queues": state.queues,
        "spaces": state.spaces,
        "processes": state.processes,
    }
    machine_state = Tables(
        checked=False,
        **{name: given[name] if name in given else _table(*layout[name]) for name in _MACHINE_TABLES},
    )
    machine_state.keys[:] = records.NEVER
    machine_state.timers[:] = records.NO_TIMER
    machine = machine_state.machine[0]
    for name in (
        "levels",
        "loop",
        "seed",
        "lowmem_kinds",
        "chunk_rows",
        "log_operations",
        "log_events",
        "log_stretches",
    ):
        machine[name] = getattr(setting, name)
    machine.events = int(setting.log)
    machine.stretches = int(setting.stretches)
    machine.key_leaves, machine.timer_leaves = leaves(shape.cpus), leaves(shape.tasks + workers)
    machine.tasks = shape.tasks
    machine.mapping_slots = len(machine_state.mappings)
    machine.cpus = machine.idle = shape.cpus
    machine.ready_head = machine.ready_tail = -1
    cpus = machine_state.cpus
    for name in ("task", "pin_head", "pin_tail", "spin_lock", "held_lock", "flushed_op"):
        cpus[name] = -1
    cpus.epoch = cpus.global_epoch = 1
    gap_ns = int(profile.costs["interrupt_gap_ns"].value)
    # The timers of the CPUs are staggered.
    cpus.device_at_ns = [
        gap_ns * (c + 1) // shape.cpus if gap_ns else records.NEVER for c in range(shape.cpus)
    ]
    cpus.irq_at_ns = cpus.device_at_ns
    machine.catch_up_ns = gap_ns << records.CATCH_UP_BITS if gap_ns else records.NEVER
    cpus.node = [profile.node_of(c) for c in range(shape.cpus)]
    machine_state.locks.holder = machine_state.locks.heir = -1
    step = machine_state.step_cost
    step.cpus = shape.cpus
    step.finding = StepSpecials.finding
    for name in ("atomic_ns", "line_transfer_ns", *PRICES_OF_STEPS):
        step[name] = machine_state.costs[name]
    for name in ("depth", "queue", "next_run", "free_ns"):
        machine_state.tasks[name] = -1
    machine_state.tasks.last_cpu = np.arange(shape.tasks + workers) % shape.cpus
    _prepare_workers(machine_state, shape, workers, setting.levels)
    return machine_state


def _prepare_workers(machine_state: Tables, shape: Shape, workers: int, levels: int) -> None:
    """Give each worker a request of its own, in which it works; its number is in the field `page`."""
    tasks, requests = (
        machine_state.tasks[shape.tasks :],
        machine_state.requests[shape.tasks * levels :: levels],
    )
    tasks.depth = 0
    tasks.process = -1
    tasks.state = records.T_DORMANT
    requests.page = np.arange(workers)
    requests.task = shape.tasks + requests.page
    for name in ("op", "process", "slot", "holder", "flush_op", "mapped_ns"):
        requests[name] = -1
    requests.unmapping = codes.WORK
    # All acquisitions of its locks are logged as events: it has no row in the table of operations.
    requests.locked_once = 1


def look(machine_state: Any, shape: Shape) -> Check:
    """Count current mappings per slot and sleepers per queue, for an allocator's check.

    The counts are exact while no task is within a map or unmap, as at the end or deadlock of a run.
    """
    levels = int(machine_state.machine[0].levels)
    slot, unmapping = (machine_state.requests[name].reshape(-1, levels) for name in ("slot", "unmapping"))
    begun = np.arange(levels) <= machine_state.tasks.depth[:, None]
    users = Counter(slot[begun & (slot >= 0) & (unmapping == codes.MAP)].tolist())
    users.update(machine_state.remaining.slot[_made(machine_state)].tolist())
    return Check(shape, users, machine_state.queues.sleepers.tolist())


def _made(machine_state: Any) -> np.ndarray:
    """Entries of the hash that are mappings, and not tasks that wait for one; a bool each."""
    entries = machine_state.mappings
    return np.asarray((entries.key > 0) & (entries.waiter <= 0))


def grow(machine_state: Tables) -> None:
    """Double the hash of remaining mappings, between two calls of the engine."""
    mappings, remaining = machine_state.mappings, machine_state.remaining
    size = 2 * len(mappings)
    larger, requests = records_of(size, records.MAPPING), records_of(size, records.REQUEST)
    taken = np.zeros(size, np.bool_)
    for old in np.flatnonzero(mappings.key):
        new = int(mappings.key[old] - 1) % size
        while taken[new]:
            new = (new + 1) % size
        taken[new] = True
        larger[new], requests[new] = mappings[old], remaining[old]
    machine_state.rebind("mappings", larger)
    machine_state.rebind("remaining", requests)
    machine_state.machine[0].mapping_slots = size
