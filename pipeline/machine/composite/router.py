"""The source of the router, which the engine calls if there are several allocators."""

from __future__ import annotations

from pipeline.allocators.api.composite import Composite, ends_with_its_space
from pipeline.allocators.api.traits import FLAGS, HOOKS

_ENGINE = "pipeline.machine.engine"
_HEAD = '''"""Calls the allocator that serves a request's kind of operation."""

from __future__ import annotations

from pipeline.allocators.api.actions import DONE
from pipeline.jit.marks import inline, view
from pipeline.machine.composite.view import end, enter, leave, renumber
'''
_STEP = '''

@inline
def {step}(a, r, d):
    """Take the next step of the allocator that serves `r`."""
    k = a.serving[r.kind]
    depth = enter(a, r, k)
    action = DONE
{calls}
    leave(a, r, k, depth)
    renumber(a, d, k)
{at_end}    return action
'''
_AT_END = """    if action == DONE:
        end(a, r, k)
"""
_HOOK = '''

@inline
def {hook}(a, r, d):
    """Let the allocator that serves `r` do so."""
    k = a.serving[r.kind]
    depth = enter(a, r, k)
{calls}
    leave(a, r, k, depth)
'''
_IS_GLOBAL = '''

@inline
def is_global(a, r):
    """Whether the PTEs of the allocator that serves `r` are global."""
    k = a.serving[r.kind]
    return {has_global}
'''


def router_source(composite: Composite) -> str:
    """Return the source of the module that replaces `engine.allocator`.

    The assignment of kinds to allocators is in the tables and not in the source. Every assignment to the same
    allocators therefore uses the same simulator.
    """
    text = _HEAD
    have = {
        name: [k for k, allocator in enumerate(composite.allocators) if hasattr(allocator.module, name)]
        for name in ("map_step", "unmap_step", *HOOKS)
    }
    for k in range(len(composite.allocators)):
        for name in (name for name, ks in have.items() if k in ks):
            text += f"from {_ENGINE}.allocator_{k} import {name} as {name}_{k}\n"
    for trait in (*FLAGS, "MIXED_PTES"):
        if getattr(composite.module, trait, False):
            text += f"\n{trait} = True\n"
    for step in ("map_step", "unmap_step"):
        calls = _branches(have[step], "action = ", step)
        text += _STEP.format(step=step, calls=calls, at_end=_AT_END if step == "unmap_step" else "")
    for hook in HOOKS:
        if have[hook]:
            text += _HOOK.format(hook=hook, calls=_branches(have[hook], "", hook))
    if getattr(composite.module, "MIXED_PTES", False):
        has_global = [
            k for k, allocator in enumerate(composite.allocators) if not ends_with_its_space(allocator)
        ]
        text += _IS_GLOBAL.format(has_global=" or ".join(f"k == {k}" for k in has_global))
    return text


def _branches(ks: list[int], result: str, name: str) -> str:
    lines = []
    for turn, k in enumerate(ks):
        lines += [
            f"    {'el' if turn else ''}if k == {k}:",
            f"        {result}{name}_{k}(view(a, {k}), r, d)",
        ]
    return "\n".join(lines)
