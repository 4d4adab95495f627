"""How a report is styled: colours and dashes of runs and parts.

A colour is a name of the style sheet, which says what it is in light and in dark. Runs have by position eight
colours that people with colour-blindness can tell apart (after Okabe and Ito, Color Universal Design, 2008,
darkened or lightened for contrast); beyond eight runs, dashes tell repeated colours apart. Bounds have one
neutral colour and differ by their dashes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

from pipeline.io.resources import shipped_folder
from pipeline.runs.store import Run

RUN_COLOURS = 8
SERIES_COLOURS = 10
DASHES: tuple[tuple[int, ...], ...] = ((1, 0), (6, 3), (2, 2), (9, 3, 2, 3))
BOUND_DASHES: tuple[tuple[int, ...], ...] = ((4, 3), (1, 3), (8, 3, 1, 3))
BOUND_COLOUR = "bound"

# What is drawn in several charts has one colour in all of them.
WORK_COLOURS = {"scan": "series-4", "spin": "series-5", "flush": "series-6", "interrupted": "series-7"}


@dataclass(frozen=True)
class RunStyles:
    """The runs of a report in the order of drawing, designs before bounds, and how each looks."""

    allocators: tuple[str, ...]
    bounds: dict[str, str]
    """Runs that are drawn as bounds, with what they bound."""
    measured: tuple[str, ...] = ()
    """Tables of measured locks, which are no runs and stand in tables alone."""
    representatives: Mapping[str, str] = field(default_factory=dict)
    """Runs that are not drawn themselves, each with the replication that is."""

    @property
    def names(self) -> tuple[str, ...]:
        """Every run, and every table of measured locks."""
        return (*self.allocators, *self.bounds, *self.measured)

    def sort(self, names: Collection[str]) -> list[str]:
        """Put `names` in the order of drawing; unknown ones are left out."""
        return [name for name in self.names if name in names]

    def colour(self, name: str) -> str:
        """Name of the run's colour in the style sheet."""
        name = self.shown(name)
        if name not in self.allocators:
            return BOUND_COLOUR
        return f"run-{self.allocators.index(name) % RUN_COLOURS}"

    def dash(self, name: str) -> list[int]:
        """Dash pattern of the run, drawn and left out by turns, in pixels."""
        name = self.shown(name)
        if name in self.measured:
            return list(DASHES[0])
        if name in self.bounds:
            return list(BOUND_DASHES[list(self.bounds).index(name) % len(BOUND_DASHES)])
        return list(DASHES[self.allocators.index(name) // RUN_COLOURS % len(DASHES)])

    def shown(self, name: str) -> str:
        """The run that stands for one of its replications; the run itself if it is drawn."""
        return self.representatives.get(name, name)

    def label(self, name: str) -> str:
        """The run's name, and what it bounds, or that it was measured."""
        what = "measured locks" if name in self.measured else self.bounds.get(name)
        return f"{name} ({what})" if what else name


def style_runs(runs: Sequence[Run], measured: Sequence[str] = ()) -> RunStyles:
    """Tell designs from bounds; where there is nothing else, the bounds are drawn as designs are."""
    bounds = {run.name: run.manifest.allocator.bound for run in runs if run.manifest.allocator.bound}
    if len(bounds) == len(runs):
        bounds = {}
    return RunStyles(tuple(run.name for run in runs if run.name not in bounds), bounds, tuple(measured))


def part_colours(parts: Sequence[Any]) -> dict[str, str]:
    """Name of the colour of each part of stacked bars."""
    own = [f"series-{i}" for i in range(SERIES_COLOURS)]
    free = cycle(colour for colour in own if colour not in WORK_COLOURS.values())
    return {str(part): WORK_COLOURS.get(part) or next(free) for part in parts}


def css(name: str) -> str:
    """Refer to a colour of the style sheet."""
    return f"var(--{name})"


def shipped_text(name: str) -> str:
    """Read a file of the page's own."""
    return (shipped_folder("reports") / name).read_text(encoding="utf-8").strip()


def vega_config() -> dict[str, Any]:
    """How charts look apart from their data: Vega's settings, with colours of the style sheet."""
    config: dict[str, Any] = json.loads(shipped_text("vega_config.json"))
    return config


def resolve_light_colours(content: Any) -> Any:
    """Put the light theme's colours in place of references to the style sheet, anywhere in `content`."""
    sheet = shipped_text("page.css")
    # The light theme is the sheet's first block.
    colours = re.findall(r"--([\w-]+):\s*([^;]+);", sheet[: sheet.index("}")])
    text = json.dumps(content, ensure_ascii=False)
    for name, value in colours:
        text = text.replace(css(name), value.strip())
    return json.loads(text)
