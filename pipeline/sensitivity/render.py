"""A sensitivity analysis as text, Markdown or JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Literal

from pipeline.io.numbers import format_number
from pipeline.io.tables import align_columns, markdown_table
from pipeline.schema.manifest import is_assumed
from pipeline.sensitivity.sensitivity import Pair, Sensitivity
from pipeline.sensitivity.variance import Share
from pipeline.sensitivity.words import (
    answer,
    conditions,
    describe_outcome,
    describe_profile_order,
    describe_rest,
    mattering,
)

Form = Literal["text", "md", "json"]
HEAD = ("cost", "profile", "range", "mu*", "sigma", "first index", "total index", "break-even")
NUMBERS = (1, 3, 4)
_UNKNOWN = "-"


def render(found: Sensitivity, form: Form) -> str:
    """Return the whole result, ending in a newline."""
    if form == "json":
        return json.dumps(_as_json(found), indent=2, ensure_ascii=False) + "\n"
    return "\n".join(_lines(found, form)) + "\n"


def _lines(found: Sensitivity, form: Form) -> Iterator[str]:
    gap = "\n" if form == "md" else ""
    for pair in found.pairs:
        yield f"{answer(found, pair)}{gap}"
    for pair, commands in zip(found.pairs, found.commands, strict=True):
        yield ""
        yield f"{pair.a} against {pair.b}: {describe_profile_order(found, pair)}{gap}"
        rows = price_rows(found, pair)
        if form == "md":
            yield markdown_table(HEAD, rows)
        elif rows:
            yield align_columns([HEAD, *rows], right=NUMBERS).rstrip("\n")
        yield from (f"{line}{gap}" for line in describe_rest(found, pair))
        if commands:
            yield f"A run in which {pair.b} is ahead:{gap}"
            yield "\n".join(
                ["```console", *commands, "```"] if form == "md" else (f"    {c}" for c in commands)
            )
    yield ""
    yield from (f"- {line}" if form == "md" else line for line in conditions(found))


def price_rows(found: Sensitivity, pair: Pair) -> list[tuple[str, ...]]:
    """Yield the cells of `HEAD` for each cost that matters to a pair."""
    rows: list[tuple[str, ...]] = []
    for cost in mattering(pair):
        own, effect, index = found.ranges[cost], pair.effects[cost], pair.indices.get(cost)
        outcome = pair.break_evens.get(cost)
        rows.append((
            cost,
            f"{own.value:,}",
            f"{own.low:,} to {own.high:,}",
            format_number(effect.absolute, 2),
            format_number(effect.deviation, 2),
            _share(index.first) if index else _UNKNOWN,
            _share(index.total) if index else _UNKNOWN,
            describe_outcome(outcome) if outcome else _UNKNOWN,
        ))  # fmt: skip
    return rows


def _share(share: Share) -> str:
    return f"{share.value:.2f} ({share.low:.2f} to {share.high:.2f})"


def _as_json(found: Sensitivity) -> dict[str, Any]:
    where = found.conditions
    return {
        "decided": found.decided,
        "metric": found.metric.name,
        "unit": found.metric.unit,
        "trace": where.trace,
        "operations": where.operations,
        "machine": found.profile.name,
        "cpus": found.profile.with_cpus(where.cpus).cpus,
        "seed": where.seed,
        "jitter_percent": where.jitter_percent,
        "draws": found.trials.draws,
        "trajectories": found.trials.trajectories,
        "rows": found.trials.rows,
        "runs": found.runs,
        "conditions": conditions(found),
        "ranges": [
            asdict(one) | {"assumed": is_assumed(found.profile.costs[one.cost].source)}
            for one in found.ranges.values()
        ],
        "without_range": found.without_range,
        "without_effect": found.idle,
        "hazards": [
            {"design": design, "hazard": hazard, "runs": times}
            for (design, hazard), times in found.hazards.items()
        ],
        "pairs": [
            {
                "a": pair.a,
                "b": pair.b,
                "answer": answer(found, pair),
                "decided": pair.decided,
                "ratio": pair.ratio,
                "a_ahead_at_profile": pair.profile.value,
                "a_ahead_at_profile_half_width": pair.profile.half_width,
                "draws": asdict(pair.draws) | {"behind": pair.behind},
                "effects": {cost: asdict(effect) for cost, effect in pair.effects.items()},
                "indices": {cost: asdict(index) for cost, index in pair.indices.items()},
                "break_evens": {
                    cost: asdict(outcome)
                    | {"turns": [asdict(turn) | {"value": turn.value} for turn in outcome.turns]}
                    for cost, outcome in pair.break_evens.items()
                },
                "commands": commands,
            }
            for pair, commands in zip(found.pairs, found.commands, strict=True)
        ],
    }
