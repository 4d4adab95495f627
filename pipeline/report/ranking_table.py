"""The ranking as a table and in words."""

from __future__ import annotations

import math
from collections.abc import Iterator
from operator import itemgetter

from pipeline.io.numbers import format_number, join_words
from pipeline.report.document import Cell, Heading, Row, Table
from pipeline.report.ranking import Ranking, Standing
from pipeline.report.statistics import CONFIDENCE, Estimate

TIE = "no difference seen"
UNKNOWN = "–"

_HEADINGS = [
    Heading("", "", "place by throughput", True),
    Heading("design", "", "runs that differ in their seed alone are one entry", False),
    Heading("operations", "1/s", "operations completed per second of simulated time", True),
    Heading("against the first", "%", "difference in throughput, and half the width of its interval", True),
    Heading("lost to mapping", "µs", "an operation's map and unmap, each from asking to being served", True),
    Heading("against the first", "µs", "difference of that, and half the width of its interval", True),
    Heading("verdict", "", "", False),
]


def make_ranking_table(ranking: Ranking) -> Table:
    """One table: designs by throughput, then bounds, then runs that did not do the whole trace."""
    rows = [_row(standing, str(place)) for place, standing in enumerate(ranking.standings, 1)]
    rows += [_row(standing, "") for standing in ranking.bounds]
    rows += [_row(standing, "", "did not do the whole trace: not ranked") for standing in ranking.incomplete]
    m = ranking.manifest
    conditions = f"{m.trace.name} on {m.machine.name}, {m.machine.cpus} CPUs, {m.loop} loop"
    if m.lowmem:
        conditions += f", {' and '.join(m.lowmem)} in low memory"
    return Table(_HEADINGS, rows, conditions, " ".join(_verdict(ranking)), list(_notes(ranking)))


def _row(standing: Standing, place: str, remark: str = "") -> Row:
    numbers = [
        _format_estimate(standing.operations_per_second),
        _format_percent(standing.ratio),
        _format_estimate(standing.lost_us),
        _format_difference(standing.dearer_us),
    ]
    cells = [
        Cell(place, number=True),
        Cell(standing.name, names_run=len(standing.runs) == 1),
        *(Cell(number, number=True) for number in numbers),
        Cell(remark or _remark(standing)),
    ]
    return Row(cells, standing.runs, apart=not place)


def _remark(standing: Standing) -> str:
    if standing.unknown:
        words = f"uncertainty unknown: {standing.unknown}"
    elif standing.ratio is None:
        words = "" if standing.bound else "first"
    elif standing.tied:
        words = TIE
    else:
        words = "faster" if standing.ratio.value > 1 else "slower"
    return "; ".join(filter(None, (standing.bound, words)))


def _verdict(ranking: Ranking) -> Iterator[str]:
    """Say in words which design is first, which cannot be told from it, and what the others lose."""
    if not ranking.standings:
        yield "No design did the whole trace."
        return
    first = ranking.standings[0]
    rate = format_number(first.operations_per_second.value, 3)
    if len(ranking.standings) == 1:
        yield f"{first.name} does {rate} operations a second; there is no other design to rank it against."
    else:
        yield f"{first.name} does most: {rate} operations a second."
    if tied := [s.name for s in ranking.standings if s.tied]:
        yield f"No difference from it was seen for {join_words(tied)}."
    if unsure := [s.name for s in ranking.standings if s.unknown]:
        yield f"How sure the difference is cannot be known for {join_words(unsure)}."
    behind = [s for s in ranking.standings if s.ratio is not None and not s.tied and not s.unknown]
    if behind:
        yield f"{'Next' if len(behind) > 1 else 'Behind it'} comes {_behind(behind[0])}."
    if len(behind) > 1:
        yield f"Slowest is {_behind(behind[-1])}."
    costs = [(s.lost_us.value, s.name) for s in ranking.standings if s.lost_us is not None]
    if len(costs) > 1:
        ends = (min(costs, key=itemgetter(0)), max(costs, key=itemgetter(0)))
        least, most = (f"{format_number(cost, 3)} µs with {name}" for cost, name in ends)
        yield f"Mapping takes from {least} to {most} of each operation."
    for bound in ranking.bounds:
        if bound.tied:
            yield f"From {bound.name}, the {bound.bound}, {TIE}."
        elif bound.ratio is not None:
            ratio = bound.ratio.value
            share = f"{format_number(ratio, 2)} times"
            if ratio < 2:
                share = f"{format_number(100 * ratio, 3)} % of"
            yield f"{bound.name}, the {bound.bound}, does {share} that."
    if ranking.incomplete:
        names = join_words([s.name for s in ranking.incomplete])
        yield f"Not ranked, as the trace was not done to its end: {names}."


def _behind(standing: Standing) -> str:
    return f"{standing.name}, {_format_percent(standing.ratio).lstrip('−')} % slower"


def _notes(ranking: Ranking) -> Iterator[str]:
    """How the uncertainty was made, for this ranking."""
    compared = (*ranking.standings, *ranking.bounds)
    methods = {standing.method for standing in compared}
    share = f"{100 * CONFIDENCE:.0f} %"
    if "seeds" in methods:
        yield f"± is half of a {share} interval of Student's t over seeds; differences are paired by seed."
    if "blocks" in methods:
        yield (
            f"± is half of a {share} interval from batch means: the trace's rows are cut into "
            f"{ranking.blocks} blocks, and the runs compared block by block, which meet the same requests "
            "and random draws. It measures the variation within a run, not between seeds; convoys that "
            "outlast a block make it too small."
        )
    if methods & {"seeds", "blocks"}:
        yield "A difference whose interval holds zero is called none; each interval is for itself."
    if unknown := dict.fromkeys(standing.unknown for standing in compared if standing.unknown):
        yield f"Where no ± stands, it is unknown: {'; '.join(unknown)}."


def _format_estimate(estimate: Estimate | None) -> str:
    """A value with the half width of its interval, where that is known."""
    if estimate is None:
        return UNKNOWN
    if estimate.half_width is None:
        return format_number(estimate.value, 3 if estimate.value < 1000 else 4)
    decimals = _decimals(estimate.half_width)
    return f"{estimate.value:,.{decimals}f} ± {estimate.half_width:,.{decimals}f}"


def _format_percent(ratio: Estimate | None) -> str:
    """A ratio as a difference in percent."""
    if ratio is None:
        return UNKNOWN
    width = None if ratio.half_width is None else 100 * ratio.half_width
    return _format_difference(Estimate(100 * (ratio.value - 1), width))


def _format_difference(estimate: Estimate | None) -> str:
    """A value with its sign, and the half width of its interval, where that is known."""
    if estimate is None:
        return UNKNOWN
    decimals = 2 if estimate.half_width is None else _decimals(estimate.half_width)
    value = round(estimate.value, decimals)
    sign = "−" if value < 0 else "+" if value > 0 else ""
    text = f"{sign}{abs(value):,.{decimals}f}"
    return text if estimate.half_width is None else f"{text} ± {estimate.half_width:,.{decimals}f}"


def _decimals(half_width: float) -> int:
    """Digits behind the point such that the width has two that count, at most four."""
    if half_width <= 0:
        return 1
    return min(4, max(0, 1 - math.floor(math.log10(half_width))))
