"""Names of logged and counted values, with their meanings. A name's position in its list is its code.

`pipeline.schema.codes` defines the codes.
"""

from __future__ import annotations

# Codes of `kind`: the position in this tuple is the code used in memory and in compiled code.
KINDS = ("page_fault", "copy_to_user", "copy_from_user", "exec_args", "directory", "other", "vmap")

# The part of a mapping that a row of a trace performs; the position is the code.
PARTS = {
    "whole": "the map, its use and the unmap; the task does nothing else meanwhile except nested operations",
    "map": "the map and its first use; the mapping remains until another row unmaps it",
    "unmap": "the unmap of a mapping that an earlier row made, possibly a row of another task",
}

# How an operation was served; the position is the code.
SERVED = (
    "hit",       # the page was already mapped
    "miss",      # a slot was taken and its PTE written
    "direct",    # the page needs no temporary mapping
    "fallback",  # the design fell back to its second method
)  # fmt: skip

# Lock sites: the side of an operation that held the lock, or a worker; the position is the code.
SITES = ("map", "unmap", "worker")

# Categories of CPU time; the position is the code. For each CPU, they add up to exactly the wall-clock time.
CPU_CATEGORIES = {
    "idle": "no task to run",
    "compute": "the task's own work between operations (think_ns)",
    "in_use": "the mapping was in use (hold_ns), including page-table walks at first touches",
    "critical": "map and unmap code, under the lock if the design has one",
    "scan": "scanning slots for those that can be freed",
    "spin": "waiting for a lock",
    "flush": "flushing its own TLB, sending IPIs and waiting for the last CPU to respond",
    "interrupted": "handling flush IPIs of other CPUs, including TLB refills, and device or timer interrupts",
    "switch": "context switches and wake-ups",
}

# Event kinds of events.parquet; the position is the code. Each entry gives the meaning, then the contents of
# slot, value and other (None: -1). duration_ns is 0 for an event without duration.
EVENT_KINDS: dict[str, tuple[str, str | None, str | None, str | None]] = {
    "scan": ("a pass over the slots", None, "slots scanned", "slots freed"),
    "flush": (
        "global or directed TLB flush: from the first IPI to the last response",
        None, "CPUs interrupted", None,
    ),
    "ipi": ("this CPU handled a flush IPI; duration is the time taken from it", None, None, "initiating CPU"),
    "local_flush": ("this CPU flushed its whole TLB", None, None, None),
    "sleep": (
        "sleep for a slot: from leaving the CPU to being woken", None, "wait queue", "task that woke it",
    ),
    "wake": ("woke the tasks of a wait queue", None, "tasks woken", "wait queue"),
    "pin_wait": (
        "wait of a ready task for the CPU it is pinned to: from ready to running",
        None, "CPUs that were idle when it became ready", None,
    ),
    "switch": ("context switch to `task`", None, None, "task that left"),
    "relock": (
        "a further lock acquisition within one map or unmap: time is its acquisition, duration is the hold; "
        "see also `lock`, `site` and `wait_ns`",
        None, None, "task that held the lock longest during the wait",
    ),
    "fallback": ("the operation fell back to the design's second method", None, None, None),
    "finding": ("a hazard was detected; value is the position in FINDINGS", "slot", "finding code", "task"),
    "work": (
        "a worker of the design ran: from its first step to its last",
        None, "ns from its wake-up to its first step", "number of the worker, from 0",
    ),
}  # fmt: skip

# Hazards; the position is the code. The engine detects deadlocks, stale translations, starvation and
# forbidden sleeps. At the end of a run, a design's `check` detects broken invariants, and its `lost_wakeups`
# detects lost wake-ups. Allocators report the others with `report_finding`.
FINDINGS = {
    "deadlock": "tasks sleep for slots that only sleeping tasks hold",
    "stale_translation": "a CPU used a mapping through a TLB entry left by another mapping of the slot",
    "count_underflow": "an unmap of a slot that no task has mapped",
    "lost_wakeup": "a task remained asleep although a slot was free for it",
    "starvation": "a waiter was overtaken more often than the limit",
    "nesting_overflow": "more nested maps than the design supports",
    "unmap_out_of_order": "maps were not undone in reverse order",
    "sleep_while_atomic": "a task slept while it held a mapping that forbids sleeping",
    "invariant": "the design's check of its own state failed",
}
