"""The result of a race as text or JSON."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pipeline.allocators.registry import pins_tasks
from pipeline.compare.best import Entrant, Selection
from pipeline.io.numbers import format_count, format_number, join_words
from pipeline.io.tables import align_columns
from pipeline.statistics import CONFIDENCE
from pipeline.sweeps.trace_source import is_workload

_HEAD = (
    "design",
    "",
    "replications",
    "against the best",
    "address space",
    "bytes in struct page",
    "tasks pinned",
)
_PAGE_KIB = 4
_NAMED = 4
# Differences of at least this many per cent are written as factors.
_TIMES = 1_000


def render_selection(selection: Selection, form: Literal["text", "json"]) -> str:
    """Return the whole result, ending in a newline."""
    if form == "json":
        return json.dumps(_as_json(selection), indent=2, ensure_ascii=False) + "\n"
    return "\n".join(_lines(selection)) + "\n"


def _lines(selection: Selection) -> Iterator[str]:
    yield answer(selection)
    yield ""
    yield align_columns([_HEAD, *map(_row, selection.entrants)], right=(2, 4, 5)).rstrip("\n")
    for excluded in selection.excluded:
        yield f"excluded: {excluded.candidate.text}: {excluded.why}"
    yield ""
    yield _note(selection)
    yield f"Replay it with {selection.winner.candidate.text}:"
    for line in commands(selection):
        yield f"    {line}"


def answer(selection: Selection) -> str:
    """Return one sentence with the best design and those that may be as good."""
    winner, metric = selection.winner, selection.metric
    conditions = selection.conditions
    where = f"{conditions.trace} on {conditions.machine}"
    value = f"{format_number(winner.value)} {metric.unit}"
    rivals = [e.candidate.text for e in selection.entrants[1:] if e.standing != "behind"]
    if not selection.decided:
        return (
            f"Undecided for {where}: {winner.candidate.text} leads in {metric.label} with {value}, and "
            f"{_name(rivals)} may be as good. Use more replications (--most) or a larger --margin."
        )
    said = f"{winner.candidate.text} is the best for {where}: {metric.label} {value}"
    if not rivals:
        return f"{said}. All other designs are worse."
    return f"{said}. Within {100 * selection.margin:g} %, {_name(rivals)} may be as good."


def _name(texts: list[str]) -> str:
    more = [f"{len(texts) - _NAMED} more"] if len(texts) > _NAMED else []
    return join_words(texts[:_NAMED] + more) if texts else "no other design"


def _row(entrant: Entrant) -> tuple[str, ...]:
    allocator = entrant.manifests[0].allocator
    return (
        entrant.candidate.text,
        f"dropped after {entrant.dropped_after}" if entrant.dropped_after else "",
        str(len(entrant.manifests)),
        _say_standing(entrant),
        f"{allocator.address_space_pages * _PAGE_KIB:,} KiB",
        str(allocator.page_struct_bytes),
        "while mapped" if pins_tasks(entrant.candidate.design) else "no",
    )


def _say_standing(entrant: Entrant) -> str:
    bounds = entrant.bounds
    if entrant.standing in ("best", "may be the best") or bounds is None:
        return entrant.standing
    low, high = (100 * bound for bound in bounds)
    if entrant.standing == "close":
        return f"within {high:.2g} % of it"
    if low >= _TIMES:
        return f"{low / 100 + 1:,.0f} to {high / 100 + 1:,.0f} times worse"
    digits = 1 if abs(low) < 10 else 0
    return f"{low:.{digits}f} to {high:.{digits}f} % worse"


def _note(selection: Selection) -> str:
    share = f"{100 * CONFIDENCE:.0f} %"
    margin = f"{100 * selection.margin:g} %"
    return (
        f"{format_count(selection.runs, 'run')}. Designs that could no longer be the best were dropped (Kim "
        f"and Nelson's procedure KN; a design that is better than all others by {margin} wins {share} of "
        f"races). The intervals against the best are simultaneous {share} intervals. The result depends on "
        "the machine's costs: 'pipeline machines' shows which are assumed."
    )


def commands(selection: Selection) -> list[str]:
    """Return the commands that replay the winner."""
    conditions, winner = selection.conditions, selection.winner.candidate
    trace = conditions.trace
    lines = []
    if is_workload(trace):
        path = f"{Path(trace).stem}.parquet"
        words = ["pipeline", "generate", trace, "-o", path]
        words += ["--ops", str(conditions.operations)] if conditions.operations is not None else []
        lines.append(shlex.join(words))
        trace = path
    words = ["pipeline", "replay", trace, "-a", winner.design, "-m", conditions.machine]
    for name, value in winner.options.items():
        words += ["-s", f"{name}={value}"]
    words += ["--cpus", str(conditions.cpus)] if conditions.cpus is not None else []
    return [*lines, shlex.join(words)]


def _as_json(selection: Selection) -> dict[str, Any]:
    return {
        "answer": answer(selection),
        "decided": selection.decided,
        "metric": selection.metric.name,
        "unit": selection.metric.unit,
        "margin": selection.margin,
        "runs": selection.runs,
        "commands": commands(selection),
        "designs": [
            {
                "design": entrant.candidate.text,
                "standing": entrant.standing,
                "value": entrant.value,
                "replications": len(entrant.manifests),
                "dropped_after": entrant.dropped_after,
                "worse_at_least": entrant.bounds and entrant.bounds[0],
                "worse_at_most": entrant.bounds and entrant.bounds[1],
                "address_space_pages": entrant.manifests[0].allocator.address_space_pages,
                "page_struct_bytes": entrant.manifests[0].allocator.page_struct_bytes,
            }
            for entrant in selection.entrants
        ],
        "excluded": [{"design": e.candidate.text, "why": e.why} for e in selection.excluded],
    }
