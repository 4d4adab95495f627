"""Building the arrays of one simulated machine, as `engine.records` lays them out."""

from __future__ import annotations

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
from pipeline.machine.profile import Profile
from pipeline.schema import codes
from pipeline.schema.run import EVENT_RECORD, FINDINGS, OPERATION_RECORD, STRETCH_RECORD

# Rows that one event can add to the logs beyond the point where the buffer counts as full: an operation for
# each level, and for each stretch that is passed at once some events.
_EVENTS_A_STRETCH = 8
_NO_FIELDS = [("none", "i4")]


@dataclass(frozen=True)
class RunSettings:
    """How a run is to be simulated, besides the allocator, the machine and the trace."""

    seed: int
    loop: int
    log: bool
    chunk_rows: int
    chunk_slots: int
    levels: int
    log_operations: int = 1 << 15
    log_events: int = 1 << 15
    stretches: bool = False
    """Whether to log what each CPU does when, too."""
    log_stretches: int = 1 << 13
    lowmem_kinds: int = 0
    """Bit k: pages of kind k lie in low memory and need no mapping."""


@dataclass(frozen=True)
class RowStorage:
    """The two tables that a trace is read to: ROW and RUN records, as many of each."""

    rows: np.ndarray
    runs: np.ndarray

    @classmethod
    def allocate(cls, count: int) -> RowStorage:
        """In memory."""
        return cls(_records(count, records.ROW), _records(count, records.RUN))


def _records(count: int, dtype: np.dtype | list[Any]) -> Any:
    return records_of(count, np.dtype(dtype, align=True))


def build_allocator(allocator: Allocator, options: dict[str, Value], shape: Shape) -> Tables:
    """Allocate the allocator's state and let it give its first values."""
    coded = allocator.encode(options)
    if isinstance(allocator, Composite):
        own = [allocator.options_of(k, options) for k in range(len(allocator.allocators))]
        parts = [build_allocator(part, own[k], shape) for k, part in enumerate(allocator.allocators)]
        return join(allocator, parts, coded, shape)

    def at_least_one(name: str) -> int:
        return max(allocator.size(name, coded, shape), 1)

    slots = at_least_one("slots")
    queues = _records(at_least_one("queues"), records.QUEUE)
    queues.head = queues.tail = -1
    values = _records(1, [(name, "i8") for name in coded] or _NO_FIELDS)
    for name, code in coded.items():
        values[0][name] = code
    page_fields = allocator.fields("PAGE")
    spaces = _records(shape.cpus, records.SPACE)
    spaces.process = -1
    state = Tables(
        checked=True,
        options=values,
        pool=_records(at_least_one("pools"), allocator.fields("POOL") or _NO_FIELDS),
        slots=_records(slots, allocator.fields("SLOT") or _NO_FIELDS),
        pages=_records(shape.pages if page_fields else 1, page_fields or _NO_FIELDS),
        percpu=_records(shape.cpus, allocator.fields("PERCPU") or _NO_FIELDS),
        queues=queues,
        spaces=spaces,
        processes=_records(shape.processes, records.PROCESS),
        lines=_records(at_least_one("lines"), records.LINE),
        tlb=_records(slots * shape.cpus, records.TLB_ENTRY),
        evicted=_records(slots, records.EVICTED),
        invalidated=_records(slots, records.INVALIDATED),
    )
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

    `storage` is where the trace is read to, chunk_slots * chunk_rows records each; allocated if left out.
    """
    locks = allocator.size("locks", allocator.encode(options), shape)
    tasks = shape.tasks
    key_leaves, timer_leaves = (1 << (count - 1).bit_length() for count in (shape.cpus, tasks))
    margin = shape.cpus * 2 + tasks + 64 + records.MOST_AHEAD * _EVENTS_A_STRETCH
    # An event ends stretches of its own CPU, and one of each idle CPU; the end of the run, one of each.
    stretch_margin = (records.MOST_AHEAD + 1 + 2 * shape.cpus) * records.STRETCH_PARTS
    storage = storage or RowStorage.allocate(setting.chunk_slots * setting.chunk_rows)
    machine_state = Tables(
        checked=False,
        machine=_records(1, records.MACHINE),
        costs=profile.record().view(np.recarray),
        keys=np.full(2 * key_leaves, records.NEVER, np.int64),
        cpus=_records(shape.cpus, records.CPU),
        interrupts=_records(shape.cpus * records.INTERRUPTS, records.INTERRUPT),
        spent=np.zeros(shape.cpus * codes.CATEGORIES, np.int64),
        tasks=_records(tasks, records.TASK),
        timers=np.full(2 * timer_leaves, records.NO_TIMER, np.int64),
        requests=_records(tasks * setting.levels, records.REQUEST),
        rows=storage.rows,
        runs=storage.runs,
        chunk_left=np.zeros(setting.chunk_slots, np.int64),
        places=np.zeros(tasks, np.int64),
        locks=_records(locks, records.LOCK_RECORD),
        queues=state.queues,
        spaces=state.spaces,
        processes=state.processes,
        sites=_records(2, records.SITE),
        findings=_records(len(FINDINGS), records.NOTE),
        step_cost=_records(1, records.STEP_COST),
        operations=_records(
            setting.log_operations + setting.levels + 1 if setting.log else 1, OPERATION_RECORD
        ),
        events=_records(setting.log_events + margin if setting.log else 1, EVENT_RECORD),
        stretches=_records(
            setting.log_stretches + stretch_margin if setting.stretches else 1, STRETCH_RECORD
        ),
    )
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
    machine.key_leaves, machine.timer_leaves = key_leaves, timer_leaves
    machine.tasks = tasks
    machine.cpus = machine.idle = shape.cpus
    machine.ready_head = machine.ready_tail = -1
    cpus = machine_state.cpus
    for name in ("task", "pin_head", "pin_tail", "spin_lock", "held_lock", "flushed_op"):
        cpus[name] = -1
    cpus.epoch = cpus.global_epoch = 1
    gap_ns = int(profile.costs["interrupt_gap_ns"].value)
    # The CPUs' timers are staggered.
    cpus.device_at_ns = [
        gap_ns * (c + 1) // shape.cpus if gap_ns else records.NEVER for c in range(shape.cpus)
    ]
    cpus.irq_at_ns = cpus.device_at_ns
    cpus.node = [profile.node_of(c) for c in range(shape.cpus)]
    machine_state.locks.holder = machine_state.locks.heir = -1
    step = machine_state.step_cost
    step.cpus = shape.cpus
    step.finding = StepSpecials.finding
    for name in ("atomic_ns", "line_transfer_ns", *PRICES_OF_STEPS):
        step[name] = machine_state.costs[name]
    for name in ("depth", "queue", "next_run", "free_ns"):
        machine_state.tasks[name] = -1
    machine_state.tasks.last_cpu = np.arange(tasks) % shape.cpus
    return machine_state


def look(machine_state: Any, shape: Shape) -> Check:
    """Count mappings in force per slot and sleepers per queue, for an allocator's check.

    Exact whenever no task is within a map or unmap, as at the end of a run, finished or deadlocked.
    """
    levels = int(machine_state.machine[0].levels)
    users: dict[int, int] = {}
    for task in range(shape.tasks):
        for level in range(int(machine_state.tasks[task].depth) + 1):
            request = machine_state.requests[task * levels + level]
            if request.slot >= 0 and request.unmapping == codes.MAP:
                users[int(request.slot)] = users.get(int(request.slot), 0) + 1
    return Check(shape, users, [int(queue.sleepers) for queue in machine_state.queues])
