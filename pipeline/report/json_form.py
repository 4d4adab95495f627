"""The report as JSON: every number, sentence, query and specification of a chart that the page has."""

from __future__ import annotations

import json
from typing import Any

from pipeline.report import conditions
from pipeline.report.blocks import Block
from pipeline.report.cells import Table
from pipeline.report.document import Document
from pipeline.report.html import plain_rows

FORMAT_VERSION = 1


def json_page(document: Document) -> str:
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
                "bound": document.cast.bounds.get(run.name),
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
        "findings": conditions.findings(runs),
        "warnings": conditions.warnings(runs),
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
        "command": block.ask,
        "sql": block.sql,
        "columns": [
            {"name": name, "unit": head.unit, "meaning": head.doc}
            for name, head in zip(block.frame.columns, block.heads, strict=True)
        ],
        "rows": plain_rows(block.frame),
        "empty": block.empty,
        "left_out": block.left_out,
        "tables": [_table(table) for table in block.tables],
        "charts": [{"title": c.title, "words": c.words, "spec": c.spec} for c in block.charts],
    }


def _table(table: Table) -> dict[str, Any]:
    return {
        "title": table.title,
        "words": table.words,
        "heads": [{"label": head.label, "unit": head.unit, "meaning": head.doc} for head in table.heads],
        "rows": [{"runs": row.runs, "cells": [cell.text for cell in row.cells]} for row in table.rows],
        "notes": table.notes,
    }
