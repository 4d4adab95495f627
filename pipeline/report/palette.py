"""Colours and dashes by position; the page's style sheet says what each is, in light and in dark.

Eight colours that people with colour-blindness can tell apart (after Okabe and Ito, Color Universal Design,
2008, darkened or lightened for contrast); beyond eight runs, dashes tell repeated colours apart.
"""

from __future__ import annotations

RUN_COLOURS = 8
SERIES_COLOURS = 10
DASHES: tuple[tuple[int, ...], ...] = ((1, 0), (6, 3), (2, 2), (9, 3, 2, 3))


def run_colour(position: int) -> str:
    """CSS colour of the run at `position`."""
    return f"var(--run-{position % RUN_COLOURS})"


def run_dash(position: int) -> list[int]:
    """Dash pattern of the run at `position`, drawn and left out by turns, in pixels."""
    return list(DASHES[position // RUN_COLOURS % len(DASHES)])


def series_colour(position: int) -> str:
    """CSS colour of the part at `position` of a stacked bar."""
    return f"var(--series-{position % SERIES_COLOURS})"
