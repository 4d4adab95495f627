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
from pipeline.report.document import Block, Document
from pipeline.report.styles import VEGA_CONFIG, shipped_text

TEMPLATE = "page.html.j2"


def render_html(document: Document, template: str = TEMPLATE) -> str:
    """Render the page by a template of the shipped reports; it needs no network and no other file."""
    bundle, stylesheet, script = _vega_bundle(), shipped_text("page.css"), shipped_text("page.js")
    environment = Environment(
        loader=FileSystemLoader(shipped("reports")),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names, runs = document.styles.names, document.runs

    def number_runs(some: Sequence[str]) -> str:
        """Numbers by which the page's script knows runs."""
        return " ".join(str(names.index(name)) for name in some)

    environment.filters |= {"script_json": script_json, "number_runs": number_runs}
    return environment.get_template(template).render(
        document=document,
        styles=document.styles,
        data=_data,
        config=VEGA_CONFIG,
        number=count(1).__next__,
        traces=conditions.describe_traces(runs),
        machines=conditions.describe_machines(runs),
        shared=conditions.describe_loop_and_seeds(runs),
        designs=conditions.describe_allocators(runs),
        warnings=conditions.list_warnings(runs),
        findings=conditions.list_findings(runs),
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
