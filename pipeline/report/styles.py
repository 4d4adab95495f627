"""How a report is styled: colours and dashes of runs and parts.

A colour is a name of the style sheet, which says what it is in light and in dark, and means one thing in all
documents. Runs have eight colours that people with colour-blindness can tell apart (after Okabe and Ito,
Color Universal Design, 2008, darkened or lightened for contrast); beyond eight runs, dashes tell repeated
colours apart. A shipped design has a look of its own wherever it is drawn, unless another one of the document
has the colour. Bounds have one neutral colour and differ by their dashes. What CPUs and holds are made of has
colours that no run has.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import cycle
from typing import Any

from pipeline.io.resources import shipped_folder
from pipeline.runs.store import Run

RUN_COLOURS = 8
SERIES_COLOURS = 10
DASHES: tuple[tuple[int, ...], ...] = ((1, 0), (6, 3), (2, 2), (9, 3, 2, 3))
BOUND_DASHES: tuple[tuple[int, ...], ...] = ((4, 3), (1, 3), (8, 3, 1, 3))
BOUND_COLOUR = "bound"

# Designs by the look that is theirs: a colour, and after all colours a dash.
_LOOKS = (
    "global_pool", "percpu_pinned", "atomic", "kmap_local", "lockless_pool", "per_process", "deferred_flush",
    "sf_buf", "split_pool", "epoch_pool", "global_pool_invlpg", "percpu_cached", "series_pool", "mermap",
    "xen_mapcache",
)  # fmt: skip
# Parts of charts that have a colour of their own, by the name of which the sheet knows it.
PARTS = (
    "idle", "compute", "in_use", "critical", "scan", "spin", "flush", "interrupted", "switch", "map or unmap",
    "hold", "local_flush", "search", "pte_write", "line traffic", "book-keeping, interrupts", "rest",
)  # fmt: skip


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

    @cached_property
    def _looks(self) -> dict[str, int]:
        """Number of each design's look: of its colour, and of its dash times RUN_COLOURS."""
        homes = {name: look for name in self.allocators if (look := _home(name)) is not None}
        looks: dict[str, int] = {}
        # Of designs with one colour, the one without dashes keeps it.
        for name, look in sorted(homes.items(), key=lambda home: home[1]):
            if look % RUN_COLOURS not in {taken % RUN_COLOURS for taken in looks.values()}:
                looks[name] = look
        every = RUN_COLOURS * max(len(DASHES), len(self.allocators))
        for name in self.allocators:
            if name not in looks:
                colours = {look % RUN_COLOURS for look in looks.values()}
                free = [look for look in range(every) if look not in looks.values()]
                looks[name] = next((look for look in free if look % RUN_COLOURS not in colours), free[0])
        return looks

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
        return f"run-{self._looks[name] % RUN_COLOURS}"

    def dash(self, name: str) -> list[int]:
        """Dash pattern of the run, drawn and left out by turns, in pixels."""
        name = self.shown(name)
        if name in self.measured:
            return list(DASHES[0])
        if name in self.bounds:
            return list(BOUND_DASHES[list(self.bounds).index(name) % len(BOUND_DASHES)])
        return list(DASHES[self._looks[name] // RUN_COLOURS % len(DASHES)])

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


def _home(name: str) -> int | None:
    """The look of a run's design; None if it has none of its own."""
    design = re.split(r"[ ,(]", name, maxsplit=1)[0]
    return _LOOKS.index(design) if design in _LOOKS else None


def part_colour(part: str) -> str:
    """Name of the colour of a part that has one of its own."""
    return f"part-{re.sub('[ _,]+', '-', part)}"


def part_colours(parts: Sequence[Any]) -> dict[str, str]:
    """Name of the colour of each part of stacked bars."""
    free = cycle(f"series-{i}" for i in range(SERIES_COLOURS))
    return {str(part): part_colour(part) if part in PARTS else next(free) for part in parts}


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
