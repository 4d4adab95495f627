"""The result as a self-contained HTML page: two charts, tables and conditions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from pipeline.io.files import complete_file
from pipeline.report.page import page_variables, template_environment
from pipeline.sensitivity import charts
from pipeline.sensitivity.render import HEAD, NUMBERS, price_rows
from pipeline.sensitivity.sensitivity import Sensitivity
from pipeline.sensitivity.words import answer, conditions, describe_profile_order, describe_rest


def write_page(found: Sensitivity, path: Path, command: str = "") -> None:
    """Write the page. Raises OutputError."""
    text = render_page(found, command)
    with complete_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def render_page(found: Sensitivity, command: str = "") -> str:
    """Render the page. Its content security policy permits neither network access nor other files."""
    where = found.conditions
    names = ", ".join(dict.fromkeys(name for pair in found.pairs for name in (pair.a, pair.b)))
    pairs: list[dict[str, Any]] = [
        {
            "title": f"{pair.a} against {pair.b}",
            "text": describe_profile_order(found, pair),
            "rows": price_rows(found, pair),
            "rest": list(describe_rest(found, pair)),
            "commands": commands,
        }
        for pair, commands in zip(found.pairs, found.commands, strict=True)
    ]
    return template_environment().get_template("sensitivity.html.j2").render(
        title=f"Sensitivity to the costs of {found.profile.name}: {names} on {Path(where.trace).stem}",
        answers=[_mark_code(answer(found, pair)) for pair in found.pairs],
        shares=charts.draw_shares(found),
        break_evens=charts.draw_break_evens(found),
        head=HEAD,
        numbers=NUMBERS,
        pairs=pairs,
        conditions=conditions(found),
        command=command,
        **page_variables(),
    )  # fmt: skip


def _mark_code(text: str) -> Markup:
    """Mark up names in backticks as code, and escape everything else."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))
