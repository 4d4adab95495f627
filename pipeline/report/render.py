"""The report as an HTML page that holds all it needs, and as Markdown; each is a template in `reports/`."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Sequence
from functools import cache
from itertools import count
from typing import Any

import polars as pl
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from pipeline.io.numbers import format_number
from pipeline.io.resources import shipped
from pipeline.report import conditions
from pipeline.report.document import Block, Document
from pipeline.report.styles import shipped_text, vega_config


def render_html(document: Document, template: str = "page.html.j2") -> str:
    """Render the page; it needs no network and no other file, and its policy admits none."""
    bundle, stylesheet, script = _vega_bundle(), shipped_text("page.css"), shipped_text("page.js")
    return _render(
        document,
        template,
        data=_data,
        config=vega_config(),
        number=count(1).__next__,
        # The policy admits exactly these inline texts, and nothing from anywhere else.
        policy=(
            "default-src 'none'; "
            f"script-src {_hash(bundle)} {_hash(script)}; style-src {_hash(stylesheet)}; "
            "img-src data:; base-uri 'none'; form-action 'none'"
        ),
        stylesheet=Markup(stylesheet),
        bundle=Markup(bundle),
        script=Markup(script),
    )


def render_markdown(document: Document) -> str:
    """Render the tables, the charts in words, and the data of small charts."""
    return re.sub(r"\n{3,}", "\n\n", _render(document, "page.md.j2")).strip("\n") + "\n"


def plain_rows(frame: pl.DataFrame) -> list[list[Any]]:
    """Rows as JSON can hold them; what is not finite becomes null, floats keep 7 digits."""

    def cell(value: Any) -> Any:
        if isinstance(value, float):
            return float(f"{value:.7g}") if math.isfinite(value) else None
        return value if isinstance(value, int | str | bool) or value is None else str(value)

    return [[cell(value) for value in row] for row in frame.iter_rows()]


def _render(document: Document, template: str, **variables: Any) -> str:
    environment = Environment(
        loader=FileSystemLoader(shipped("reports")),
        autoescape=select_autoescape(disabled_extensions=("md.j2",), default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names, runs = document.styles.names, document.runs

    def number_runs(some: Sequence[str]) -> str:
        """Numbers by which the page's script knows runs."""
        return " ".join(str(names.index(name)) for name in some)

    environment.filters |= {
        "script_json": _script_json,
        "number_runs": number_runs,
        "format_number": format_number,
        "plain": _plain,
        "cell": lambda text: _plain(text).replace("|", "\\|"),
    }
    return environment.get_template(template).render(
        document=document,
        styles=document.styles,
        traces=conditions.describe_traces(runs),
        machines=conditions.describe_machines(runs),
        shared=conditions.describe_loop_and_seeds(runs),
        warnings=conditions.list_warnings(runs),
        findings=conditions.list_findings(runs),
        **variables,
    )


def _plain(text: str) -> str:
    """Text of anybody's so that Markdown shows it as it stands."""
    for character in "\\`*[]":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").split())


def _script_json(content: Any) -> Markup:
    """JSON that may stand in a script element: no text in it can end the element or begin a comment."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _data(block: Block) -> dict[str, Any]:
    """Rows of a block, with the headings of its columns."""
    return {
        "columns": block.frame.columns,
        "heads": [[heading.label, heading.unit, heading.doc] for heading in block.headings],
        "rows": plain_rows(block.frame),
    }


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


@cache
def _vega_bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script; costs a second or two to make."""
    import vl_convert  # noqa: PLC0415 - starts a JavaScript engine

    # What the bundle gives to the page's script.
    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    # A script element ends at the first of these, wherever it stands.
    return bundle.replace("</script", "<\\/script").replace("<!--", "<\\!--")
