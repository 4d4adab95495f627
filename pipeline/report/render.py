"""The report as an HTML page that holds all it needs, as Markdown and as JSON.

The page and the Markdown are templates in `reports/`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from itertools import count
from typing import Any

import polars as pl
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from pipeline.io.files import complete_file
from pipeline.io.numbers import format_number
from pipeline.io.resources import shipped_folder
from pipeline.jit.cache import cache_directory
from pipeline.report import conditions
from pipeline.report.document import Block, Document, Table
from pipeline.report.styles import shipped_text, vega_config

JSON_FORMAT_VERSION = 1


def render_html(document: Document) -> str:
    """Render the page; it needs no network and no other file, and its policy admits none."""
    bundle, stylesheet = _vega_bundle(), shipped_text("page.css")
    script = f"{shipped_text('expressions.js')}\n{shipped_text('page.js')}"
    return _render(
        document,
        "html",
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
    return re.sub(r"\n{3,}", "\n\n", _render(document, "md")).strip("\n") + "\n"


def render_json(document: Document) -> str:
    """Write the whole report as one JSON object, described in docs/report.md."""
    runs = document.runs
    content = {
        "format_version": JSON_FORMAT_VERSION,
        "title": document.title,
        "text": document.text,
        "command": document.command,
        "runs": [
            {
                "run": run.name,
                "id": run.manifest.id,
                "design": run.manifest.allocator.name,
                "bound": document.styles.bounds.get(run.name),
                "trace": run.manifest.trace.name,
                "machine": run.manifest.machine.name,
                "cpus": run.manifest.machine.cpus,
                "loop": run.manifest.loop,
                "seed": run.manifest.seed,
                "jitter_percent": run.manifest.jitter_percent,
                "log": run.has_log,
                "command": run.manifest.command,
                "fingerprint": run.manifest.fingerprint,
            }
            for run in runs
        ],
        "findings": conditions.list_findings(runs),
        "facts": dict(document.facts),
        "warnings": [*document.warnings, *conditions.list_warnings(runs)],
        "sections": [
            {"title": part.title, "text": part.text, "items": [_item(block) for block in part.blocks]}
            for part in document.parts
        ],
    }
    return json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def plain_rows(frame: pl.DataFrame) -> list[list[Any]]:
    """Rows as JSON can hold them; what is not finite becomes null, floats keep 7 digits."""

    def cell(value: Any) -> Any:
        if isinstance(value, float):
            return float(f"{value:.7g}") if math.isfinite(value) else None
        return value if isinstance(value, int | str | bool) or value is None else str(value)

    return [[cell(value) for value in row] for row in frame.iter_rows()]


def _render(document: Document, form: str, **variables: Any) -> str:
    environment = Environment(
        loader=FileSystemLoader(shipped_folder("reports")),
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
    return environment.get_template(f"{document.template}.{form}.j2").render(
        document=document,
        styles=document.styles,
        traces=conditions.describe_traces(runs),
        machines=conditions.describe_machines(runs),
        shared=conditions.describe_loop_and_seeds(runs),
        warnings=[*document.warnings, *conditions.list_warnings(runs)],
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


def _item(block: Block) -> dict[str, Any]:
    item = block.item
    return {
        "name": item.name,
        "title": item.title,
        "text": item.text,
        "chart": item.chart,
        "query": block.query.name,
        "parameters": block.params,
        "command": block.command,
        "sql": block.sql,
        "columns": [
            {"name": name, "unit": heading.unit, "meaning": heading.doc}
            for name, heading in zip(block.frame.columns, block.headings, strict=True)
        ],
        "rows": plain_rows(block.frame),
        "empty": block.empty,
        "left_out": block.left_out,
        "tables": [_table(table) for table in block.tables],
        "charts": [{"title": c.title, "words": c.alt_text, "spec": c.spec} for c in block.charts],
    }


def _table(table: Table) -> dict[str, Any]:
    return {
        "title": table.title,
        "words": table.verdict,
        "heads": [{"label": h.label, "unit": h.unit, "meaning": h.doc} for h in table.headings],
        "rows": [{"runs": row.runs, "cells": row.texts} for row in table.rows],
        "notes": table.notes,
    }


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


# What the bundle gives to the page's script.
_SNIPPET = "window.vegaEmbed = vegaEmbed;"


@cache
def _vega_bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, kept for each version: to make it takes a second."""
    made_by = f"vl-convert {version('vl-convert-python')} {_SNIPPET}"
    kept = cache_directory() / f"vega-{hashlib.sha256(made_by.encode()).hexdigest()[:12]}.js"
    if kept.is_file():
        return kept.read_text(encoding="utf-8")
    import vl_convert  # noqa: PLC0415 - starts a JavaScript engine

    bundle: str = vl_convert.javascript_bundle(_SNIPPET)
    # A script element ends at the first of these, wherever it stands.
    bundle = bundle.replace("</script", "<\\/script").replace("<!--", "<\\!--")
    with complete_file(kept) as temporary:
        temporary.write_text(bundle, encoding="utf-8")
    return bundle
