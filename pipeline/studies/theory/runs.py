"""Rows for the experiments: with exponential times, and of every kind that the engine distinguishes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pipeline.allocators.api.allocator import Allocator
from pipeline.allocators.registry import load_allocator
from pipeline.machine.in_memory import Outcome, Rows, rows, simulate
from pipeline.machine.profile import Profile

ONE_LOCK = load_allocator(str(Path(__file__).with_name("one_lock.py")))


def replay_rows(
    allocator: Allocator | str,
    machine: Profile,
    trace: Rows,
    options: dict[str, str] | None = None,
    **how: Any,
) -> Outcome:
    """Replay rows, by default compiled, with an allocator or the name of a shipped one."""
    loaded = load_allocator(allocator) if isinstance(allocator, str) else allocator
    return simulate(loaded, machine, trace, **({"options": options or {}, "compiled": True} | how))


def closed_loop(operations: int, tasks: int, seed: int, **mean_ns: int) -> Rows:
    """Rows of tasks in turn, each with a new page, and with exponential times of the given means.

    Times are rounded to whole ns, which changes the mean by a fraction of at most 1/(24 mean**2).
    """
    random = np.random.default_rng(seed)
    times = {name: np.rint(random.exponential(mean, operations)) for name, mean in mean_ns.items()}
    number = np.arange(operations)
    return rows(operations, **({"task": number % tasks, "page": number} | times))


def with_all_tasks(outcome: Outcome) -> np.ndarray:
    """The first nine tenths of the operations in order of completion, while all tasks are active.

    The number is fixed, because stopping when the first task finishes would favour short times. Raises
    ValueError if a task finishes earlier.
    """
    operations = outcome.operations[np.argsort(outcome.operations["done_ns"], kind="stable")]
    first = operations[: len(operations) * 9 // 10]
    rest = np.unique(operations["task"][len(first) :])
    if len(rest) < len(np.unique(first["task"])):
        raise ValueError("a task finishes before nine tenths of all operations are done")
    return first


def intervals(operations: np.ndarray, cycles: int) -> np.ndarray:
    """Time per completed operation, over consecutive groups of `cycles` completions, in ns."""
    return np.diff(operations["done_ns"][::cycles]) / cycles


def mixed_rows(tasks: int, each: int, nested: bool, seed: int = 7) -> Rows:
    """`each` operations per task with think, wait, hold and block times, on 200 pages of uneven popularity.

    With `nested`, every third operation, starting with the second, is nested in the previous one.
    """
    random = np.random.default_rng(seed)
    shape = (tasks, each)

    def some_ns(mean: int, share: float = 1.0) -> np.ndarray:
        return np.where(random.random(shape) < share, random.exponential(mean, shape), 0).astype(np.int64)

    depth = np.broadcast_to(np.arange(each) % 3 == 1, shape) & nested
    inside_ns = np.where(depth, some_ns(500), 0)
    think_ns = np.where(depth, 100, some_ns(20_000))
    wait_ns = np.where(depth, 0, some_ns(30_000, 0.5))
    hold_ns = np.where(depth, inside_ns, some_ns(4_000))
    block_ns = np.where(depth, 0, some_ns(50_000, 0.2))
    duration_ns = think_ns + wait_ns + hold_ns + block_ns
    time_ns = np.cumsum(duration_ns, axis=1) - hold_ns - block_ns
    order = np.argsort(time_ns, axis=None, kind="stable")
    columns = {
        "time_ns": time_ns,
        "task": np.broadcast_to(np.arange(tasks)[:, None], shape),
        "page": random.zipf(1.3, shape) % 200,
        "think_ns": think_ns,
        "wait_ns": wait_ns,
        "hold_ns": hold_ns,
        "block_ns": block_ns,
        "depth": depth,
    }
    return rows(order.size, **{name: column.ravel()[order] for name, column in columns.items()})
