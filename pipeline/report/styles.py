"""Styles of a report: colours and dashes of runs and of parts.

Colours are names in the style sheet, which defines them for the light and the dark theme. A colour has the
same meaning in all documents. Runs have eight colours that colour-blind readers can distinguish (after Okabe
and Ito, Color Universal Design, 2008, adjusted for contrast). With more than eight runs, dashes distinguish
runs of the same colour. A shipped design has the same style in every report, unless another design of the
report has its colour. Bounds have one neutral colour and differ in their dashes. Categories of CPU time and
of hold time have colours that no run has.
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

# Designs in the order of their style: the colour, and after all colours the dash.
_LOOKS = (
    "global_pool", "percpu_pinned", "atomic", "kmap_local", "lockless_pool", "per_process", "deferred_flush",
    "sf_buf", "split_pool", "epoch_pool", "global_pool_invlpg", "percpu_cached", "series_pool", "mermap",
    "xen_mapcache",
)  # fmt: skip
# Parts of charts with a colour of their own in the style sheet.
PARTS = (
    "idle", "compute", "in_use", "critical", "scan", "spin", "flush", "interrupted", "switch", "map or unmap",
    "hold", "local_flush", "search", "pte_write", "line traffic", "book-keeping, interrupts", "rest",
)  # fmt: skip


@dataclass(frozen=True)
class RunStyles:
    """The runs of a report in drawing order, designs before bounds, with their styles."""

    allocators: tuple[str, ...]
    bounds: dict[str, str]
    """Runs that are drawn as bounds, each with a description of the bound."""
    measured: tuple[str, ...] = ()
    """Tables of measured locks, which appear only in tables."""
    representatives: Mapping[str, str] = field(default_factory=dict)
    """Runs that are not drawn, each with the replication that represents it."""

    @cached_property
    def _looks(self) -> dict[str, int]:
        """Number of each design's style: its colour + RUN_COLOURS x its dash."""
        homes = {name: look for name in self.allocators if (look := _home(name)) is not None}
        looks: dict[str, int] = {}
        # Of several designs with the same colour, the one without dashes keeps it.
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
        """Sort `names` in drawing order; unknown names are removed."""
        return [name for name in self.names if name in names]

    def colour(self, name: str) -> str:
        """Name of the run's colour in the style sheet."""
        name = self.shown(name)
        if name not in self.allocators:
            return BOUND_COLOUR
        return f"run-{self._looks[name] % RUN_COLOURS}"

    def dash(self, name: str) -> list[int]:
        """Dash pattern of the run: lengths of dashes and gaps, in pixels."""
        name = self.shown(name)
        if name in self.measured:
            return list(DASHES[0])
        if name in self.bounds:
            return list(BOUND_DASHES[list(self.bounds).index(name) % len(BOUND_DASHES)])
        return list(DASHES[self._looks[name] // RUN_COLOURS % len(DASHES)])

    def shown(self, name: str) -> str:
        """The run that represents this replication; the run itself if it is drawn."""
        return self.representatives.get(name, name)

    def label(self, name: str) -> str:
        """The name of the run, with the description of a bound, or a note that it was measured."""
        what = "measured locks" if name in self.measured else self.bounds.get(name)
        return f"{name} ({what})" if what else name


def style_runs(runs: Sequence[Run], measured: Sequence[str] = ()) -> RunStyles:
    """Separate designs from bounds; if all runs are bounds, they are drawn as designs."""
    bounds = {run.name: run.manifest.allocator.bound for run in runs if run.manifest.allocator.bound}
    if len(bounds) == len(runs):
        bounds = {}
    return RunStyles(tuple(run.name for run in runs if run.name not in bounds), bounds, tuple(measured))


def _home(name: str) -> int | None:
    """Number of the style of a run's design; None if it has none of its own."""
    design = re.split(r"[ ,(]", name, maxsplit=1)[0]
    return _LOOKS.index(design) if design in _LOOKS else None


def part_colour(part: str) -> str:
    """Name of the colour of a part with its own colour."""
    return f"part-{re.sub('[ _,]+', '-', part)}"


def part_colours(parts: Sequence[Any]) -> dict[str, str]:
    """Name of the colour of each part of stacked bars."""
    free = cycle(f"series-{i}" for i in range(SERIES_COLOURS))
    return {str(part): part_colour(part) if part in PARTS else next(free) for part in parts}


def css(name: str) -> str:
    """Reference to a colour of the style sheet."""
    return f"var(--{name})"


def shipped_text(name: str) -> str:
    """Read a file of `reports/`."""
    return (shipped_folder("reports") / name).read_text(encoding="utf-8").strip()


def vega_config() -> dict[str, Any]:
    """Vega's settings for the appearance of all charts, with colours of the style sheet."""
    config: dict[str, Any] = json.loads(shipped_text("vega_config.json"))
    return config


def resolve_light_colours(content: Any) -> Any:
    """Replace references to the style sheet in `content` by the colours of the light theme."""
    sheet = shipped_text("page.css")
    # The light theme is the sheet's first block.
    colours = re.findall(r"--([\w-]+):\s*([^;]+);", sheet[: sheet.index("}")])
    text = json.dumps(content, ensure_ascii=False)
    for name, value in colours:
        text = text.replace(css(name), value.strip())
    return json.loads(text)
