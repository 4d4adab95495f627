"""The report as JSON: every number, sentence, query and specification of a chart that the page has."""

from __future__ import annotations

import json
from typing import Any

from pipeline.report import conditions
from pipeline.report.document import Block, Document, Table
from pipeline.report.render import plain_rows

FORMAT_VERSION = 1


def render_json(document: Document) -> str:
    """Write the whole report as one JSON object, described in docs/report.md."""
    runs = document.runs
    content = {
        "format_version": FORMAT_VERSION,
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
                "log": run.has_log,
                "command": run.manifest.command,
                "fingerprint": run.manifest.fingerprint,
            }
            for run in runs
        ],
        "findings": conditions.list_findings(runs),
        "warnings": list(conditions.list_warnings(runs)),
        "sections": [
            {"title": part.title, "text": part.text, "items": [_item(block) for block in part.blocks]}
            for part in document.parts
        ],
    }
    return json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


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
