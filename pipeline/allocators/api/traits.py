"""Optional declarations of an allocator beyond its two steps, and their defaults.

    NON_GLOBAL       its PTEs are not global: a CPU loses their translations when it switches to another
                     address space
    TRACKS_SWITCHES  each such switch is also recorded for it, at an additional cost (`track_switch_ns`)
    ATOMICS          it uses `change_atomically`
    AREAS            its mappings may have several pages (`r.pages`), and another task may unmap them
    WORKERS          `work_step` is called for its workers, tasks of its own that `WAKE_WORKER` wakes
    HOOKS_SWITCHES   `switch_out` and `switch_in` are called for the mappings of a task that leaves its CPU
                     while it holds them, and when it gets a CPU again
    MIXED_PTES       several allocators share the run, and only some have global PTEs: `is_global` says which

In a composed simulator, an allocator's own declarations replace these. All are constants of the compiled
code, so a feature that an allocator does not use costs nothing. WORKERS and HOOKS_SWITCHES follow
from the functions that it defines.
"""

from __future__ import annotations

from pipeline.allocators.api.actions import DONE
from pipeline.allocators.api.protocols import Request, State, StepCost
from pipeline.jit.marks import inline

# What an allocator's file may declare, and which functions it may define. The other traits are derived.
FLAGS = ("NON_GLOBAL", "TRACKS_SWITCHES", "ATOMICS", "AREAS")
HOOKS = ("switch_out", "switch_in")
WORK = "work_step"

NON_GLOBAL = False
TRACKS_SWITCHES = False
ATOMICS = False
AREAS = False
WORKERS = False
HOOKS_SWITCHES = False
MIXED_PTES = False


@inline
def is_global(a: State, r: Request) -> bool:
    """Whether the PTE of request `r`, which has a slot, is global."""
    return not NON_GLOBAL


@inline
def switch_out(a: State, r: Request, d: StepCost) -> None:
    """Called when the task of request `r`, which has slot `r.slot`, leaves CPU `d.cpu`."""


@inline
def switch_in(a: State, r: Request, d: StepCost) -> None:
    """Called when the task of request `r`, which has slot `r.slot`, gets CPU `d.cpu` again."""


@inline
def work_step(a: State, r: Request, d: StepCost) -> int:
    """Called for worker number `r.page`, like `map_step`, until it returns DONE."""
    return DONE
