"""Answers of studies as text for the terminal, sections of a document, and JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.io.files import complete_file
from pipeline.io.tables import align_columns, markdown_table
from pipeline.studies.answer import Answer, describe_costs, describe_runs
from pipeline.studies.curves import draw_svg, specify_all
from pipeline.studies.definition import Wrong

PICTURES = "studies"
"""Folder next to a document, for its pictures."""


def render_text(answer: Answer) -> str:
    """Render the answer for the terminal."""
    study = answer.study
    said = f"  ({' '.join(study.source.split())})\n" if study.source else ""
    lines = [f"{study.heading}\n{said}{answer.outcome.upper()}: {answer.text}"]
    lines += [f"{answer.opinion}"] if answer.opinion else []
    for table in answer.tables:
        lines.append(align_columns([table.heads, *table.rows]).rstrip("\n"))
    lines += conditions(answer)
    lines += ["Commands for one of the runs:", *(f"    {command}" for command in answer.commands)]
    return "\n".join(lines) + "\n"


def conditions(answer: Answer) -> list[str]:
    """Conditions of the answer: runs, remark, costs and assumptions."""
    study = answer.study
    lines = [f"{line}." for line in describe_runs(study)]
    if study.exact:
        lines.append(f"One run per setting: {study.exact}.")
    if study.remark:
        lines.append(" ".join(study.remark.split()))
    if costs := describe_costs(study):
        lines.append(f"Costs that matter most: {costs}.")
    if study.assumed:
        lines.append(f"Assumed: {' '.join(study.assumed.split())}.")
    return lines


def render_section(answer: Answer, pictures: Path | None = None, level: int = 3) -> str:
    """Render the answer as a section of a Markdown document; charts are drawn into the folder `pictures`."""
    study = answer.study
    source = " ".join(study.source.split())
    said = f"*{source}.* " if source else ""
    opinion = f" {answer.opinion}" if answer.opinion else ""
    parts = [
        f"{'#' * level} {study.heading}",
        f"{said}**{answer.outcome.capitalize()}.** {answer.text}{opinion}",
    ]
    if pictures is not None and answer.charts:
        name = f"{study.name}.svg"
        with complete_file(pictures / name) as file:
            file.write_text(draw_svg(specify_all(answer)), encoding="utf-8")
        titles = ", ".join(chart.title for chart in study.charts)
        parts.append(f"![{titles}]({pictures.name}/{name})")
    parts += [markdown_table(table.heads, table.rows).rstrip() for table in answer.tables]
    details = "\n".join(f"- {line}" for line in conditions(answer))
    commands = "\n".join(f"    {command}" for command in answer.commands)
    parts.append(
        "<details><summary>Conditions, and commands for one of the runs</summary>\n\n"
        f"{details}\n\n{commands}\n\n</details>"
    )
    return "\n\n".join(parts)


_BLAME: Mapping[Wrong, str] = {
    "author": "The author is wrong.",
    "expectation": "The expectation is wrong.",
    "model": "The model is at fault.",
    "implementation": "The implementation is at fault.",
}


def render_item(answer: Answer) -> str:
    """Render the answer as an item of a Markdown list."""
    study = answer.study
    source = f" ({' '.join(study.source.split())})" if study.source else ""
    wrong = f" *{_BLAME[study.opinion.wrong]}*" if study.opinion and study.opinion.wrong != "nobody" else ""
    opinion = f" {answer.opinion}" if answer.opinion else ""
    return (
        f"- {study.claim}{source}: **{answer.outcome}.** {answer.text}{wrong}{opinion} "
        f"(`pipeline study {study.name}`)"
    )


def overview(answers: Sequence[Answer]) -> str:
    """Render a table with a line for each study of a document."""
    rows = [(a.study.heading, f"**{a.outcome}**") for a in answers]
    return markdown_table(("claim", "outcome"), rows).rstrip()


def render_json(answers: Sequence[Answer]) -> str:
    """Render the complete answers as JSON."""
    return json.dumps([_as_json(answer) for answer in answers], ensure_ascii=False, indent=1) + "\n"


def _as_json(answer: Answer) -> dict[str, Any]:
    study = answer.study
    return {
        "study": study.name,
        "claim": study.claim,
        "source": study.source,
        "about": list(study.about),
        "outcome": answer.outcome,
        "text": answer.text,
        "opinion": answer.opinion,
        "stale": answer.stale,
        "settings": [
            {"setting": s.name, "holds": s.holds, "held": s.held, "replications": s.replications}
            for s in answer.settings
        ],
        "runs": answer.runs,
        "conditions": conditions(answer),
        "commands": list(answer.commands),
    }
