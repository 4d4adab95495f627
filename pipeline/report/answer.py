"""The answer of a ranking in a few sentences: the best design, the deciding measure and the uncertainty.

Throughput decides first. If it does not separate designs, because the workload rather than the mapping
limits it, the time from request to mapped decides, then the CPU time per operation. If a design is first by
one measure and worse by another, the answer says both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from pipeline.io.numbers import format_duration, format_number, join_words
from pipeline.report.standing import NEGLIGIBLE, Ranking, Standing

LITTLE = f"{100 * NEGLIGIBLE:g} %"
# If CPUs are idle for more than this share, in %, mapping does not limit throughput.
_MOSTLY_IDLE = 50.0
# Designs are tied if their interval lies within this share, or if they differ by less and CPUs are idle.
_CLOSE = 0.05
# With more tied designs than this, the answer gives their number instead of their names.
_NAMED = 4


def describe_answer(ranking: Ranking) -> str:
    """State which design is best, in a few sentences."""
    return " ".join(_sentences(ranking))


def describe_factor(ratio: float) -> str:
    """Write a ratio of at least 1 as an increase: "12 %", or "3.1 times" from 2."""
    return f"{format_number(ratio, 2)} times" if ratio >= 2 else f"{format_number(100 * (ratio - 1), 2)} %"


def _sentences(ranking: Ranking) -> Iterator[str]:
    standings = ranking.standings
    if not standings:
        yield "No design can be ranked."
    elif len(standings) == 1:
        only = standings[0]
        yield (
            f"{only.label} completes {_rate(only)}. The time from request to mapped is {_time(only)}. "
            "There is no other design to compare it with."
        )
    elif tied := _tied(standings):
        yield from _decide_among(tied, ranking)
    else:
        yield from _tell_first(standings)
    for standing in ranking.disqualified:
        yield f"{standing.label} is not ranked because it {standing.disqualified}."


def _tied(standings: Sequence[Standing]) -> list[Standing]:
    """The first design and those that throughput does not separate from it, or an empty list."""
    first, *others = standings
    return [first, *same] if (same := [other for other in others if _is_tied(first, other)]) else []


def _is_tied(first: Standing, other: Standing) -> bool:
    if other.verdict in ("alike", "identical"):
        return True
    ratio = other.operations_per_second.value / first.operations_per_second.value
    if other.verdict == "cannot tell":
        low, high = (other.ratio and other.ratio.factor_interval) or (0.0, math.inf)
        return low >= 1 - _CLOSE and high <= 1 + _CLOSE
    idle = min(first.idle_percent, other.idle_percent) >= _MOSTLY_IDLE
    return ratio >= 1 - (_CLOSE if idle else NEGLIGIBLE)


def _decide_among(tied: Sequence[Standing], ranking: Ranking) -> Iterator[str]:
    """State that throughput does not decide, and which measure does."""
    several = len(tied) > _NAMED
    names = f"{len(tied)} designs" if several else join_words(standing.label for standing in tied)
    within = max(_farthest(standing) for standing in tied)
    idle = min(standing.idle_percent for standing in tied)
    limited = (
        f" (their CPUs are idle for at least {format_number(idle, 2)} % of the time)"
        if idle >= _MOSTLY_IDLE
        else " (the trace sets the pace)"
        if ranking.manifest.loop == "timed"
        else ""
    )
    if all(standing.verdict in ("", "identical") for standing in tied):
        yield (f"{names} produced identical logs: {_rate(tied[0])}, {_time(tied[0])} from request to mapped.")
    else:
        all_do = "both complete" if len(tied) == 2 else "all complete"
        rate, little = _rate(tied[0]), format_number(max(100 * within, 0.1), 2)
        yield f"Throughput does not separate {names}: {all_do} about {rate}, within {little} %{limited}."
        yield from _decide_by(
            tied,
            (_mapped_us, "maps fastest", "from request to mapped"),
            (_cpu_us, "uses the least CPU time", "per operation"),
        )
    rest = [standing for standing in ranking.standings if standing not in tied]
    if rest:
        yield from _tell_behind(rest)


def _farthest(standing: Standing) -> float:
    """Largest relative difference from the first design's throughput within the interval."""
    if standing.ratio is None:
        return 0.0
    return max(abs(end - 1) for end in standing.ratio.factor_interval or (standing.ratio.value,))


_Measure = tuple[Callable[[Standing], float], str, str]


def _decide_by(tied: Sequence[Standing], *measures: _Measure) -> Iterator[str]:
    """State which design is best by the first of `measures` that separates the designs."""
    for measure, does, what in measures:
        best, second, *_ = sorted(tied, key=measure)
        if measure(second) > measure(best) * (1 + NEGLIGIBLE):
            least, other = _duration(measure(best)), _duration(measure(second))
            yield f"{best.label} {does}: {least} {what}, against {other} with {second.label}."
            return
    yield "The time from request to mapped and the CPU time do not separate them either."


def _tell_first(standings: Sequence[Standing]) -> Iterator[str]:
    """State which design has the highest throughput and how long its mappings take."""
    first, *others = standings
    unclear = [other for other in others if other.verdict == "cannot tell"]
    if unclear:
        rates = join_words(f"{other.label} ({_rate(other)})" for other in unclear)
        yield (
            f"{first.label} has the highest throughput, {_rate(first)}, but these runs are too short to tell "
            f"whether it is faster than {rates}. Make longer or more runs."
        )
        clear = [other for other in others if other not in unclear]
        if clear:
            yield from _tell_behind(clear)
    else:
        yield f"{first.label} is fastest: {_rate(first)}, {_ahead(first, others[0])}."
        if len(others) > 1:
            yield f"{others[-1].label} is slowest, with {_rate(others[-1])}."
    yield from _tell_mapped(first, others)


def _ahead(first: Standing, second: Standing) -> str:
    factor = first.operations_per_second.value / max(second.operations_per_second.value, 1e-12)
    sure = ", in single runs of unknown uncertainty" if second.verdict == "unknown" else ""
    more = "as many as" if factor >= 2 else "more than"
    return f"{describe_factor(factor)} {more} {second.label}{sure}"


def _tell_behind(others: Sequence[Standing]) -> Iterator[str]:
    """State the throughput of the next and of the slowest design."""
    yield f"{others[0].label} follows with {_rate(others[0])}."
    if len(others) > 1:
        yield f"{others[-1].label} is slowest, with {_rate(others[-1])}."


def _tell_mapped(first: Standing, others: Sequence[Standing]) -> Iterator[str]:
    """State whether the fastest design also maps fastest, or which design does."""
    best = min((first, *others), key=_mapped_us)
    worst = max(map(_mapped_us, others))
    own = _mapped_us(first)
    if own <= _mapped_us(best) * (1 + NEGLIGIBLE):
        yield f"{first.label} also maps fastest: {_time(first)} from request to mapped."
        return
    compared = f"{_time(first)} from request to mapped, against {_time(best)} with {best.label}"
    if own > worst * (1 + NEGLIGIBLE):
        yield f"However, {first.label} maps slowest: {compared}."
    else:
        yield f"It does not map fastest: {compared}."


def _mapped_us(standing: Standing) -> float:
    return standing.mapped_us.value


def _cpu_us(standing: Standing) -> float:
    return standing.cpu_us.value


def _rate(standing: Standing) -> str:
    return f"{format_number(round(standing.operations_per_second.value, 6), 3)} operations/s"


def _time(standing: Standing) -> str:
    return _duration(standing.mapped_us.value)


def _duration(us: float) -> str:
    return format_duration(1e3 * us, micro="µs")
