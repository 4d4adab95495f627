"""Who is drawn how: colours and dashes by position; the style sheet says what each is, in light and in dark.

Eight colours that people with colour-blindness can tell apart (after Okabe and Ito, Color Universal Design,
2008, darkened or lightened for contrast); beyond eight runs, dashes tell repeated colours apart. Bounds are
drawn in one neutral colour and told apart by their dashes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pipeline.runs.discovery import RunFound

RUN_COLOURS = 8
SERIES_COLOURS = 10
DASHES: tuple[tuple[int, ...], ...] = ((1, 0), (6, 3), (2, 2), (9, 3, 2, 3))
BOUND_DASHES: tuple[tuple[int, ...], ...] = ((4, 3), (1, 3), (8, 3, 1, 3))
BOUND_COLOUR = "bound"


@dataclass(frozen=True)
class Cast:
    """The runs of a report in the order in which they are drawn: designs, then bounds."""

    allocators: tuple[str, ...]
    bounds: dict[str, str]
    """Runs that are drawn as bounds, with what they bound."""

    @property
    def names(self) -> tuple[str, ...]:
        """Every run."""
        return (*self.allocators, *self.bounds)

    def among(self, names: Collection[str]) -> list[str]:
        """Those of `names`, in order."""
        return [name for name in self.names if name in names]

    def colour(self, name: str) -> str:
        """Name of the run's colour in the style sheet."""
        return BOUND_COLOUR if name in self.bounds else f"run-{self.allocators.index(name) % RUN_COLOURS}"

    def dash(self, name: str) -> list[int]:
        """Dash pattern of the run, drawn and left out by turns, in pixels."""
        if name in self.bounds:
            return list(BOUND_DASHES[list(self.bounds).index(name) % len(BOUND_DASHES)])
        return list(DASHES[self.allocators.index(name) // RUN_COLOURS % len(DASHES)])

    def said(self, name: str) -> str:
        """The run's name, and what it bounds."""
        return f"{name} ({self.bounds[name]})" if name in self.bounds else name


def cast(runs: Sequence[RunFound]) -> Cast:
    """Tell designs from bounds; where there is nothing else, the bounds are what is looked at."""
    bounds = {run.name: run.manifest.allocator.bound for run in runs if run.manifest.allocator.bound}
    if len(bounds) == len(runs):
        bounds = {}
    return Cast(tuple(run.name for run in runs if run.name not in bounds), bounds)


def css(name: str) -> str:
    """Refer to a colour of the style sheet."""
    return f"var(--{name})"


# What is drawn in several charts has one colour in all of them.
WORK_COLOURS = {"scan": "series-4", "spin": "series-5", "flush": "series-6", "interrupted": "series-7"}


def part_colours(parts: Sequence[str]) -> dict[str, str]:
    """Name of the colour of each part of stacked bars."""
    own = [f"series-{i}" for i in range(SERIES_COLOURS)]
    free = [colour for colour in own if colour not in WORK_COLOURS.values()]
    others = [part for part in parts if part not in WORK_COLOURS]
    places = {part: free[i % len(free)] for i, part in enumerate(others)}
    return {part: WORK_COLOURS.get(part) or places[part] for part in parts}
