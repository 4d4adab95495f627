"""The records of the simulated machine.

Each is a NumPy structured type; arrays of them are the tables of `tables.MachineState`. In a field for a
task, CPU, slot or operation, -1 means "none".
"""

from __future__ import annotations

import numpy as np

from pipeline.allocators.api.protocols import StepInputs, StepRecord, StepSpecials
from pipeline.machine.costs import COST_KINDS, PRICES_OF_STEPS
from pipeline.schema.log import OPERATION_RECORD

MAX_CPUS = 64
# A key is (time << CPU_BITS) | cpu; NEVER is after all keys. A timer is (time << TASK_BITS) | task, or
# NO_TIMER.
CPU_BITS = 6
CPU_MASK = (1 << CPU_BITS) - 1
NEVER = 1 << 62
LAST_KEY_NS = (NEVER >> CPU_BITS) - 1
TASK_BITS = 17
TASK_MASK = (1 << TASK_BITS) - 1
NO_TIMER = (1 << 63) - 1

# No event happens at or after this time, which is just below 2**46: a run that reaches it ends with
# S_TOO_LONG. `set_timer` and `set_key` limit later times to a value that still fits into a key and is too
# late. As a result, no sum of times can wrap around:
#   - the times by category of one CPU: they are parts of the elapsed time;
#   - the times of mapping, sleeping and waiting over all tasks: a task does one thing at a time, so each sum
#     is below 2**46 for each of at most 2**17 tasks;
#   - the holds and waits over all locks: a CPU holds or waits for one lock, and there are at most 2**6 CPUs.
# A stretch may end after this time. A step takes at most 4 * MOST_WORK_NS, and each CPU has at most one
# pending interrupt from each other CPU: less than 2**62.
END_OF_TIME_NS = (NO_TIMER >> TASK_BITS) - 1

# The activity of a CPU, and what it does next when its key is due.
P_IDLE = 0  # nothing; no key
P_SWITCH = 1  # switching to its task
P_THINK = 2  # its task computes between operations
P_WORK = 3  # executing the allocator's step; its action follows
P_SPIN = 4  # waiting for a lock; has a key only during a hand-off to this CPU
P_RELEASE = 5  # releasing a lock, delayed by the spinners' cache traffic
P_FLUSH = 6  # waiting for the acknowledgements of its flush
P_USE = 7  # its task uses the mapping
P_NEXT = 8  # its task needs its next row of the trace
P_MAPPED = 9  # its task has mapped and checks whether a nested operation follows
P_LEAVE = 10  # switching out its task's mappings
P_ARRIVE = 11  # switching in its task's mappings
# Instant phases, which begin and end within one event.
P_RESUME = 12  # continue where the task left off
P_STEP = 13  # call the allocator
P_LOCKED = 14  # the lock is available
P_READY = 15  # the allocator has mapped, or the page needs no mapping
P_HOLD = 16  # use the mapping
P_DONE = 17  # the unmap is complete
P_ROW = 18  # begin the operation of the task's next row
P_COMPUTE = 19  # compute until the request
P_PICK = 20  # choose the next task
P_WORK_DONE = 21  # a worker has no more to do
# The event has ended: the CPU ...
P_WAIT = -1  # has its next key, or none
P_BUSY = -2  # is busy until `cpu.until_ns`
P_STALLED = -3  # continues, before any other event, after its task's next row has been read
P_PAUSED = -4  # continues, before any other event, after control has returned to the caller once

# Where a task continues when it gets a CPU again.
R_THINK = 0
R_STEP = 1
R_FINISH = 2  # after blocking while mapped: use the rest of the hold, then unmap
R_NEXT = 3
R_PREFAULTED = 4  # after blocking before the map: request the mapping

# The state of a task.
T_DORMANT = 0  # its next row has not been read, or is not due
T_TIMER = 1  # off CPU until a known time
T_READY = 2  # waiting for a CPU
T_RUNNING = 3
T_ASLEEP = 4  # in a wait queue
T_ENDED = 5
T_WAITING = 6  # for a mapping that it is to unmap

# Reasons why `run` returned.
S_RUNNING = 0
S_NEED_ROWS = 1
S_LOG_FULL = 2
S_BUDGET = 3
S_FINISHED = 4
S_DEADLOCK = 5
S_TOO_LONG = 6
S_TABLE_FULL = 7  # the table of remaining mappings must grow

# Maximum number of stretches of one CPU, and of steps without cost, that one event passes: each may add rows
# to the log.
MOST_AHEAD = 16
# Possible parts of a stretch: switching, scanning, flushing, and the rest.
STRETCH_PARTS = 4

# Interrupts of waiting CPUs are taken at the latest after 2**CATCH_UP_BITS mean gaps between them.
CATCH_UP_BITS = 16

# Entries of the hash of remaining mappings at first; it doubles when it is half full.
FIRST_MAPPINGS = 1 << 10

