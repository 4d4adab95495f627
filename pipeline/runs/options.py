"""Options given for several designs at once: to each those that it has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeline.allocators.api.allocator import Allocator
from pipeline.allocators.api.contract import parse_options
from pipeline.allocators.registry import resolve_allocator
from pipeline.errors import unknown_name


def parse_designs(words: Sequence[str]) -> list[str]:
    """Names of designs with commas between; page_fault=atomic,default=global_pool, by kind, is one word."""
    parts = [part for word in words for part in ([word] if "=" in word else word.split(","))]
    return [part.strip() for part in parts if part.strip()]


def options_of_each(
    designs: Sequence[str], given: Mapping[str, str]
) -> tuple[list[dict[str, str]], list[str]]:
    """Return for each design those of the given options that it has, and what to say of some without effect.

    An option is written NAME or DESIGN.NAME. Raises UsageError for one that none of the designs has; where
    there is one design, `parse_options` does.
    """
    allocators = [resolve_allocator(design) for design in designs]
    if len(allocators) > 1:
        known = {name for allocator in allocators for name in _names(allocator)}
        for name in given:
            if name not in known:
                raise unknown_name("option", name, known)
        chosen = [{k: v for k, v in given.items() if k in _names(allocator)} for allocator in allocators]
    else:
        chosen = [dict(given)]
    return chosen, [note for one in zip(allocators, chosen, strict=True) for note in _idle(*one)]


def _names(allocator: Allocator) -> set[str]:
    """How the options of a design may be written."""
    own = {option.name for option in allocator.options}
    return own | {f"{allocator.name}.{name}" for name in own} | {name.rpartition(".")[2] for name in own}


def _idle(allocator: Allocator, given: Mapping[str, str]) -> list[str]:
    """Which of the given options do nothing with the values that others have."""
    values = parse_options(allocator.options, dict(given), allocator.name)
    by_name = {option.name: option for option in allocator.options}
    notes = []
    for name in given:
        option = by_name.get(name) or by_name.get(name.removeprefix(f"{allocator.name}."))
        if option is None or option.only_with is None:
            continue
        other, needed = option.only_with
        if values[other] != needed:
            notes.append(f"option {name} of {allocator.name} does nothing without {other}={needed}")
    return notes
