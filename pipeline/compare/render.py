"""A comparison as text, Markdown or JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

from pipeline.compare.causes import Cause
from pipeline.compare.compare import Compared, Comparison
from pipeline.compare.judge import EXACT, Judgement
from pipeline.compare.pairing import describe_both, describe_value
from pipeline.io.numbers import format_change, format_count, format_number, join_words
from pipeline.io.tables import align_columns, markdown_table
from pipeline.runs.metrics import Metric
from pipeline.statistics import CONFIDENCE

Form = Literal["text", "md", "json"]
_HEAD = ("metric", "unit", "A", "B", "B against A", "p", "verdict")
_UNKNOWN = "-"
_CAUSES = 6
_AS_FACTOR = 2


def render(comparison: Comparison, form: Form) -> str:
    """Return the whole comparison, ending in a newline."""
    if form == "json":
        return json.dumps(_as_json(comparison), indent=2, ensure_ascii=False) + "\n"
    return "\n".join(_lines(comparison, _markdown if form == "md" else _text)) + "\n"


def _text(rows: list[tuple[str, ...]]) -> str:
    return align_columns([_HEAD, *rows], right=(2, 3, 4, 5)).rstrip("\n")


def _markdown(rows: list[tuple[str, ...]]) -> str:
    return "\n" + markdown_table(_HEAD, rows)


def _lines(comparison: Comparison, table: Callable[[list[tuple[str, ...]]], str]) -> Iterator[str]:
    yield headline(comparison)
    yield f"A is {comparison.a}, B is {comparison.b}; {_differences(comparison)}."
    for setting in comparison.settings:
        yield ""
        yield f"{setting.name or 'All runs'}: {_pairs(setting)}"
        yield table([_row(metric, setting.judgements[metric.name]) for metric in comparison.metrics])
        yield from _why(setting.causes)
    yield ""
    yield from _notes(comparison)


def headline(comparison: Comparison) -> str:
    """Return the verdict on the first metric of each setting, and the metrics in which B is worse."""
    parts = []
    for setting in comparison.settings:
        metric = comparison.metrics[0]
        judgement = setting.judgements[metric.name]
        where = f" ({setting.name})" if setting.name else ""
        parts.append(f"{_say(metric, judgement, comparison)}{where}")
    worse = _names(comparison, "worse")
    decides = f" B is worse in {worse}." if worse else ""
    return f"{'; '.join(parts)}.{decides}"


def _say(metric: Metric, judgement: Judgement, comparison: Comparison) -> str:
    change = _change(judgement)
    what = metric.label
    if judgement.verdict == "identical":
        return f"B does exactly what A does ({what}: {format_number(judgement.a)} {metric.unit})"
    if judgement.verdict == "same":
        return f"B and A have the same {what} within {100 * comparison.margin:g} % ({change})"
    if judgement.verdict == "undecided":
        more = _more(judgement)
        return f"Whether B differs from A in {what} is undecided ({change}{more})"
    return f"B is {judgement.verdict} than A in {what}: {change}"


def _more(judgement: Judgement) -> str:
    if judgement.wanted is None or judgement.wanted <= judgement.pairs:
        return ""
    return f"; about {format_count(judgement.wanted - judgement.pairs, 'more pair')} of runs would decide"


def _names(comparison: Comparison, verdict: str) -> str:
    names = [
        metric.label + (f" ({setting.name})" if setting.name else "")
        for setting in comparison.settings
        for metric in comparison.metrics
        if setting.judgements[metric.name].verdict == verdict
    ]
    return join_words(names) if names else ""


def _differences(comparison: Comparison) -> str:
    differ = comparison.pairing.differ
    shown = {name: both for name, both in differ.items() if name != "source" or len(differ) == 1}
    if not shown:
        return "their recorded settings are equal"
    return "they differ in " + join_words(
        f"{name} ({describe_both(name, a, b)})" for name, (a, b) in shown.items()
    )


def _pairs(setting: Compared) -> str:
    again = f"; {format_count(setting.again, 'repeated pair')} ignored" if setting.again else ""
    return f"{format_count(setting.pairs, 'pair')} of runs{again}"


def _row(metric: Metric, judgement: Judgement) -> tuple[str, ...]:
    p = judgement.p_value
    return (
        metric.label,
        metric.unit,
        format_number(judgement.a),
        format_number(judgement.b),
        _change(judgement),
        _UNKNOWN if p is None else f"{p:.3f}" if p >= 0.001 else "< 0.001",
        judgement.verdict
        + (_more(judgement).replace("; ", ": ") if judgement.verdict == "undecided" else ""),
    )


def _change(judgement: Judgement) -> str:
    """Write the ratio with its interval: as a change in per cent, or from 2 on as a factor."""
    ratio, interval = judgement.ratio, judgement.ratio_interval
    if ratio is None:
        return _UNKNOWN
    if interval and interval[0] == interval[1]:
        interval = None
    if ratio >= _AS_FACTOR:
        ends = f" ({_factor(interval[0])} to {_factor(interval[1])})" if interval else ""
        return f"{_factor(ratio)} times{ends}"
    ends = f" ({format_change(interval[0])} to {format_change(interval[1])} %)" if interval else ""
    return f"{format_change(ratio)} %{ends}"


def _factor(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio < 10 else format_number(ratio, 3)


def _why(causes: Sequence[Cause]) -> Iterator[str]:
    times = [cause for cause in causes if cause.unit == "us/op"][:_CAUSES]
    counts = [cause for cause in causes if cause.unit != "us/op"][:_CAUSES]
    for label, moved in (
        ("CPU time per operation that changed, us", times),
        ("counts per operation that changed", counts),
    ):
        if moved:
            yield f"{label}: " + "; ".join(
                f"{cause.name.removeprefix('CPU time: ')} {format_number(cause.a, 3)} -> "
                f"{format_number(cause.b, 3)}"
                for cause in moved
            )


def _notes(comparison: Comparison) -> Iterator[str]:
    share = f"{100 * CONFIDENCE:.0f} %"
    yield (
        f"A and B are means over the runs. B against A is the geometric mean of the pairs' ratios, with its "
        f"{share} interval (Student's t on the logarithms, not adjusted for multiple comparisons). p is the "
        f"p-value of the sign-flip test, exact for up to {EXACT} pairs. For the verdicts, Holm's method "
        f"adjusts the p-values of {format_count(len(comparison.metrics), 'metric')}."
    )
    if least := max((s.least_pairs for s in comparison.settings if s.pairs < s.least_pairs), default=0):
        yield (
            f"At least {least} pairs of different runs are needed to find a difference at the "
            f"{100 - 100 * CONFIDENCE:.0f} % level. Use a larger --replications, or sweeps with more seeds."
        )
    if comparison.pairing.unpaired:
        yield f"{format_count(comparison.pairing.unpaired, 'run')} without a counterpart: ignored."


def _as_json(comparison: Comparison) -> dict[str, Any]:
    return {
        "a": comparison.a,
        "b": comparison.b,
        "differ": {
            name: [describe_value(name, value) for value in both]
            for name, both in comparison.pairing.differ.items()
        },
        "margin": comparison.margin,
        "verdict": comparison.verdict,
        "headline": headline(comparison),
        "settings": [
            {
                "name": setting.name,
                "pairs": setting.pairs,
                "metrics": {
                    metric.name: {"unit": metric.unit, "more_is_better": metric.more_is_better}
                    | _judgement_json(setting.judgements[metric.name])
                    for metric in comparison.metrics
                },
                "causes": [vars(cause) for cause in setting.causes],
            }
            for setting in comparison.settings
        ],
    }


def _judgement_json(judgement: Judgement) -> dict[str, Any]:
    interval = judgement.ratio_interval
    return {
        "a": judgement.a,
        "b": judgement.b,
        "ratio": judgement.ratio,
        "ratio_low": interval and interval[0],
        "ratio_high": interval and interval[1],
        "ratio_half_width": interval and (interval[1] - interval[0]) / 2,
        "difference": judgement.difference.value,
        "difference_half_width": judgement.difference.half_width,
        "p_value": judgement.p_value,
        "t_p_value": judgement.t_p_value,
        "verdict": judgement.verdict,
        "pairs_wanted": judgement.wanted,
    }
