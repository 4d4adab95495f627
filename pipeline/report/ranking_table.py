"""The ranking as a table and in words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from operator import itemgetter

from pipeline.io.numbers import format_number, join_words
from pipeline.report.basis import describe_extrapolation, is_extrapolated
from pipeline.report.document import Cell, Heading, Row, Table
from pipeline.report.ranking import NEGLIGIBLE, Ranking, Standing
from pipeline.statistics import CONFIDENCE, POWER, Estimate, units_to_see

UNKNOWN = "–"
CANNOT_TELL = "cannot tell"
EXTRAPOLATED = "†"
_LITTLE = f"{100 * NEGLIGIBLE:g} %"
_TRACES_NAMED = 4
_OFTEN = f"{100 * POWER:.0f} of 100"

_HEADINGS = [
    Heading("", "", "place by throughput", True),
    Heading("design", "", "runs that differ in the seeds of trace and run alone are one entry", False),
    Heading("operations", "1/s", "operations completed per second of simulated time", True),
    Heading("against the first", "%", "difference in throughput, and half the width of its interval", True),
    Heading("visible from", "%", f"the difference that {_OFTEN} such comparisons would find", True),
    Heading(
        f"runs to see {_LITTLE}", "", f"different runs of each design of which {_OFTEN} would find that", True
    ),
    Heading("lost to mapping", "µs", "an operation's map and unmap, each from asking to being served", True),
    Heading("against the first", "µs", "difference of that, and half the width of its interval", True),
    Heading("verdict", "", "", False),
]


def make_ranking_table(ranking: Ranking) -> Table:
    """One table: designs by throughput, then bounds, then runs that did not do the whole trace."""
    beyond = is_extrapolated(ranking.manifest)
    rows = [_row(standing, str(place), beyond) for place, standing in enumerate(ranking.standings, 1)]
    rows += [_row(standing, "", beyond) for standing in ranking.bounds]
    rows += [
        _row(standing, "", beyond, "did not do the whole trace: not ranked")
        for standing in ranking.incomplete
    ]
    return Table(_HEADINGS, rows, _conditions(ranking), " ".join(_verdict(ranking)), list(_notes(ranking)))


def _conditions(ranking: Ranking) -> str:
    m = ranking.manifest
    traces = join_words(ranking.traces)
    if len(ranking.traces) > _TRACES_NAMED:
        traces = f"{len(ranking.traces)} traces of {m.trace.metadata['source']['name']}"
    words = [f"{traces} on {m.machine.name}", f"{m.machine.cpus} CPUs", f"{m.loop} loop"]
    if m.jitter_percent:
        words.append(f"jitter {m.jitter_percent:g} %")
    if m.lowmem:
        words.append(f"{' and '.join(m.lowmem)} in low memory")
    return ", ".join(words)


def _row(standing: Standing, place: str, extrapolated: bool, remark: str = "") -> Row:
    numbers = [
        _format_estimate(standing.operations_per_second) + EXTRAPOLATED * extrapolated,
        _format_percent(standing.ratio),
        _format_visible([standing]) or UNKNOWN,
        _format_units(standing),
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


def _format_units(standing: Standing) -> str:
    """How many runs would see a negligible difference."""
    if standing.ratio is None or not standing.deviation:
        return UNKNOWN
    return format_number(units_to_see(standing.deviation, NEGLIGIBLE, standing.ratio.comparisons))


def _remark(standing: Standing) -> str:
    words = {
        "": "" if standing.bound else "first",
        "alike": f"alike within {_LITTLE}",
        "identical": "did exactly the same",
        "unknown": f"{CANNOT_TELL}: {standing.unknown}",
    }.get(standing.verdict, standing.verdict)
    once = "not replicated" if standing.method == "blocks" else ""
    return "; ".join(filter(None, (standing.bound, words, once)))


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

    def judged(*verdicts: str) -> list[Standing]:
        return [standing for standing in ranking.standings if standing.verdict in verdicts]

    if same := judged("identical"):
        yield f"Exactly the same did {_names(same)}."
    if alike := judged("alike"):
        yield f"Within {_LITTLE} of it {'is' if len(alike) == 1 else 'are'} {_names(alike)}."
    if unclear := judged("cannot tell"):
        yield (
            f"Whether it differs from {_names(unclear)} cannot be told: only differences of "
            f"{_format_visible(unclear)} % or more would be seen."
        )
    if unsure := judged("unknown"):
        yield f"How sure the difference is cannot be known for {_names(unsure)}."
    if behind := judged("slower", "faster"):
        yield f"{'Next' if len(behind) > 1 else 'Behind it'} comes {_behind(behind[0])}."
    if len(behind) > 1:
        yield f"Slowest is {_behind(behind[-1])}."
    costs = [(s.lost_us.value, s.name) for s in ranking.standings if s.lost_us is not None]
    if len(costs) > 1:
        ends = (min(costs, key=itemgetter(0)), max(costs, key=itemgetter(0)))
        least, most = (f"{format_number(cost, 3)} µs with {name}" for cost, name in ends)
        yield f"Mapping takes from {least} to {most} of each operation."
    for bound in ranking.bounds:
        yield from _judge_bound(bound)
    if ranking.incomplete:
        yield f"Not ranked, as the trace was not done to its end: {_names(ranking.incomplete)}."


def _judge_bound(bound: Standing) -> Iterator[str]:
    """Say how a bound compares with the first design."""
    if bound.verdict == "cannot tell":
        yield f"Whether it differs from {bound.name}, the {bound.bound}, cannot be told."
    elif bound.verdict in ("alike", "identical"):
        yield f"It is within {_LITTLE} of {bound.name}, the {bound.bound}."
    elif bound.ratio is not None:
        ratio = bound.ratio.value
        share = f"{format_number(100 * ratio, 3)} % of" if ratio < 2 else f"{format_number(ratio, 2)} times"
        yield f"{bound.name}, the {bound.bound}, does {share} that."


def _behind(standing: Standing) -> str:
    once = " in a single run" if standing.method == "blocks" else ""
    return f"{standing.name}, {_format_percent(standing.ratio).lstrip('−')} % slower{once}"


def _names(standings: Sequence[Standing]) -> str:
    return join_words([standing.name for standing in standings])


def _notes(ranking: Ranking) -> Iterator[str]:
    """How the uncertainty was made, for this ranking."""
    if beyond := describe_extrapolation(ranking.manifest):
        yield f"{EXTRAPOLATED} {beyond}"
    compared = (*ranking.standings, *ranking.bounds)
    methods = {standing.method for standing in compared}
    share = f"{100 * CONFIDENCE:.0f} %"
    if again := [standing for standing in compared if standing.different < len(standing.runs)]:
        yield (
            f"Runs with equal fingerprints are one run that was made again, and count once: {_names(again)}. "
            "Different runs want other trace seeds, or --jitter with other seeds."
        )
    if "replications" in methods:
        yield (
            f"± is half of a {share} interval of Student's t over different runs. Designs are compared run "
            "by run, in pairs of one trace and one seed, which meet the same requests and random draws."
        )
        if saved := describe_pairing([s.ratio for s in compared if s.method == "replications" and s.ratio]):
            yield saved
    if "blocks" in methods:
        yield (
            f"Not replicated: ± is half of a {share} interval from batch means. The trace's rows are cut "
            f"into {ranking.blocks} blocks, and the runs compared block by block, which meet the same "
            "requests and random draws. It measures the variation within a run, not between runs; convoys "
            "that outlast a block make it too small, and how many runs would see 1 % is a guess. The cost's "
            "difference has none, as its blocks depend on one another."
        )
    if methods & {"replications", "blocks"}:
        yield (
            f"Where an interval holds zero, designs are alike if it lies within ± {_LITTLE}; if it does not, "
            "these runs cannot tell."
        )
    if methods & {"replications", "blocks"} and ranking.comparisons > 1:
        yield (
            f"All {ranking.comparisons} pairs of designs are compared at once: in {share} of such reports, "
            "every interval of a column of differences holds what it should, whichever design comes first."
        )
    if unknown := dict.fromkeys(standing.unknown for standing in compared if standing.unknown):
        yield f"Where no ± stands, it is unknown: {'; '.join(unknown)}."


def describe_pairing(ratios: Sequence[Estimate]) -> str:
    """Say what comparing in pairs saved."""
    shares = sorted(100 * s for s in (ratio.variance_share for ratio in ratios) if s is not None)
    if not shares:
        return ""
    ends = ("less than 0.1 %" if s < 0.1 else f"{format_number(s, 2)} %" for s in (shares[0], shares[-1]))
    words = " to ".join(dict.fromkeys(ends))
    return f"In pairs, the differences have {words} of the variance that they would have unpaired."


def _format_visible(standings: Sequence[Standing]) -> str:
    """The smallest difference that would be seen of each of them, in per cent; "" where that is not known."""
    known = [s.ratio.smallest_visible for s in standings if s.ratio and s.ratio.smallest_visible is not None]
    return format_number(100 * max(known), 2) if known else ""


def _format_estimate(estimate: Estimate | None) -> str:
    """A value with the half width of its interval, where that is known."""
    if estimate is None:
        return UNKNOWN
    if not estimate.half_width:
        text = format_number(estimate.value, 3 if estimate.value < 1000 else 4)
        return text if estimate.half_width is None else f"{text} ± 0"
    decimals = _decimals(estimate.half_width)
    return f"{estimate.value:,.{decimals}f} ± {estimate.half_width:,.{decimals}f}"


def _format_percent(ratio: Estimate | None) -> str:
    """A ratio as a difference in percent."""
    if ratio is None:
        return UNKNOWN
    return _format_difference(ratio.scaled(100, 1))


def _format_difference(estimate: Estimate | None) -> str:
    """A value with its sign, and the half width of its interval, where that is known."""
    if estimate is None:
        return UNKNOWN
    decimals = _decimals(estimate.half_width) if estimate.half_width else 2
    value = round(estimate.value, decimals)
    sign = "−" if value < 0 else "+" if value > 0 else ""
    text = f"{sign}{abs(value):,.{decimals}f}"
    return text if estimate.half_width is None else f"{text} ± {estimate.half_width:,.{decimals}f}"


def _decimals(half_width: float) -> int:
    """Digits behind the point such that the width has two that count, at most six."""
    return min(6, max(0, 1 - math.floor(math.log10(half_width))))
