"""Render the report as a self-contained HTML page, as Markdown and as JSON.

The page and the Markdown are templates in `reports/`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from itertools import count
from typing import Any

import polars as pl

from pipeline.report import conditions
from pipeline.report.document import Block, Document, Table
from pipeline.report.page import page_variables, template_environment

JSON_FORMAT_VERSION = 1


def render_html(document: Document) -> str:
    """Render the page; it needs no network and no other file, and its security policy allows none."""
    return _render(document, "html", data=_data, number=count(1).__next__, **page_variables())


def render_markdown(document: Document) -> str:
    """Render the tables, the text alternatives of charts, and the data of small charts."""
    return re.sub(r"\n{3,}", "\n\n", _render(document, "md")).strip("\n") + "\n"


def render_json(document: Document) -> str:
    """Render the whole report as one JSON object, described in docs/report.md."""
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
    """Rows for JSON: values that are not finite become null, and floats keep 7 digits."""

    def cell(value: Any) -> Any:
        if isinstance(value, float):
            return float(f"{value:.7g}") if math.isfinite(value) else None
        return value if isinstance(value, int | str | bool) or value is None else str(value)

    return [[cell(value) for value in row] for row in frame.iter_rows()]


def _render(document: Document, form: str, **variables: Any) -> str:
    environment = template_environment()
    names, runs = document.styles.names, document.runs

    def number_runs(some: Sequence[str]) -> str:
        """Numbers of runs, which the page's script uses."""
        shown = dict.fromkeys(map(document.styles.shown, some))
        return " ".join(str(names.index(name)) for name in shown)

    environment.filters["number_runs"] = number_runs
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
