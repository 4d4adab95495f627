"""The report as one self-contained HTML page, under a policy that admits nothing from outside."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Sequence
from functools import cache
from itertools import count
from typing import Any

import polars as pl
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from pipeline.io.resources import shipped
from pipeline.report import conditions
from pipeline.report.blocks import Block
from pipeline.report.document import Document
from pipeline.report.palette import Cast
from pipeline.report.style import CONFIG, shipped_text

TEMPLATE = "page.html.j2"


def html_page(document: Document, template: str = TEMPLATE) -> str:
    """Render the page by a template of the shipped reports; it needs no network and no other file."""
    bundle, style, script = _vega_bundle(), shipped_text("page.css"), shipped_text("page.js")
    environment = Environment(
        loader=FileSystemLoader(shipped("reports")),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    cast, runs = document.cast, document.runs
    environment.filters["script_json"] = script_json
    environment.filters["positions"] = lambda names: positions(cast, names)
    return environment.get_template(template).render(
        document=document,
        cast=cast,
        data=data_of,
        config=CONFIG,
        number=count(1).__next__,
        traces=conditions.traces(runs),
        machines=conditions.machines(runs),
        shared=conditions.shared(runs),
        designs=conditions.allocators(runs),
        warnings=conditions.warnings(runs),
        findings=conditions.findings(runs),
        # The policy admits exactly these inline texts, and nothing from anywhere else.
        policy=(
            "default-src 'none'; "
            f"script-src {_hash(bundle)} {_hash(script)}; style-src {_hash(style)}; "
            "img-src data:; base-uri 'none'; form-action 'none'"
        ),
        style=Markup(style),
        bundle=Markup(bundle),
        script=Markup(script),
    )


def positions(cast: Cast, names: Sequence[str]) -> str:
    """Numbers by which the page's script knows runs, as text."""
    return " ".join(str(cast.names.index(name)) for name in names)


def data_of(block: Block) -> dict[str, Any]:
    """Give the rows of a block, with the heads of its columns, as JSON can hold them."""
    return {
        "columns": block.frame.columns,
        "heads": [[head.label, head.unit, head.doc] for head in block.heads],
        "rows": plain_rows(block.frame),
    }


def objects_of(block: Block) -> list[dict[str, Any]]:
    """Give the rows of a block as objects, as charts take them."""
    return [dict(zip(block.frame.columns, row, strict=True)) for row in plain_rows(block.frame)]


def plain_rows(frame: pl.DataFrame) -> list[list[Any]]:
    """Rows as JSON can hold them; what is not finite becomes null, floats keep 7 digits."""

    def cell(value: Any) -> Any:
        if isinstance(value, float):
            return float(f"{value:.7g}") if math.isfinite(value) else None
        return value if isinstance(value, int | str | bool) or value is None else str(value)

    return [[cell(value) for value in row] for row in frame.iter_rows()]


def script_json(content: Any) -> Markup:
    """JSON that may stand in a script element: no text in it can end the element or begin a comment."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


# What the bundle gives to the page's script.
_SNIPPET = "window.vegaEmbed = vegaEmbed;"


@cache
def _vega_bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script; costs a second or two to make."""
    import vl_convert  # noqa: PLC0415 - starts a JavaScript engine

    bundle: str = vl_convert.javascript_bundle(_SNIPPET)
    # A script element ends at the first of these, wherever it stands.
    return bundle.replace("</script", "<\\/script").replace("<!--", "<\\!--")
