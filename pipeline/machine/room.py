"""Whether a run fits into memory: its state is sized before allocation, and refused if it is too large."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from pipeline.allocators.api.allocator import Allocator
from pipeline.allocators.api.contract import Shape, Value
from pipeline.errors import OutOfMemory, UsageError
from pipeline.io.memory import address_space_limit, group_limit
from pipeline.machine.layout import Layout, RunSettings, bytes_of, lay_out_run
from pipeline.schema.trace import MAX_TASKS

# A slot number has 32 bits in the log.
MOST_SLOTS = (1 << 31) - 1
# Advice is given only if it makes the excessive quantity at least a tenth smaller.
_HELPS = 0.9


def check_room(allocator: Allocator, options: dict[str, Value], shape: Shape, setting: RunSettings) -> None:
    """Refuse a run whose state does not fit into memory, or that has too many slots to number.

    Raises OutOfMemory and UsageError; the message says how much is needed and what would lower it.
    """
    coded = allocator.encode(options)

    def measure(size: Callable[[Layout], int]) -> tuple[int, str]:
        wanted = size(lay_out_run(allocator, coded, shape, setting))
        helps = [
            name
            for name, fewer, smaller in _smaller_runs(allocator, coded, shape)
            if size(lay_out_run(allocator, fewer, smaller, setting)) <= _HELPS * wanted
        ]
        return wanted, f"lower {' or '.join(helps)}"

    tasks = shape.tasks + allocator.size("workers", coded, shape)
    if tasks > MAX_TASKS:
        raise UsageError(
            f"{allocator.name}: expected at most {MAX_TASKS:,} tasks and workers, found {tasks:,}"
        )
    slots, advice = measure(_slots_of)
    if slots > MOST_SLOTS:
        raise UsageError(f"{allocator.name}: has {slots:,} slots, more than {MOST_SLOTS:,}; {advice}")
    available = available_bytes()
    wanted, advice = measure(bytes_of)
    if wanted > available:
        raise OutOfMemory(
            f"{allocator.name}: this run's state takes {_gigabytes(wanted)} of memory, "
            f"{_gigabytes(available)} are available; {advice}"
        )


def available_bytes() -> int:
    """Memory still available to this process: of the machine, of its control groups and of its own limit."""
    page = resource.getpagesize()
    bounds = [os.sysconf("SC_PHYS_PAGES") * page]
    with suppress(OSError):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        bounds += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    if (limit := group_limit()) is not None:
        bounds.append(limit)
    if (limit := address_space_limit()) is not None:
        with suppress(OSError):
            limit -= int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * page
        bounds.append(max(limit, 0))
    return min(bounds)


def _slots_of(layout: Layout) -> int:
    return sum(count for name, (count, _) in layout.items() if name.partition("@")[0] == "slots")


def _smaller_runs(
    allocator: Allocator, coded: dict[str, int], shape: Shape
) -> Iterator[tuple[str, dict[str, int], Shape]]:
    """Quantities that may be lowered, by name, each with the options and the shape at its minimum."""
    for option in allocator.options:
        if type(option.default) is int and option.minimum is not None:
            yield f"option {option.name}", coded | {option.name: option.minimum}, shape
    yield "--cpus", coded, replace(shape, cpus=1)
    yield "the number of the trace's tasks and processes", coded, replace(shape, tasks=1, processes=1)
    yield "the number of its pages", coded, replace(shape, pages=1)


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:,.2f} GB"
