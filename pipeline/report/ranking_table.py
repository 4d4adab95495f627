"""The ranking as a table and in words."""

from __future__ import annotations

import math

from pipeline.io.numbers import format_number, join_words
from pipeline.report.cells import Cell, Head, Row, Table
from pipeline.report.ranking import Ranking, Standing
from pipeline.report.statistics import CONFIDENCE, Estimate

TIE = "no difference seen"
UNKNOWN = "–"

_HEADS = [
    Head("", "", "place by throughput", True),
    Head("design", "", "runs that differ in their seed alone are one entry", False),
    Head("operations", "1/s", "operations completed per second of simulated time", True),
    Head("against the first", "%", "difference in throughput, and half the width of its interval", True),
    Head("lost to mapping", "µs", "an operation's map and unmap, each from asking to being served", True),
    Head("against the first", "µs", "difference of that, and half the width of its interval", True),
    Head("verdict", "", "", False),
]


def ranking_table(ranking: Ranking) -> Table:
    """One table: designs by throughput, then bounds, then runs that did not do the whole trace."""
    rows = [_row(standing, str(place)) for place, standing in enumerate(ranking.standings, 1)]
    rows += [_row(standing, "") for standing in ranking.bounds]
    rows += [_row(standing, "", "did not do the whole trace: not ranked") for standing in ranking.incomplete]
    conditions = f"{ranking.trace} on {ranking.machine}, {ranking.cpus} CPUs, {ranking.loop} loop"
    if ranking.lowmem:
        conditions += f", {' and '.join(ranking.lowmem)} in low memory"
    return Table(conditions, verdict(ranking), _HEADS, rows, notes=notes(ranking))


def _row(standing: Standing, place: str, said: str = "") -> Row:
    cost = standing.lost_us
    cells = [
        Cell(place, number=True),
        Cell(standing.name, names_run=len(standing.runs) == 1),
        Cell(_plus_minus(standing.operations_per_second), number=True),
        Cell(_percent(standing.ratio), number=True),
        Cell(UNKNOWN if cost is None else _plus_minus(cost), number=True),
        Cell(_signed(standing.dearer_us), number=True),
        Cell(said or _said(standing)),
    ]
    return Row(cells, standing.runs, apart=bool(not place))


def _said(standing: Standing) -> str:
    if standing.unknown:
        words = f"uncertainty unknown: {standing.unknown}"
    elif standing.ratio is None:
        words = "" if standing.bound else "first"
    elif standing.tied:
        words = TIE
    else:
        words = "faster" if standing.ratio.value > 1 else "slower"
    return "; ".join(filter(None, (standing.bound, words)))


def verdict(ranking: Ranking) -> str:
    """Say in words who is first, who cannot be told from it, and what the others lose."""
    first = ranking.reference
    if first is None:
        return "No design did the whole trace."
    rate = format_number(first.operations_per_second.value, 3)
    if len(ranking.standings) == 1:
        words = [
            f"{first.name} does {rate} operations a second; there is no other design to rank it against."
        ]
    else:
        words = [f"{first.name} does most: {rate} operations a second."]
    tied = [s.name for s in ranking.standings if s.tied]
    if tied:
        words.append(f"No difference from it was seen for {join_words(tied)}.")
    unsure = [s.name for s in ranking.standings if s.unknown]
    if unsure:
        words.append(f"How sure the difference is cannot be known for {join_words(unsure)}.")
    behind = [s for s in ranking.standings if s.ratio is not None and not s.tied and not s.unknown]
    if behind:
        words.append(f"{'Next' if len(behind) > 1 else 'Behind it'} comes {_behind(behind[0])}.")
    if len(behind) > 1:
        words.append(f"Slowest is {_behind(behind[-1])}.")
    costs = [s for s in ranking.standings if s.lost_us is not None]
    if len(costs) > 1:
        ends = [min(costs, key=_cost), max(costs, key=_cost)]
        each = [f"{format_number(_cost(s), 3)} µs with {s.name}" for s in ends]
        words.append(f"Mapping takes from {each[0]} to {each[1]} of each operation.")
    words += [_beside(bound, first) for bound in ranking.bounds if bound.ratio is not None]
    if ranking.incomplete:
        names = join_words([s.name for s in ranking.incomplete])
        words.append(f"Not ranked, as the trace was not done to its end: {names}.")
    return " ".join(words)


def _cost(standing: Standing) -> float:
    return standing.lost_us.value if standing.lost_us else 0.0


def _behind(standing: Standing) -> str:
    return f"{standing.name}, {_percent(standing.ratio).lstrip('−')} % slower"


def _beside(bound: Standing, first: Standing) -> str:
    """How far the first design is from a bound."""
    assert bound.ratio is not None
    if bound.tied:
        return f"From {bound.name}, the {bound.bound}, {TIE}."
    return f"{bound.name}, the {bound.bound}, does {_share(bound.ratio.value)} that."


def _share(ratio: float) -> str:
    return f"{format_number(ratio, 2)} times" if ratio >= 2 else f"{format_number(100 * ratio, 3)} % of"


def notes(ranking: Ranking) -> list[str]:
    """How the uncertainty was made, for this ranking."""
    methods = {s.method for s in (*ranking.standings, *ranking.bounds)}
    share = f"{100 * CONFIDENCE:.0f} %"
    lines = []
    if "seeds" in methods:
        lines.append(
            f"± is half of a {share} interval of Student's t over seeds; differences are paired by seed."
        )
    if "blocks" in methods:
        lines.append(
            f"± is half of a {share} interval from batch means: the trace's rows are cut into "
            f"{ranking.blocks} blocks, and the runs compared block by block, which meet the same requests "
            "and random draws. It measures the variation within a run, not between seeds; convoys that "
            "outlast a block make it too small."
        )
    if methods & {"seeds", "blocks"}:
        lines.append("A difference whose interval holds zero is called none; each interval is for itself.")
    unknown = dict.fromkeys(s.unknown for s in (*ranking.standings, *ranking.bounds) if s.unknown)
    if unknown:
        lines.append(f"Where no ± stands, it is unknown: {'; '.join(unknown)}.")
    return lines


def _plus_minus(estimate: Estimate) -> str:
    if estimate.half_width is None:
        return format_number(estimate.value, 3 if estimate.value < 1000 else 4)
    decimals = _decimals(estimate.half_width)
    return f"{estimate.value:,.{decimals}f} ± {estimate.half_width:,.{decimals}f}"


def _percent(ratio: Estimate | None) -> str:
    """A ratio as a difference in percent."""
    if ratio is None:
        return UNKNOWN
    width = None if ratio.half_width is None else 100 * ratio.half_width
    return _signed(Estimate(100 * (ratio.value - 1), width))


def _signed(estimate: Estimate | None) -> str:
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