# Maximum of the log's columns for numbers of slots; larger numbers are recorded as this.
MOST_COUNTED = (1 << 31) - 1

CLOSED = 0
TIMED = 1

FIFO = 0
UNFAIR = 1


def _record(*fields: tuple[str, str]) -> np.dtype:
    return np.dtype(list(fields), align=True)


# One row of the trace as the engine reads it; 64 bytes, a cache line. Pages and mappings have 31 bits. Only
# with the trait AREAS, `part`, `pages` and `mapping` are set.
ROW = _record(
    ("time_ns", "i8"), ("think_ns", "i8"), ("wait_ns", "i8"), ("hold_ns", "i8"), ("block_ns", "i8"),
    ("op", "i8"), ("page", "i4"), ("mapping", "i4"), ("pages", "i4"), ("kind", "i1"), ("depth", "i1"),
    ("part", "i1"),
)  # fmt: skip

# The rows of one task in a chunk, stored together: their number, and the first row of the next run; -1: not
# read.
RUN = _record(("task", "i4"), ("rows", "i4"), ("next", "i8"))

# One operation in progress. The first fields are those of the log; the engine and the allocator own the rest.
REQUEST = np.dtype(
    [(name, OPERATION_RECORD[name]) for name in OPERATION_RECORD.names or ()]
    + [
        ("unmapping", "i1"),     # 0 mapping, 1 unmapping, 2 the work of a worker
        ("part", "i1"),          # what its row performs, see codes.PART_*
        ("locked_once", "i1"),   # this side of the operation has already had its lock
        ("step", "i4"),
        ("budget", "i4"),
        ("draws", "i4"),         # random numbers drawn for it
        ("mark", "i8"),
        ("hold_left_ns", "i8"),
        ("block_left_ns", "i8"),
        ("prefaulted_ns", "i8"), # of the waits and blocks of nested operations: done beforehand
        ("waited_ns", "i8"),     # the longest uninterrupted wait for one holder
        ("walk_ns", "i8"),       # page-table walk to be added to the next use
        ("mapping", "i8"),       # number of the mapping, if another row unmaps it
    ],
    align=True,
)  # fmt: skip

# An entry of the hash of mappings that remain after the row that made them; see `remaining`.
MAPPING = _record(("key", "i8"), ("waiter", "i8"))

TASK = _record(
    ("state", "i1"), ("resume", "i1"),
    ("atomic", "i1"),  # > 0: it may neither sleep nor be preempted
    ("depth", "i4"),   # depth of its innermost operation, -1: none
    ("process", "i4"),
    ("last_cpu", "i4"), ("pinned", "i4"), ("next", "i4"), ("queue", "i4"), ("idle_then", "i4"),
    # Its rows, see `trace_rows`: of the current run, of the runs not yet begun, and of all.
    ("at", "i8"), ("end", "i8"), ("chunk_slot", "i8"), ("next_run", "i8"), ("last_run", "i8"),
    ("rows_left", "i8"),
    ("think_left_ns", "i8"), ("since_ns", "i8"), ("free_ns", "i8"),
    ("jitter_ns", "i8"),  # change of the recorded time of its outermost row that was read last
)  # fmt: skip

CPU = _record(
    ("phase", "i4"), ("category", "i4"), ("task", "i4"), ("action", "i4"), ("node", "i4"),
    ("since_ns", "i8"), ("stolen_ns", "i8"), ("scan_ns", "i8"), ("flush_ns", "i8"), ("switch_ns", "i8"),
    ("slice_begin_ns", "i8"), ("slice_end_ns", "i8"), ("until_ns", "i8"),
    ("irq_at_ns", "i8"), ("irq_end_ns", "i8"), ("irq_first", "i4"), ("irqs", "i4"), ("epoch", "i8"),
    ("irq_done_ns", "i8"), ("device_at_ns", "i8"), ("devices", "i8"),  # time of the next, number so far
    ("pin_head", "i4"), ("pin_tail", "i4"),
    # Spinning and holding.
    ("spin_lock", "i4"), ("held_lock", "i4"), ("longest_holder", "i4"),
    ("asked_ns", "i8"), ("longest_ns", "i8"), ("longest_flush_op", "i8"), ("got_ns", "i8"),
    ("got_wait_ns", "i8"), ("flushed_op", "i8"), ("ticket", "i8"), ("due", "i8"), ("argument", "i8"),
    ("luck", "i8"), ("draws", "i8"),  # of the spinning request: base and number of its draws
    # The consecutive slots whose addresses its flush covers; 0: everything.
    ("range_first", "i8"), ("range_slots", "i8"),
    # The epoch of global PTEs only, if there are others too; see `flushing`.
    ("global_epoch", "i8"),
)  # fmt: skip

# An interrupt that a CPU has not taken yet: start and end of its handler, and the time it takes. A CPU has a
# ring of INTERRUPTS of them; if the ring is full, a new interrupt is merged with the last.
INTERRUPT = _record(("at_ns", "i8"), ("end_ns", "i8"), ("stolen_ns", "i8"))
INTERRUPTS = 8

