"""What a design declares of itself beyond its two steps; here is what holds where it declares nothing.

    NON_GLOBAL       its PTEs are not global: a CPU that switches to another address space loses their
                     translations
    TRACKS_SWITCHES  each such switch is also recorded for it, which makes it dearer (`track_switch_ns`)
    ATOMICS          it uses `change_atomically`
    HOOKS_SWITCHES   `switch_out` and `switch_in` are called for the mappings of a task that leaves its CPU in
                     the middle of them and gets one again
    MIXED_PTES       several designs share the run, and the PTEs of some are global: `is_global` says whose

In a composed simulator a design's own declarations stand in place of these. All are constants of the compiled
code: what a design does not use costs it nothing.
"""

from __future__ import annotations

from typing import Any

from pipeline.jit.marks import inline

NON_GLOBAL = False
TRACKS_SWITCHES = False
ATOMICS = False
HOOKS_SWITCHES = False
MIXED_PTES = False


@inline
def is_global(a: Any, r: Any) -> bool:
    """Whether the PTE of request `r`, which has a slot, is global."""
    return not NON_GLOBAL


@inline
def switch_out(a: Any, r: Any, d: Any) -> None:
    """The task of request `r`, which has slot `r.slot`, leaves CPU `d.cpu`."""


@inline
def switch_in(a: Any, r: Any, d: Any) -> None:
    """The task of request `r`, which has slot `r.slot`, has CPU `d.cpu` again."""
