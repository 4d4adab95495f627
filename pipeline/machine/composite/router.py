"""The source of the router: what the engine calls where there are several designs."""

from __future__ import annotations

from pipeline.allocators.api.composite import Composite, ends_with_its_space

_IN = "pipeline.machine.engine"
_HEAD = f'''"""Asks the design that serves a request's kind of operation."""

from __future__ import annotations

from typing import Any

from {_IN}.actions import DONE
from {_IN}.composite_view import end, enter, leave, name_its_own
from {_IN}.marks import inline
from {_IN}.views import part
'''
_STEP = '''

@inline
def {step}(a: Any, r: Any, d: Any) -> int:
    """Take the next step of the design that serves `r`."""
    k = a.serving[r.kind]
    depth = enter(a, r, k)
    action = DONE
{asked}
    leave(a, r, k, depth)
    name_its_own(a, d, k)
{ended}    return action
'''
_ENDED = """    if action == DONE:
        end(a, r, k)
"""
_HOOK = '''

@inline
def {hook}(a: Any, r: Any, d: Any) -> None:
    """Let the design that serves `r` do so."""
    k = a.serving[r.kind]
    depth = enter(a, r, k)
{asked}
    leave(a, r, k, depth)
'''
_IS_GLOBAL = '''

@inline
def is_global(a: Any, r: Any) -> bool:
    """Whether the PTEs of the design that serves `r` are global."""
    k = a.serving[r.kind]
    return {lasting}
'''
_TRAITS = ("NON_GLOBAL", "TRACKS_SWITCHES", "ATOMICS", "MIXED_PTES")
_HOOKS = ("switch_out", "switch_in")


def router_source(composite: Composite) -> str:
    """Return the source of the module that stands in the place of `engine.allocator`.

    Who serves what is no part of it: that is in the tables, so every mapping to the same designs is the same
    simulator.
    """
    text = _HEAD
    have = {
        name: [k for k, allocator in enumerate(composite.allocators) if hasattr(allocator.module, name)]
        for name in ("map_step", "unmap_step", *_HOOKS)
    }
    for k in range(len(composite.allocators)):
        for name in (name for name, ks in have.items() if k in ks):
            text += f"from {_IN}.allocator_{k} import {name} as {name}_{k}\n"
    for trait in _TRAITS:
        if getattr(composite.module, trait, False):
            text += f"\n{trait} = True\n"
    for step in ("map_step", "unmap_step"):
        asked = _branches(have[step], "action = ", step)
        text += _STEP.format(step=step, asked=asked, ended=_ENDED if step == "unmap_step" else "")
    for hook in _HOOKS:
        if have[hook]:
            text += _HOOK.format(hook=hook, asked=_branches(have[hook], "", hook))
    if getattr(composite.module, "MIXED_PTES", False):
        lasting = [
            k for k, allocator in enumerate(composite.allocators) if not ends_with_its_space(allocator)
        ]
        text += _IS_GLOBAL.format(lasting=" or ".join(f"k == {k}" for k in lasting))
    return text


def _branches(ks: list[int], result: str, name: str) -> str:
    lines = []
    for turn, k in enumerate(ks):
        lines += [
            f"    {'el' if turn else ''}if k == {k}:",
            f"        {result}{name}_{k}(part(a, {k}), r, d)",
        ]
    return "\n".join(lines)
