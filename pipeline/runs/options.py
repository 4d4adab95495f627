"""Options given for several designs together: each design gets the options that it has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pipeline.allocators.api.allocator import Allocator
from pipeline.allocators.api.composite import Composite, parts_of
from pipeline.allocators.api.contract import Value, parse_options
from pipeline.allocators.registry import resolve_allocator
from pipeline.errors import unknown_name


def parse_designs(words: Sequence[str]) -> list[str]:
    """Split words at commas into names of designs; page_fault=atomic,default=global_pool stays one word."""
    parts = [part for word in words for part in ([word] if "=" in word else word.split(","))]
    return [part.strip() for part in parts if part.strip()]


def options_of_each(designs: Sequence[str], given: Mapping[str, str]) -> list[dict[str, str]]:
    """Return for each design those of the given options that it has.

    An option is written NAME or DESIGN.NAME. Raises UsageError for an option that no design has, and for an
    invalid value.
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
    # Invalid values are found before the first run.
    for allocator, own in zip(allocators, chosen, strict=True):
        parse_options(allocator.options, own, allocator.name)
    return chosen


def note_idle_options(
    allocator: Allocator, options: dict[str, Value], given: Iterable[str], cpus: int
) -> list[str]:
    """Return a note for each of the `given` options that has no effect, with what it requires.

    `options` are the values of all options; `given` may be written NAME or DESIGN.NAME.
    """
    notes = []
    for k, part in enumerate(parts_of(allocator)):
        own = allocator.options_of(k, options) if isinstance(allocator, Composite) else options
        for name, needed in part.idle_options(own, cpus).items():
            if {name, f"{part.name}.{name}"} & {*given}:
                notes.append(f"option {name} of {part.name} has no effect: it requires {needed}")
    return notes


def _names(allocator: Allocator) -> set[str]:
    """Return the ways to write the options of a design."""
    own = {option.name for option in allocator.options}
    return own | {f"{allocator.name}.{name}" for name in own} | {name.rpartition(".")[2] for name in own}
