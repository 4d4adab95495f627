"""Studies as one HTML page: question, answer, charts, settings, conditions and commands.

Charts are included as SVG in colours of the style sheet, so the page needs no script for them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from markupsafe import Markup, escape

from pipeline.io.files import check_no_directory, complete_file
from pipeline.report.page import page_variables, template_environment
from pipeline.studies.answer import Answer
from pipeline.studies.curves import draw_svg, specify_all
from pipeline.studies.pages import conditions


def write_study_page(path: Path, answers: Sequence[Answer], title: str = "", command: str = "") -> Path:
    """Write the page; the default title of a single study is its claim. Raises OutputError."""
    check_no_directory(path)
    html = render_study_page(answers, title, command)
    with complete_file(path) as temporary:
        temporary.write_text(html, encoding="utf-8")
    return path


def render_study_page(answers: Sequence[Answer], title: str = "", command: str = "") -> str:
    """Render the page, which loads no other files."""
    drawn = [_draw(answer, number) for number, answer in enumerate(answers)]
    return (
        template_environment()
        .get_template("study.html.j2")
        .render(
            title=title or (answers[0].study.claim if len(answers) == 1 else "Studies"),
            answers=answers,
            pictures=drawn,
            conditions=[conditions(answer) for answer in answers],
            version=version("kmap-pipeline"),
            command=command,
            **page_variables(charts=False),
        )
    )


def _draw(answer: Answer, position: int) -> list[Markup]:
    """Draw each chart of a study as an element of the page, with unique ids."""
    drawn = []
    for number, (chart, spec) in enumerate(zip(answer.study.charts, specify_all(answer), strict=True)):
        svg = draw_svg([spec], light=False)
        own = f"chart-{position}-{number}-"
        svg = re.sub(r'\bid="([^"]+)"', rf'id="{own}\1"', svg)
        svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{own}\1)", svg)
        label = escape(f"{chart.title}: {chart.y_title or chart.y} by {chart.x_title or chart.x}")
        drawn.append(Markup(svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)))
    return drawn
