"""The result of an analysis, in sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator

from pipeline.io.numbers import format_count, format_number, join_words
from pipeline.machine.profile_ranges import FACTOR
from pipeline.schema.manifest import is_assumed
from pipeline.sensitivity.sensitivity import MATTERING, Pair, Sensitivity
from pipeline.sensitivity.trials import HARMLESS
from pipeline.sensitivity.turning import REACH, Outcome, Turn
from pipeline.statistics import CONFIDENCE
from pipeline.sweeps.trace_source import is_workload

_TURNS = 3
_EACH_WAY = f"a factor of {REACH} each way"


def answer(found: Sensitivity, pair: Pair) -> str:
    """Return a sentence: in how many draws a design is ahead, and the costs that change the order."""
    return f"{_say_draws(found, pair)}; {_say_turns(found, pair)}."


def _say_draws(found: Sensitivity, pair: Pair) -> str:
    share, what = pair.draws, _in_metric(found)
    if not share.draws:
        return f"No draw compares {pair.a} and {pair.b}{what}: their runs met hazards"
    if share.equal == share.draws:
        return f"{pair.a} and {pair.b} are equal{what} in {share.draws} of {share.draws} draws of the costs"
    interval = f"{100 * share.low:.0f} to {100 * share.high:.0f} %"
    equal = f", equal in {share.equal}" if share.equal else ""
    of = f"{share.ahead} of {share.draws} draws of the costs ({interval}{equal})"
    beats = f"{pair.a} beats {pair.b}{what} in {of}"
    return beats if pair.decided else f"Undecided: {beats}"


def _in_metric(found: Sensitivity) -> str:
    return "" if found.metric.name == "throughput" else f" in {found.metric.label}"


def _say_turns(found: Sensitivity, pair: Pair) -> str:
    turns = [
        (_distance(found, cost, turn), cost, turn)
        for cost, outcome in pair.break_evens.items()
        for turn in outcome.turns
        if turn.turned is not None
    ]
    turns.sort(key=lambda one: one[:2])
    # Break-evens with the same consequence share one clause.
    when: dict[str, list[str]] = {}
    for _, cost, turn in turns[:_TURNS]:
        when.setdefault(_what_comes(pair, pair.break_evens[cost], turn), []).append(
            f"when `{cost}` is {turn.side} {describe_turn(turn)} {found.ranges[cost].unit} (profile: "
            f"{describe_value(found, cost)})"
        )
    said = [f"{what} {_either(some)}" for what, some in when.items()]
    if more := len({cost for _, cost, _ in turns[_TURNS:]}):
        said.append(f"{format_count(more, 'more cost')} can change the order")
    if not turns:
        said.append(f"no single cost changes the order within {_EACH_WAY} of the profile's value")
    untold = [
        f"`{cost}` from {describe_turn(turn)} {found.ranges[cost].unit}"
        for cost, outcome in pair.break_evens.items()
        for turn in outcome.turns
        if turn.turned is None
    ]
    said += [f"the order is undecided for {join_words(untold)}"] if untold else []
    return "; ".join(said)


def _either(some: list[str]) -> str:
    return " or ".join([", ".join(some[:-1]), some[-1]]) if len(some) > 1 else some[0]


def _what_comes(pair: Pair, outcome: Outcome, turn: Turn) -> str:
    ahead = pair.a if turn.ahead > 0 else pair.b
    return "the order changes" if outcome.ahead and turn.ahead < 0 else f"{ahead} is ahead"


def _distance(found: Sensitivity, cost: str, turn: Turn) -> float:
    at, value = turn.turned or turn.held, found.ranges[cost].value
    return max(at / value, value / at)


def describe_value(found: Sensitivity, cost: str) -> str:
    """Write the profile's value of a cost, and whether it is assumed."""
    own = found.ranges[cost]
    assumed = ", assumed" if is_assumed(found.profile.costs[cost].source) else ""
    return f"{own.value:,} {own.unit}{assumed}"


def describe_turn(turn: Turn) -> str:
    """Write the break-even, or the values between which it lies."""
    if turn.value is not None:
        return f"{round_to(turn.value, 3):,}" if turn.value >= 100 else format_number(turn.value, 2)
    ends = sorted((turn.held, turn.turned if turn.turned is not None else turn.until))
    return f"{round_to(ends[0], 2):,} to {round_to(ends[1], 2):,}"


def round_to(value: float, digits: int) -> int:
    """Round to a whole number with `digits` significant digits."""
    return int(float(f"{value:.{digits - 1}e}"))


def describe_outcome(outcome: Outcome) -> str:
    """Write the values of one cost at which the order changes, or that the range has none."""
    said = [
        f"{turn.side} {describe_turn(turn)}"
        if turn.turned is not None
        else f"undecided from {describe_turn(turn)}"
        for turn in outcome.turns
    ]
    if not outcome.ahead and not said:
        return "undecided"
    return "; ".join(said) or f"none in {outcome.low:,} to {outcome.high:,}"


