"""Answers of studies for the terminal, as sections of a document, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.io.files import complete_file
from pipeline.io.tables import align_columns, markdown_table
from pipeline.studies.answer import Answer, describe_costs, describe_runs
from pipeline.studies.curves import draw_svg, specify_all

PICTURES = "studies"
"""Folder beside a document in which its pictures lie."""


def render_text(answer: Answer) -> str:
    """The answer for the terminal."""
    study = answer.study
    said = f"  ({' '.join(study.source.split())})\n" if study.source else ""
    lines = [f"{study.heading}\n{said}{answer.outcome.upper()}: {answer.text}"]
    lines += [f"{answer.opinion}"] if answer.opinion else []
    for table in answer.tables:
        lines.append(align_columns([table.heads, *table.rows]).rstrip("\n"))
    lines += conditions(answer)
    lines += ["One of its runs:", *(f"    {command}" for command in answer.commands)]
    return "\n".join(lines) + "\n"


def conditions(answer: Answer) -> list[str]:
    """What the answer rests on: runs, prices, and what is assumed beside them."""
    study = answer.study
    lines = [f"{line}." for line in describe_runs(study)]
    if study.exact:
        lines.append(f"One run each: {study.exact}.")
    if study.remark:
        lines.append(" ".join(study.remark.split()))
    if costs := describe_costs(study):
        lines.append(f"Prices that decide most: {costs}.")
    if study.assumed:
        lines.append(f"Assumed: {' '.join(study.assumed.split())}.")
    return lines


def render_section(answer: Answer, pictures: Path | None = None, level: int = 3) -> str:
    """The answer as a section of a Markdown document; its charts are drawn into the folder `pictures`."""
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
        f"<details><summary>Conditions, and the commands of one run</summary>\n\n{details}\n\n{commands}\n\n"
        "</details>"
    )
    return "\n\n".join(parts)


def render_item(answer: Answer) -> str:
    """The answer as an item of a Markdown list."""
    study = answer.study
    source = f" ({' '.join(study.source.split())})" if study.source else ""
    wrong = f" *Wrong: {study.opinion.wrong}.*" if study.opinion and study.opinion.wrong != "nobody" else ""
    opinion = f" {answer.opinion}" if answer.opinion else ""
    return (
        f"- {study.claim}{source}: **{answer.outcome}.** {answer.text}{wrong}{opinion} "
        f"(`pipeline study {study.name}`)"
    )


def overview(answers: Sequence[Answer]) -> str:
    """A line for each study of a document."""
    rows = [(a.study.heading, f"**{a.outcome}**") for a in answers]
    return markdown_table(("claim", "outcome"), rows).rstrip()


def render_json(answers: Sequence[Answer]) -> str:
    """Everything of the answers, for programs."""
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
