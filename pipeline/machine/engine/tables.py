"""The tables of a simulated machine, `w` in every function of the engine."""

from __future__ import annotations

from typing import Protocol

from pipeline.allocators.api.protocols import State, Table


class MachineState(Protocol):
    """Tables of the records of `records`, or of integers."""

    machine: Table
    """MACHINE[1]"""
    costs: Table
    """COSTS[1]"""
    keys: Table
    """int64[2 * key_leaves]: tree of (time << CPU_BITS) | cpu of each CPU's next event; NEVER: none"""
    cpus: Table
    """CPU[cpus]"""
    interrupts: Table
    """INTERRUPT[cpus * INTERRUPTS]: a ring for each CPU"""
    spent: Table
    """int64[cpus * CATEGORIES]: CPU time of each CPU by category, in ns"""
    tasks: Table
    """TASK[tasks + workers]: the tasks of the trace, then the workers of the allocator"""
    timers: Table
    """int64[2 * timer_leaves]: tree of (time << TASK_BITS) | task; NO_TIMER: none"""
    requests: Table
    """REQUEST[(tasks + workers) * levels]"""
    mappings: Table
    """MAPPING[mapping_slots]: hash of the mappings that remain, see `remaining`; one record without AREAS"""
    remaining: Table
    """REQUEST[mapping_slots]: the request that made each of them"""
    rows: Table
    """ROW[chunk slots * chunk_rows]"""
    runs: Table
    """RUN[chunk slots * chunk_rows]: description of a run, at its first row"""
    chunk_left: Table
    """int64[chunk slots]: rows not yet taken"""
    places: Table
    """int64[tasks]: positions of the tasks' rows while a chunk is arranged; 0 at all other times"""
    locks: Table
    """LOCK_RECORD[locks]"""
    queues: Table
    """QUEUE[wait queues]"""
    spaces: Table
    """SPACE[cpus]"""
    processes: Table
    """PROCESS[processes]"""
    sites: Table
    """SITE[3]"""
    findings: Table
    """NOTE[kinds of findings]"""
    step_cost: Table
    """STEP_COST[1]"""
    operations: Table
    """OPERATION_RECORD[log_operations + margin]: the log being filled"""
    events: Table
    """EVENT_RECORD[log_events + margin]"""
    stretches: Table
    """STRETCH_RECORD[log_stretches + margin], if they are logged"""


class CompositeState(State, Protocol):
    """The joined state of several allocators; each uses its own tables of it by the names of `State`."""

    serving: Table
    """int64[kinds]: which allocator serves a kind"""
    firsts: Table
    """FIRST[allocators]: numbers of each allocator's first slot, queue, lock and record in `within`"""
    within: Table
    """int64[allocators * tasks]: bit n is set if the task's map of depth n is the allocator's"""