def describe_profile_order(found: Sensitivity, pair: Pair) -> str:
    """Write the advantage of the first design at the costs of the profile."""
    ahead, half = pair.profile.value, pair.profile.half_width or 0.0
    if not pair.ratio:
        unit = found.metric.unit
        return (
            f"At the profile's costs, {pair.a} is ahead by {format_number(ahead, 3)} ± "
            f"{format_number(half, 2)} {unit} ({format_count(pair.profile.units, 'replication')})."
        )
    if told_behind := ahead < -half:
        ahead = -ahead
    low, middle, high = _say_ratios([ahead - half, ahead, ahead + half])
    by = f"{middle} ({low} to {high}; {format_count(pair.profile.units, 'replication')})"
    what = found.metric.label
    if abs(ahead) <= half:
        return f"At the profile's costs, the order is undecided: {what} by {by}."
    whose = f"{pair.b}'s {what}" if told_behind else what
    return f"At the profile's costs, {whose} is better by {by}."


def _say_ratios(logarithms: list[float]) -> list[str]:
    """Write ratios as changes in per cent, or as factors if the middle one is above two."""
    if abs(logarithms[1]) > math.log(2):
        return [
            "a factor of " * (at == 1) + format_number(math.exp(value), 3)
            for at, value in enumerate(logarithms)
        ]
    return [
        format_number(100 * math.expm1(value), 3) + " %" * (at > 0) for at, value in enumerate(logarithms)
    ]


def mattering(pair: Pair) -> list[str]:
    """Return the costs with a considerable effect or a break-even, the most important first."""
    most = max((effect.absolute for effect in pair.effects.values()), default=0.0)
    turning = {cost for cost, outcome in pair.break_evens.items() if outcome.turns}
    ordered = sorted(pair.effects, key=lambda cost: -pair.effects[cost].absolute)
    return [c for c in ordered if c in turning or 0 < MATTERING * most <= pair.effects[c].absolute]


def describe_rest(found: Sensitivity, pair: Pair) -> Iterator[str]:
    """Yield lines about the costs without a row in the table."""
    shown = {*mattering(pair), *found.idle}
    small = [cost for cost in pair.effects if cost not in shown]
    if small:
        told = all(pair.break_evens[cost].ahead for cost in small)
        nowhere = f", and no break-even within {_EACH_WAY}" if told else ""
        yield f"Smaller effect{nowhere}: {join_words(small)}."


def conditions(found: Sensitivity) -> list[str]:
    """Return the conditions of the results, one per line."""
    where, counts = found.conditions, found.trials
    operations = f", {where.operations:,} operations" if where.operations is not None else ""
    seeds = f"seeds {where.seed:,} to {where.seed + counts.draws - 1:,}"
    if is_workload(where.trace):
        chance = f"each draw has a different trace of the workload ({seeds})"
    else:
        chance = f"each draw has different random draws ({seeds}, jitter {where.jitter_percent:g} %)"
    own = [one for one in found.ranges.values() if not one.stated]
    assumed = sum(is_assumed(found.profile.costs[one.cost].source) for one in own)
    by_rule = f"{len(own)} by a factor of {FACTOR} each way ({assumed or 'none'} assumed)" if own else ""
    stated = len(found.ranges) - len(own)
    ranges = join_words(
        filter(None, [f"{stated} in a range stated by the profile" if stated else "", by_rule])
    )
    cpus = found.profile.with_cpus(where.cpus).cpus
    lines = [
        f"Trace {where.trace}{operations}; {chance}, the same for all designs. Machine {found.profile.name}, "
        f"{format_count(cpus, 'CPU')}; closed loop; {format_count(found.runs, 'run')}.",
        f"{format_count(len(found.ranges), 'cost')} vary, each log-uniform in its range and independent of "
        f"the others: {ranges} ('pipeline machines {found.conditions.machine}' shows them).",
    ]
    if found.without_range:
        by_reason: dict[str, list[str]] = {}
        for cost, why in found.without_range.items():
            by_reason.setdefault(why, []).append(cost)
        said = "; ".join(f"{', '.join(costs)} ({why})" for why, costs in by_reason.items())
        lines.append(f"Costs that do not vary: {said}.")
    if found.idle:
        lines.append(f"Costs without effect, even by {_EACH_WAY}: {', '.join(found.idle)}.")
    for (design, hazard), times in found.hazards.items():
        meaning = "these are included" if hazard == HARMLESS else "these are excluded"
        lines.append(f"{format_count(times, 'run')} of {design} met {hazard.replace('_', ' ')}; {meaning}.")
    lines.append(
        f"(…): exact {100 * CONFIDENCE:.0f} % interval of the share of draws. mu* and sigma: mean size "
        "and standard deviation of the change in the logarithm of the ratio (or the difference if a value "
        f"is 0) over the range of a cost ({counts.trajectories} Morris trajectories). Sobol' indices: share "
        "of the variance removed by fixing the cost (first) and share involving it (total), with "
        f"{100 * CONFIDENCE:.0f} % intervals ({counts.rows} rows; the rest is due to the trace). "
        "Break-even: only this cost varies."
    )
    return lines
