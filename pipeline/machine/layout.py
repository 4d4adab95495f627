"""The tables of a run's state, with the number and type of their records, before any is allocated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.allocators.api.allocator import Allocator
from pipeline.allocators.api.composite import Composite
from pipeline.allocators.api.contract import Shape
from pipeline.machine.engine import records
from pipeline.schema import codes
from pipeline.schema.log import EVENT_RECORD, OPERATION_RECORD, STRETCH_RECORD
from pipeline.schema.names import FINDINGS, SITES

Layout = dict[str, tuple[int, np.dtype]]
"""Tables by name: the number and type of their records."""

# Rows that one event can add to the logs after the buffer counts as full: an operation for each level, and
# some events for each stretch that is passed without a new event.
_EVENTS_A_STRETCH = 8
_NO_FIELDS = [("none", "i4")]
_INTEGER = np.dtype(np.int64)


@dataclass(frozen=True)
class RunSettings:
    """Settings of a simulation, in addition to the allocator, the machine and the trace."""

    seed: int
    loop: int
    log: bool
    chunk_rows: int
    chunk_slots: int
    levels: int
    log_operations: int = 1 << 15
    log_events: int = 1 << 15
    stretches: bool = False
    """Whether to log the activity of each CPU as well."""
    log_stretches: int = 1 << 13
    lowmem_kinds: int = 0
    """Bit k: pages of kind k are in low memory and need no mapping."""


def bytes_of(layout: Layout) -> int:
    """Bytes of memory that the tables take after all their records have been used."""
    return sum(count * dtype.itemsize for count, dtype in layout.values())


def lay_out_allocator(allocator: Allocator, coded: dict[str, int], shape: Shape) -> Layout:
    """The state of one design; `coded` are its options as compiled code uses them."""

    def at_least_one(name: str) -> int:
        return max(allocator.size(name, coded, shape), 1)

    def fields(name: str) -> np.dtype:
        return _aligned(allocator.fields(name) or _NO_FIELDS)

    slots = at_least_one("slots")
    return {
        "options": (1, _aligned([(name, "i8") for name in coded] or _NO_FIELDS)),
        "pool": (at_least_one("pools"), fields("POOL")),
        "slots": (slots, fields("SLOT")),
        "pages": (shape.pages if allocator.fields("PAGE") else 1, fields("PAGE")),
        "percpu": (shape.cpus, fields("PERCPU")),
        "queues": (at_least_one("queues"), records.QUEUE),
        "spaces": (shape.cpus, records.SPACE),
        "processes": (shape.processes, records.PROCESS),
        "lines": (at_least_one("lines"), records.LINE),
        "tlb": (slots * shape.cpus, records.TLB_ENTRY),
        "evicted": (slots, records.EVICTED),
        "invalidated": (slots, records.INVALIDATED),
    }


def lay_out_machine(
    allocator: Allocator, coded: dict[str, int], shape: Shape, setting: RunSettings
) -> Layout:
    """The machine for one design, without the tables of the allocator and the trace."""
    workers = allocator.size("workers", coded, shape)
    cpus, tasks = shape.cpus, shape.tasks + workers
    mappings = records.FIRST_MAPPINGS if allocator.maps_areas else 1
    margin = cpus * 2 + tasks + 64 + records.MOST_AHEAD * _EVENTS_A_STRETCH
    # An event ends stretches of its own CPU and one of each idle CPU; the end of the run, one of each CPU.
    stretch_margin = (records.MOST_AHEAD + 1 + 2 * cpus) * records.STRETCH_PARTS
    return {
        "machine": (1, records.MACHINE),
        "keys": (2 * leaves(cpus), _INTEGER),
        "cpus": (cpus, records.CPU),
        "interrupts": (cpus * records.INTERRUPTS, records.INTERRUPT),
        "spent": (cpus * codes.CATEGORIES, _INTEGER),
        "tasks": (tasks, records.TASK),
        "timers": (2 * leaves(tasks), _INTEGER),
        "requests": (tasks * setting.levels, records.REQUEST),
        "chunk_left": (setting.chunk_slots, _INTEGER),
        "places": (tasks, _INTEGER),
        "mappings": (mappings, records.MAPPING),
        "remaining": (mappings, records.REQUEST),
        "locks": (allocator.size("locks", coded, shape), records.LOCK_RECORD),
        "sites": (len(SITES) if workers else len(SITES) - 1, records.SITE),
        "findings": (len(FINDINGS), records.NOTE),
        "step_cost": (1, records.STEP_COST),
        "operations": (setting.log_operations + setting.levels + 1 if setting.log else 1, OPERATION_RECORD),
        "events": (setting.log_events + margin if setting.log else 1, EVENT_RECORD),
        "stretches": (setting.log_stretches + stretch_margin if setting.stretches else 1, STRETCH_RECORD),
    }


def leaves(count: int) -> int:
    """Leaves of a tournament tree with this number of entries."""
    return 1 << (count - 1).bit_length()


def lay_out_run(allocator: Allocator, coded: dict[str, int], shape: Shape, setting: RunSettings) -> Layout:
    """The whole state of a run; with several designs, "slots@1" is the slots table of design 1."""
    layout = lay_out_machine(allocator, coded, shape, setting)
    if not isinstance(allocator, Composite):
        return layout | lay_out_allocator(allocator, coded, shape)
    for k, part in enumerate(allocator.allocators):
        own = lay_out_allocator(part, allocator.options_of(k, coded), shape)
        layout |= {f"{name}@{k}": table for name, table in own.items()}
    return layout


def _aligned(fields: list[Any]) -> np.dtype:
    return np.dtype(fields, align=True)
