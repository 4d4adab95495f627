"""Several designs in one run, each serving the requests of some kinds of operation.

`page_fault=atomic,default=global_pool` maps page tables with one design and everything else with another.
Each design keeps its own state: slots, pages, wait queues, locks and per-CPU records. A page that both map
has a slot in each. The machine is shared. A flush of a whole TLB flushes the entries of all designs. A task
pinned by one design is pinned for all. A task that may not sleep within an atomic map may not wait there for
another design's slot either. A switch to another address space ends only the translations of designs whose
PTEs are not global.

A map of one design may be nested in a map of another. `r.depth` is then the number of enclosing maps of the
same design, because a design reserves or orders its own slots by depth. The log has the depth of the trace.

A `Composite` behaves like a single design, except for the code that composes a simulator and builds its state
(`pipeline.machine.composite`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import ModuleType, SimpleNamespace
from typing import Any, TypeVar

from pipeline.allocators.api.allocator import Allocator
from pipeline.allocators.api.contract import Check, Shape, Value
from pipeline.allocators.api.traits import FLAGS, HOOKS
from pipeline.errors import UsageError
from pipeline.schema.names import KINDS

_V = TypeVar("_V", int, Value)


@dataclass(frozen=True)
class Composite(Allocator):
    """Designs that share a run; the first serves every kind that no other design serves."""

    allocators: tuple[Allocator, ...]
    kinds: tuple[tuple[str, ...], ...]
    """Kinds that each design serves."""

    @property
    def sha256(self) -> str:
        """SHA-256 of the hashes of the sources."""
        return hashlib.sha256(" ".join(part.sha256 for part in self.allocators).encode()).hexdigest()

    def serving_by_kind(self) -> list[int]:
        """Position of the design that serves each kind, in the order of KINDS."""
        return [next(k for k, kinds in enumerate(self.kinds) if kind in kinds) for kind in KINDS]

    def options_of(self, k: int, options: dict[str, _V]) -> dict[str, _V]:
        """Options of design `k` by their unqualified names."""
        prefix = f"{self.allocators[k].name}."
        return {name.removeprefix(prefix): v for name, v in options.items() if name.startswith(prefix)}

    def describe(self, names: list[str]) -> str:
        """Say which design serves which kinds; `names` are the names to use for the designs."""
        others = [
            f"{name} for {' and '.join(kinds)}" for name, kinds in zip(names[1:], self.kinds[1:], strict=True)
        ]
        return ", ".join([*others, f"{names[0]} for the rest"])


def parts_of(allocator: Allocator) -> tuple[Allocator, ...]:
    """The designs of a run; usually one."""
    return allocator.allocators if isinstance(allocator, Composite) else (allocator,)


def combine(allocators: tuple[Allocator, ...], kinds: tuple[tuple[str, ...], ...]) -> Composite:
    """Combine several designs, each serving the given kinds; no kind may be given twice.

    Raises UsageError if two designs have the same name.
    """
    names = [allocator.name for allocator in allocators]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(f"two allocators are named '{twice[0]}'; rename the file of one")
    if areas := [allocator.name for allocator in allocators if allocator.maps_areas]:
        raise UsageError(f"{areas[0]} maps areas and cannot share a run with another allocator; use it alone")
    composite = Composite("+".join(names), allocators[0].path, ModuleType("composite"), allocators, kinds)
    vars(composite.module).update(_combine_modules(composite))
    return composite


def ends_with_its_space(allocator: Allocator) -> bool:
    """Whether a CPU loses the design's translations when it switches to another address space."""
    return bool(getattr(allocator.module, "NON_GLOBAL", False))


def _combine_modules(composite: Composite) -> dict[str, Any]:
    """The combined definitions of the designs, by the names of the contract."""
    allocators = composite.allocators
    together: dict[str, Any] = {
        "SUMMARY": composite.describe([allocator.name for allocator in allocators]),
        "SOURCE": "; ".join(allocator.source for allocator in allocators),
        "OPTIONS": tuple(
            replace(option, name=f"{allocator.name}.{option.name}")
            for allocator in allocators
            for option in allocator.options
        ),
        "locks": lambda options, shape: sum(locks_of(composite, options, shape)),
        "check": _check_each(composite, "check"),
        "lost_wakeups": _check_each(composite, "lost_wakeups"),
    }
    # The requirements of one design do not affect another: a design without atomic changes pays nothing for
    # them, and a design without a hook is not called.
    for name in (*FLAGS, *HOOKS):
        if any(getattr(allocator.module, name, False) for allocator in allocators):
            together[name] = True
    if len({ends_with_its_space(allocator) for allocator in allocators if allocator.fields("SLOT")}) == 2:
        together |= {"MIXED_PTES": True, "is_global": None}
    return together


def locks_of(composite: Composite, options: dict[str, int], shape: Shape) -> list[int]:
    """Number of spinlocks of each design; `options` are encoded."""
    return [
        allocator.size("locks", composite.options_of(k, options), shape)
        for k, allocator in enumerate(composite.allocators)
    ]


def _check_each(composite: Composite, name: str) -> Callable[[Any, Check], list[str]]:
    """The designs' own checks, each applied to the design's own state."""

    def check(state: Any, live: Check) -> list[str]:
        problems: list[str] = []
        for k, allocator in enumerate(composite.allocators):
            function = getattr(allocator.module, name, None)
            if function is not None:
                own = tables_of(state, k)
                problems += [
                    f"{allocator.name}: {text}" for text in function(own, _live_of(state, own, live, k))
                ]
        return problems

    return check


def tables_of(state: Any, k: int) -> SimpleNamespace:
    """The tables of design `k` by their names in `State`."""
    names = [name for name, _ in state.layout if name.endswith(f"@{k}")]
    return SimpleNamespace(**{name.removesuffix(f"@{k}"): getattr(state, name) for name in names})


def _live_of(state: Any, own: SimpleNamespace, live: Check, k: int) -> Check:
    slot, queue = int(state.firsts[k].slot), int(state.firsts[k].queue)
    users = {s - slot: count for s, count in live.users.items() if slot <= s < slot + len(own.slots)}
    return Check(live.shape, users, live.sleepers[queue : queue + len(own.queues)])
