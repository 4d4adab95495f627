"""The three objects that an allocator's steps are given: its state `a`, the request `r` and the step `d`.

The simulated machine makes them of arrays of records, compiled or plain; these types are what editors and
mypy know of them. Those of `d`, but for the last, also define the fields of the record behind it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol


class Table(Protocol):
    """Records, or integers, by index. Outside of steps: a NumPy array, a column by each name."""

    def __getitem__(self, index: int) -> Any: ...

    def __setitem__(self, index: int, row: Any) -> None: ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Any]: ...

    def __getattr__(self, field: str) -> Any: ...

    def __setattr__(self, field: str, values: Any) -> None: ...


class State(Protocol):
    """`a`: the allocator's state, and what it may look at; 0 unless `prepare` says otherwise."""

    options: Table
    """one record of the options' values"""
    pool: Table
    """the allocator's own scalars (fields: POOL), in one record unless it asks for more"""
    slots: Table
    """one record per slot (fields: SLOT)"""
    pages: Table
    """one record per page of the trace (fields: PAGE)"""
    percpu: Table
    """one record per CPU (fields: PERCPU)"""
    queues: Table
    """one record per wait queue; `a.queues[q].sleepers` tasks sleep in it"""
    spaces: Table
    """one record per CPU: the `process` whose address space it is in, and when its TLB was last `emptied`, as
    a `d.moment`; for `may_hold_since`"""
    processes: Table
    """one record per process, for `forget_outside`"""
    lines: Table
    """lines of shared memory, for `change_atomically`"""
    tlb: Table
    """what each CPU's TLB holds, for `invalidate`"""
    evicted: Table
    """the pages that this step evicted, for `evict`"""
    invalidated: Table
    """the slots that this step invalidated on every CPU, for `invalidate_everywhere`"""


class Request(Protocol):
    """`r`: one operation under way."""

    op: int
    """its row of the trace"""
    page: int
    task: int
    process: int
    kind: int
    """position in `pipeline.schema.names.KINDS`"""
    depth: int
    """how many mappings of the task lie round it"""
    cpu_map: int
    """the CPU that mapped"""

    step: int
    """where the allocator is in its map or unmap: 0 at first; this and the next two are its own"""
    budget: int
    mark: int

    slot: int
    """what the allocator answers: the slot, -1 for none"""
    served: int
    """how: HIT, MISS, DIRECT or FALLBACK of `pipeline.schema.codes`"""


class StepInputs(Protocol):
    """What a step is told of the machine."""

    cpu: int
    """the CPU that runs the step"""
    cpus: int
    """the machine's CPUs"""
    moment: int
    """switches to other address spaces so far, on all CPUs; for allocators with NON_GLOBAL"""
    now_ns: int
    """this and the next two are for `change_atomically`, with ATOMICS"""
    atomic_ns: int
    line_transfer_ns: int


class StepRecord(StepInputs, Protocol):
    """What a step records besides: 0 before it."""

    lock: int
    """the lock that LOCK takes"""
    queue: int
    """the wait queue of SLEEP, WAKE_ALL and WAKE_ONE"""
    cpu_mask: int
    """the CPUs of FLUSH_MASK and SHOOT_DOWN"""
    probes: int
    """slots looked at"""
    work_ns: int
    """the price of its work so far; in this and the next two ns the simulator adds up what `counts` says"""
    special: int
    """1: something was recorded in the fields of `StepSpecials`"""


class StepSpecials(StepRecord, Protocol):
    """What most steps leave alone: 0, or the value here. Whoever changes it also sets `special`."""

    scan_ns: int
    flush_ns: int
    pin: int
    """by how much the task's count of pins changes"""
    atomic: int
    """by how much its count of maps that forbid sleeping changes"""
    finding: int = -1
    """the hazard that was met"""
    scans: int
    scanned: int
    freed: int
    evicted: int
    invalidations: int
    everywhere: int
    """slots listed in `a.invalidated`"""
    lines_ns: int
    """how long `change_atomically` has taken"""
    range_first: int
    """the slots whose addresses FLUSH_ALL or FLUSH_MASK of this step is of"""
    range_slots: int
    """how many; 0: everything"""


class StepCost(StepSpecials, Protocol):
    """`d`: what a step is told, and what it records (see `effects`).

    Fields of its own are the counts of which a simulator only adds the price: see `counts`.
    """

    shared_entries: int
    recent_entries: int
    local_entries: int
    pte_writes: int
