"""The next event: the keys of the CPUs and the timers of the tasks, each in a tournament tree.

    tree[leaves + k]   the key of CPU k, or the timer of task k
    tree[n]            the smaller of tree[2 * n] and tree[2 * n + 1]; tree[1] is the smallest of all

A changed key is played up along one path to the root. A linear scan of 16 keys does no more work, but its
wide loads stall on the narrow stores just before. The branches of a heap cannot be predicted.
"""

from __future__ import annotations

from pipeline.allocators.api.protocols import Table
from pipeline.jit.marks import inline
from pipeline.machine.engine import records
from pipeline.machine.engine.tables import MachineState


@inline
def set_key(w: MachineState, c: int, t: int) -> None:
    """Schedule the next event of CPU `c` at `t`."""
    _play(w.keys, w.machine[0].key_leaves + c, (min(t, records.LAST_KEY_NS) << records.CPU_BITS) | c)


@inline
def clear_key(w: MachineState, c: int) -> None:
    """Leave CPU `c` without an event."""
    _play(w.keys, w.machine[0].key_leaves + c, records.NEVER)


@inline
def first_other_key(w: MachineState, c: int) -> int:
    """Return the smallest key of the CPUs other than `c`."""
    at = w.machine[0].key_leaves + c
    first = records.NEVER
    while at > 1:
        first = min(first, w.keys[at ^ 1])
        at >>= 1
    return first


@inline
def set_timer(w: MachineState, task: int, t: int, resume: int) -> None:
    """Take the task off its CPU until `t`; it then continues at `resume`."""
    tk = w.tasks[task]
    tk.state = records.T_TIMER
    tk.resume = resume
    t = min(t, records.END_OF_TIME_NS)
    _play(w.timers, w.machine[0].timer_leaves + task, (t << records.TASK_BITS) | task)


@inline
def clear_timer(w: MachineState, task: int) -> None:
    """Clear the task's timer, which has expired."""
    _play(w.timers, w.machine[0].timer_leaves + task, records.NO_TIMER)


@inline
def _play(tree: Table, at: int, key: int) -> None:
    """Store `key` in leaf `at` and play it up to the root."""
    tree[at] = key
    while at > 1:
        key = min(key, tree[at ^ 1])
        at >>= 1
        tree[at] = key