LOCK_RECORD = _record(
    ("holder", "i4"), ("spinners", "i4"), ("heir", "i4"),
    ("owner", "i4"),  # 1 + the CPU that had it last, whose cache holds its line; 0: none
    ("ticket", "i8"), ("turns", "i8"),  # times it was taken
)  # fmt: skip

QUEUE = _record(("sleepers", "i4"), ("head", "i4"), ("tail", "i4"), ("spare", "i4"))

# The address space of a CPU, also while it is idle: `process` (-1 before the first), and when its TLB was
# last emptied of non-global entries, counted in switches of all CPUs.
SPACE = _record(("process", "i8"), ("emptied", "i8"))

# When translations of a process were last ended without interrupting the CPUs outside its address space, in
# the same count: these CPUs empty their TLBs when they enter it again.
PROCESS = _record(("forgotten", "i8"))

# A cache line that CPUs change in turn: when the last of them has finished with it, and 1 + that CPU.
LINE = _record(("free_ns", "i8"), ("owner", "i8"))

# What a CPU's TLB may hold for one slot: (flush epoch << 31) | page; 0: no entry.
TLB_ENTRY = _record(("loaded", "i8"))
PAGE_BITS = 31

# Hazards of one kind: their number, and the first of them.
NOTE = _record(("count", "i8"), ("time_ns", "i8"), ("op", "i8"), ("task", "i8"), ("slot", "i8"))

# A page whose mapping the allocator's last step dropped.
EVICTED = _record(("page", "i8"))

# A slot whose address the allocator's last step invalidated on every CPU.
INVALIDATED = _record(("slot", "i8"))

SITE = _record(
    ("acquisitions", "i8"), ("contended", "i8"), ("hold_ns", "i8"), ("hold_max_ns", "i8"),
    ("wait_ns", "i8"), ("wait_max_ns", "i8"),
)  # fmt: skip

# The inputs of a step, then its records (see the protocols for each field), then the costs of its work.
_STEP_FIELDS = StepInputs.__annotations__ | StepRecord.__annotations__ | StepSpecials.__annotations__
STEP_COST = _record(*((name, "i8") for name in (*_STEP_FIELDS, *PRICES_OF_STEPS)))

# The costs of the machine.
COSTS = _record(*((name, "i8") for name in (*COST_KINDS, "arbitration")))

MACHINE = _record(
    # shape and settings
    ("cpus", "i8"), ("tasks", "i8"), ("levels", "i8"), ("loop", "i8"), ("seed", "i8"), ("events", "i8"),
    ("lowmem_kinds", "i8"), ("key_leaves", "i8"), ("timer_leaves", "i8"),
    # clock and queues
    ("now_ns", "i8"), ("horizon_ns", "i8"), ("complete", "i8"), ("idle", "i8"),
    ("limit_ns", "i8"),  # until then, only room in the log is needed from outside
    ("catch_up_ns", "i8"),  # when waiting CPUs take their interrupts at the latest; at or after the limit
    ("ahead", "i8"),  # stretches and free steps that this event may still pass
    ("stalled", "i8"),  # 1 + the CPU whose event was interrupted; 0: none
    ("unspent", "i8"),  # the rest of the budget of events when the log was full
    ("ready_head", "i8"), ("ready_tail", "i8"), ("live", "i8"), ("unstarted", "i8"),
    ("chunk_rows", "i8"),
    # log buffers and fingerprint
    ("operations_logged", "i8"), ("events_logged", "i8"), ("log_operations", "i8"), ("log_events", "i8"),
    ("stretches", "i8"), ("stretches_logged", "i8"), ("log_stretches", "i8"),
    ("hash0", "i8"), ("hash1", "i8"), ("hash2", "i8"), ("hash3", "i8"),
    # totals
    ("operations", "i8"), ("hits", "i8"), ("misses", "i8"), ("directs", "i8"), ("fallbacks", "i8"),
    ("probed", "i8"), ("scans", "i8"), ("scanned", "i8"), ("freed", "i8"), ("flushes", "i8"),
    ("ipis", "i8"), ("local_flushes", "i8"), ("full_local_flushes", "i8"), ("sleeps", "i8"),
    ("asleep_ns", "i8"), ("wakes", "i8"), ("woken", "i8"), ("pin_waits", "i8"), ("pin_wait_ns", "i8"),
    ("switches", "i8"), ("migrations", "i8"), ("walks", "i8"), ("mapped", "i8"), ("max_mapped", "i8"),
    ("map_ns", "i8"), ("map_max_ns", "i8"), ("sleep_max_ns", "i8"),
    ("remaining", "i8"), ("mapping_slots", "i8"),  # entries in use of the hash of mappings, and its size
    ("space_switches", "i8"),  # counted for allocators with NON_GLOBAL only
    ("flush_free_ns", "i8"),  # end of the last flush, if flushes queue
)  # fmt: skip
