"""The names of what is counted and logged, each with its meaning; a position in a list is its code in memory.

`pipeline.schema.codes` has the codes.
"""

from __future__ import annotations

# Codes of `kind`: the position in this tuple is the code used in memory and in compiled code.
KINDS = ("page_fault", "copy_to_user", "copy_from_user", "exec_args", "directory", "other")

# How an operation's mapping was served; the position is the code.
SERVED = (
    "hit",       # the page was mapped already
    "miss",      # a slot was taken and its PTE written
    "direct",    # the page needs no temporary mapping
    "fallback",  # the design's first way failed and its second one served
)  # fmt: skip

# Lock sites: which side of an operation held the lock; the position is the code.
SITES = ("map", "unmap")

# Where a CPU's time went; the position is the code. Their sum is the wall time, exactly, for each CPU.
CPU_CATEGORIES = {
    "idle": "no task to run",
    "compute": "the task's own work between operations (think_ns)",
    "in_use": "the mapping was in use (hold_ns), with the page-table walks its first touches need",
    "critical": "map and unmap code, with its lock or, where the design has none, without",
    "scan": "looking through slots for those that can be freed",
    "spin": "waiting for a lock",
    "flush": "flushing the own TLB, sending IPIs and waiting for the slowest CPU to answer",
    "interrupted": "answering another CPU's flush, TLB refill included, and device or timer interrupts",
    "switch": "context switches and wake-ups",
}

# Event kinds of events.parquet; the position is the code. For each: its meaning, then what slot, value and
# other hold (None: -1). duration_ns is 0 where an event has no length.
EVENT_KINDS: dict[str, tuple[str, str | None, str | None, str | None]] = {
    "scan": ("a pass over the slots", None, "slots scanned", "slots freed"),
    "flush": (
        "global or directed TLB flush: from the first IPI to the slowest answer",
        None, "CPUs interrupted", None,
    ),
    "ipi": ("this CPU answered a flush; duration is the time stolen from it", None, None, "initiating CPU"),
    "local_flush": ("this CPU flushed its whole TLB", None, None, None),
    "sleep": (
        "asleep for a slot: from leaving the CPU to being woken", None, "wait queue", "task that woke it",
    ),
    "wake": ("woke the tasks of a wait queue", None, "tasks woken", "wait queue"),
    "pin_wait": (
        "ready, but pinned to a CPU that ran another task: from ready to running",
        None, "CPUs idle when it became ready", None,
    ),
    "switch": ("context switch to `task`", None, None, "task that left"),
    "relock": (
        "a lock was taken again within one map or unmap: time is when it was got, duration is the hold; "
        "`lock`, `site` and `wait_ns` tell the rest",
        None, None, "task that held it longest during the wait",
    ),
    "fallback": ("the design's second way was taken", None, None, None),
    "finding": ("a hazard was met; value is the position in FINDINGS", "slot", "finding code", "task"),
}  # fmt: skip

# Hazards; the position is the code. The engine looks for deadlock, stale translations, starvation and
# sleeping where a design has forbidden it; when a run has ended, a design's `check` looks for broken
# invariants and its `lost_wakeups` for lost wake-ups; allocators report the others with
# `report_finding`.
FINDINGS = {
    "deadlock": "tasks sleep for slots that only sleeping tasks hold",
    "stale_translation": "a CPU used a slot through a TLB entry that an earlier mapping left",
    "count_underflow": "an unmap of a slot that nobody has mapped",
    "lost_wakeup": "a task was left asleep beside a slot it could have had",
    "starvation": "a waiter was passed over more than the set number of times",
    "nesting_overflow": "more nested maps than the design has room for",
    "unmap_out_of_order": "maps were not undone in reverse order",
    "sleep_while_atomic": "a task slept while it held a map that forbids it",
    "invariant": "the design's own check of its state failed",
}
