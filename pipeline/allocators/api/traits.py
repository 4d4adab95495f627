"""What an allocator declares of itself beyond its two steps; here is what holds where it declares nothing.

    NON_GLOBAL       its PTEs are not global: a CPU that switches to another address space loses their
                     translations
    TRACKS_SWITCHES  each such switch is also recorded for it, which makes it dearer (`track_switch_ns`)
    ATOMICS          it uses `change_atomically`
    HOOKS_SWITCHES   `switch_out` and `switch_in` are called for the mappings of a task that leaves its CPU in
                     the middle of them and gets one again
    MIXED_PTES       several allocators share the run, and the PTEs of some are global: `is_global` says whose

In a composed simulator an allocator's own declarations stand in place of these. All are constants of the
compiled code: what an allocator does not use costs it nothing.
"""

from __future__ import annotations

from pipeline.allocators.api.protocols import Request, State, StepCost
from pipeline.jit.marks import inline

# What an allocator's file may declare, and which functions it may define. The other two traits follow.
FLAGS = ("NON_GLOBAL", "TRACKS_SWITCHES", "ATOMICS")
HOOKS = ("switch_out", "switch_in")

NON_GLOBAL = False
TRACKS_SWITCHES = False
ATOMICS = False
HOOKS_SWITCHES = False
MIXED_PTES = False


@inline
def is_global(a: State, r: Request) -> bool:
    """Whether the PTE of request `r`, which has a slot, is global."""
    return not NON_GLOBAL


@inline
def switch_out(a: State, r: Request, d: StepCost) -> None:
    """The task of request `r`, which has slot `r.slot`, leaves CPU `d.cpu`."""


@inline
def switch_in(a: State, r: Request, d: StepCost) -> None:
    """The task of request `r`, which has slot `r.slot`, has CPU `d.cpu` again."""
