"""The three arguments of an allocator's steps: its state `a`, the request `r` and the step `d`.

The simulated machine implements them as arrays of records, compiled or plain. These types are for editors and
mypy. Those of `d`, except the last, also define the fields of the underlying record.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol


class Table(Protocol):
    """Records, or integers, by index. Outside of steps: a NumPy array with a column for each field name."""

    def __getitem__(self, index: int) -> Any: ...

    def __setitem__(self, index: int, row: Any) -> None: ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Any]: ...

    def __getattr__(self, field: str) -> Any: ...

    def __setattr__(self, field: str, values: Any) -> None: ...


class State(Protocol):
    """`a`: the allocator's state and the machine state that it may read; 0 unless `prepare` sets a value."""

    options: Table
    """one record with the values of the options"""
    pool: Table
    """the allocator's own scalars (fields: POOL); one record, or `pools` of them"""
    slots: Table
    """one record per slot (fields: SLOT)"""
    pages: Table
    """one record per page of the trace (fields: PAGE)"""
    percpu: Table
    """one record per CPU (fields: PERCPU)"""
    queues: Table
    """one record per wait queue; `a.queues[q].sleepers` is the number of tasks asleep in it"""
    spaces: Table
    """one record per CPU: the `process` of its address space, and when its TLB was last `emptied`, as a
    `d.moment`; for `may_hold_since`"""
    processes: Table
    """one record per process, for `forget_outside`"""
    lines: Table
    """shared cache lines, for `change_atomically`"""
    tlb: Table
    """contents of each CPU's TLB, for `invalidate`"""
    evicted: Table
    """the pages that this step evicted, for `evict`"""
    invalidated: Table
    """the slots that this step invalidated on every CPU, for `invalidate_everywhere`"""


class Request(Protocol):
    """`r`: one operation in progress."""

    op: int
    """its row in the trace"""
    page: int
    task: int
    process: int
    kind: int
    """position in `pipeline.schema.names.KINDS`"""
    depth: int
    """number of enclosing mappings of the task"""
    pages: int
    """length of the mapping; set with AREAS only"""
    cpu_map: int
    """the CPU that mapped"""

    step: int
    """progress of the map or unmap, 0 at first; this and the next two fields are the allocator's own"""
    budget: int
    mark: int

    slot: int
    """result of the map: the slot, or -1 for none"""
    served: int
    """how the map was served: HIT, MISS, DIRECT or FALLBACK of `pipeline.schema.codes`"""


class StepInputs(Protocol):
    """The machine's inputs to a step."""

    cpu: int
    """the CPU that runs the step"""
    cpus: int
    """number of CPUs of the machine"""
    moment: int
    """number of switches to other address spaces so far, on all CPUs; for allocators with NON_GLOBAL"""
    now_ns: int
    """this and the next two fields are for `change_atomically`, with ATOMICS"""
    atomic_ns: int
    line_transfer_ns: int


class StepRecord(StepInputs, Protocol):
    """The records of a step in addition to its inputs; each field is 0 before the step."""

    lock: int
    """the lock that LOCK takes"""
    queue: int
    """the wait queue of SLEEP, WAKE_ALL and WAKE_ONE"""
    cpu_mask: int
    """the CPUs of FLUSH_MASK and SHOOT_DOWN"""
    probes: int
    """slots examined"""
    work_ns: int
    """cost of the step's work so far; the simulator adds costs to this and the next two `_ns` fields"""
    special: int
    """1: something was recorded in the fields of `StepSpecials`"""


class StepSpecials(StepRecord, Protocol):
    """Fields that few steps change: 0, or the value here. Code that changes one also sets `special`."""

    scan_ns: int
    flush_ns: int
    pin: int
    """change of the task's pin count"""
    atomic: int
    """change of its count of maps that forbid sleeping"""
    finding: int = -1
    """the hazard that occurred"""
    scans: int
    scanned: int
    freed: int
    evicted: int
    invalidations: int
    everywhere: int
    """slots listed in `a.invalidated`"""
    lines_ns: int
    """time that `change_atomically` has taken"""
    range_first: int
    """first of the slots to whose addresses FLUSH_ALL or FLUSH_MASK of this step is limited"""
    range_slots: int
    """number of these slots; 0: no limit"""


class StepCost(StepSpecials, Protocol):
    """`d`: the inputs and the records of a step (see `effects`).

    Its own fields are counts for which a simulator only adds the cost: see `counts`.
    """

    shared_entries: int
    recent_entries: int
    local_entries: int
    pte_writes: int
