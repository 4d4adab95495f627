"""The ranking as a table and in words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from pipeline.io.numbers import format_change, format_duration, format_number, join_words
from pipeline.report.answer import LITTLE, describe_answer
from pipeline.report.basis import describe_extrapolation, is_extrapolated
from pipeline.report.document import Cell, Heading, Row, Table
from pipeline.report.standing import NEGLIGIBLE, Ranking, Standing
from pipeline.runs.store import describe_costs, varying_costs
from pipeline.statistics import CONFIDENCE, POWER, Estimate, units_to_see

UNKNOWN = "–"
CANNOT_TELL = "cannot tell"
EXTRAPOLATED = "†"
_AS_FACTOR = 3.0
_TRACES_NAMED = 4
_OFTEN = f"{100 * POWER:.0f} of 100"

_HEADINGS = [
    Heading("", "", "place by throughput", True),
    Heading("design", "", "design; runs that differ only in the seeds of trace and run are one entry", False),
    Heading("operations", "1/s", "operations completed per second of simulated time", True),
    Heading("against the first", "%", "difference in throughput, with its interval", True),
    Heading("request to mapped", "", "time from request to mapped, mean", True),
    Heading("against the first", "%", "difference in this time, with its interval", True),
    Heading(
        "lost to mapping",
        "",
        "time from request to mapped plus time from unmap request to done, per operation",
        True,
    ),
    Heading("CPU time", "", "CPU time per operation, without idle time", True),
    Heading("idle", "%", "share of CPU time without a task to run", True),
    Heading("verdict", "", "", False),
]


def make_ranking_table(ranking: Ranking, title: str = "") -> Table:
    """One table: designs by throughput, bounds, and designs that are not ranked; `title` is its heading."""
    beyond = is_extrapolated(ranking.manifest)
    rows = [_row(standing, str(place), beyond) for place, standing in enumerate(ranking.standings, 1)]
    rows += [_row(standing, "", beyond) for standing in (*ranking.bounds, *ranking.disqualified)]
    return Table(
        _HEADINGS,
        rows,
        title or describe_conditions(ranking),
        describe_answer(ranking),
        list(_notes(ranking)),
    )


def describe_conditions(ranking: Ranking) -> str:
    """Describe the conditions that all runs of a ranking share."""
    m = ranking.manifest
    traces = join_words(ranking.traces)
    if len(ranking.traces) > _TRACES_NAMED:
        traces = f"{len(ranking.traces)} traces of {m.trace.metadata['source']['name']}"
    words = [f"{traces} on {m.machine.name}", f"{m.machine.cpus} CPUs", f"{m.loop} loop"]
    if len(ranking.standings) > 1 and all(standing.different == 1 for standing in ranking.standings):
        words.append("a single run of each design")
    if m.jitter_percent:
        words.append(f"jitter {m.jitter_percent:g} %")
    if m.lowmem and ranking.same_lowmem:
        words.append(f"{' and '.join(m.lowmem)} in low memory")
    return ", ".join(words)


def name_rankings(rankings: Sequence[Ranking]) -> list[str]:
    """A title for each of several rankings; equal titles are extended by what distinguishes them."""
    titles = [describe_conditions(ranking) for ranking in rankings]
    again = [title for title in dict.fromkeys(titles) if titles.count(title) > 1]
    for title in again:
        places = [place for place, one in enumerate(titles) if one == title]
        manifests = [rankings[place].manifest for place in places]
        traces = len({m.trace.sha256 for m in manifests}) > 1
        costs = varying_costs(manifests)
        for place, m in zip(places, manifests, strict=True):
            words = [f"trace {m.trace.sha256[:8]}"] if traces else []
            titles[place] = ", ".join([title, *words, *filter(None, [describe_costs(m, costs)])])
    return titles


def _row(standing: Standing, place: str, extrapolated: bool) -> Row:
    slower = standing.slower_mapped
    numbers = [
        (_format_estimate(standing.operations_per_second) + EXTRAPOLATED * extrapolated,
         standing.operations_per_second.value),
        (format_ratio(standing.ratio), standing.ratio.value if standing.ratio else None),
        (_format_time(standing.mapped_us), standing.mapped_us.value),
        (format_ratio(slower), slower.value if slower else None),
        (_format_time(standing.lost_us), standing.lost_us.value if standing.lost_us else None),
        (_format_time(standing.cpu_us), standing.cpu_us.value),
        (format_number(standing.idle_percent, 3), standing.idle_percent),
    ]  # fmt: skip
    cells = [
        Cell(place, number=True, value=float(place) if place else None),
        Cell(
            standing.name,
            names_run=True,
            run=standing.runs[0],
            detail=f"not ranked: {standing.disqualified}" if standing.disqualified else standing.restriction,
        ),
        *(Cell(text, number=True, value=value) for text, value in numbers),
        Cell(_remark(standing)),
    ]
    return Row(cells, standing.runs, apart=not place)


def _remark(standing: Standing) -> str:
    if standing.disqualified:
        return "not ranked"
    words = {
        "": "" if standing.bound else "first",
        "alike": f"equal within {LITTLE}",
        "identical": "identical log",
        "cannot tell": f"{CANNOT_TELL}: runs too short",
        "unknown": f"{CANNOT_TELL}: {standing.unknown}",
    }.get(standing.verdict, standing.verdict)
    return standing.bound or words


def _names(standings: Sequence[Standing]) -> str:
    return join_words([standing.name for standing in standings])


def _notes(ranking: Ranking) -> Iterator[str]:
    """Explain how the uncertainty of this ranking was computed."""
    if beyond := describe_extrapolation(ranking.manifest):
        yield f"{EXTRAPOLATED} {beyond}"
    compared = (*ranking.standings, *ranking.bounds)
    methods = {standing.method for standing in compared}
    share = f"{100 * CONFIDENCE:.0f} %"
    if again := [standing for standing in compared if standing.different < len(standing.runs)]:
        yield (
            f"Runs with equal fingerprints are repetitions of the same run and count once: {_names(again)}. "
            "To make different runs, use other trace seeds, or --jitter with other seeds."
        )
    if "replications" in methods:
        yield (
            f"Intervals are {share} intervals of Student's t over different runs; intervals of ratios use a "
            "logarithmic scale. Designs are compared in pairs of runs with the same trace, seed, requests "
            "and random draws."
        )
        if saved := describe_pairing([s.ratio for s in compared if s.method == "replications" and s.ratio]):
            yield saved
    if "blocks" in methods:
        yield (
            f"These runs are not replicated: {share} intervals come from batch means. The rows of the trace "
            f"are divided into {ranking.blocks} blocks, and runs are compared block by block. Such intervals "
            "measure the variation within a run, not between runs. Convoys longer than a block make them too "
            "narrow, and the number of runs needed to detect 1 % is a rough estimate. The time from request "
            "to mapped has no interval, because its blocks are correlated."
        )
    if visible := [text for standing in ranking.standings if (text := _describe_visible(standing))]:
        yield (
            f"Smallest difference in throughput from the first design that {_OFTEN} such comparisons would "
            f"detect: {'; '.join(visible)}."
        )
    if methods & {"replications", "blocks"}:
        yield (
            f"If an interval contains zero and lies within ± {LITTLE}, designs are equal within {LITTLE}. "
            "If it contains zero and is wider, the runs are too short to tell, which is not a tie."
        )
    if methods & {"replications", "blocks"} and ranking.comparisons > 1:
        yield (
            f"Intervals hold simultaneously for all {ranking.comparisons} pairs of designs: in {share} of "
            "such reports, every interval of a column contains the true difference."
        )
    if unknown := dict.fromkeys(standing.unknown for standing in compared if standing.unknown):
        yield f"Differences without an interval: {'; '.join(unknown)}."


def describe_pairing(ratios: Sequence[Estimate]) -> str:
    """State how much variance the comparison in pairs removes."""
    shares = sorted(100 * s for s in (ratio.variance_share for ratio in ratios) if s is not None)
    if not shares:
        return ""
    ends = ("less than 0.1 %" if s < 0.1 else f"{format_number(s, 2)} %" for s in (shares[0], shares[-1]))
    words = " to ".join(dict.fromkeys(ends))
    return f"Compared in pairs, the differences have {words} of the variance of unpaired differences."


def _describe_visible(standing: Standing) -> str:
    """The smallest difference that would be detected, and the runs needed to detect a negligible one."""
    if standing.ratio is None or not standing.deviation or standing.ratio.smallest_visible is None:
        return ""
    runs = units_to_see(standing.deviation, NEGLIGIBLE, standing.ratio.comparisons)
    least = format_number(100 * standing.ratio.smallest_visible, 2)
    return f"{least} % for {standing.label} ({format_number(runs)} runs to detect {LITTLE})"


def _format_estimate(estimate: Estimate | None) -> str:
    """Write a value, with the half width of its interval if known."""
    if estimate is None:
        return UNKNOWN
    if not estimate.half_width:
        text = format_number(estimate.value, 3 if estimate.value < 1000 else 4)
        return text if estimate.half_width is None else f"{text} ± 0"
    decimals = _decimals(estimate.half_width)
    return f"{estimate.value:,.{decimals}f} ± {estimate.half_width:,.{decimals}f}"


def format_ratio(ratio: Estimate | None) -> str:
    """Write a ratio as a difference in per cent with its interval, or from 3 as a factor."""
    if ratio is None:
        return UNKNOWN
    if ratio.value >= _AS_FACTOR:
        return f"{format_number(ratio.value, 3)} ×"
    text, interval = _signed_percent(ratio.value), ratio.factor_interval
    if interval is None:
        return text
    return f"{text} ({_signed_percent(interval[0])} to {_signed_percent(interval[1])})"


def _signed_percent(factor: float) -> str:
    """Write a factor as a signed difference in per cent: 0.5 is "−50"."""
    return format_change(factor, minus="−")


def _format_time(estimate: Estimate | None) -> str:
    """Write a time in µs with a fitting unit, and with the half width of its interval if known."""
    if estimate is None:
        return UNKNOWN
    text = format_duration(1e3 * estimate.value, micro="µs")
    if not estimate.half_width:
        return text
    return f"{text} ± {format_duration(1e3 * estimate.half_width, micro='µs')}"


def _decimals(half_width: float) -> int:
    """Number of decimals that gives the width two significant digits, at most six."""
    return min(6, max(0, 1 - math.floor(math.log10(half_width))))
