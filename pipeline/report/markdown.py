"""The report as Markdown: its tables, its charts in words, and the data of small ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pipeline.io.tables import markdown_table
from pipeline.report import conditions
from pipeline.report.document import Block, Document, Heading
from pipeline.sql.output import format_cell

# More rows than this are for a machine to read: JSON has them.
MOST_ROWS = 40


def render_markdown(document: Document) -> str:
    """Write the whole report as one Markdown text."""
    parts = [f"# {plain(document.title)}", plain(document.text), *_conditions(document)]
    for part in document.parts:
        parts += [f"## {plain(part.title)}", plain(part.text)]
        for block in part.blocks:
            parts += _block(block)
    if document.command:
        parts.append(f"Made by `{document.command.replace('`', '')}`.")
    parts.append("Times are simulated unless said otherwise; µs are microseconds, ms milliseconds.")
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def plain(text: str) -> str:
    """Text of anybody's so that Markdown shows it as it stands."""
    for character in "\\`*[]":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").split())


def _conditions(document: Document) -> Iterator[str]:
    runs = document.runs
    findings = conditions.list_findings(runs)
    lines = [
        f"{plain(f['finding'])} in {plain(f['run'])}{_times(f)}: {plain(f['message'])}" for f in findings
    ]
    yield f"Findings: {len(findings)}" if findings else "No findings."
    yield _items(lines)
    yield _items(plain(line) for line in conditions.list_warnings(runs))
    for trace in conditions.describe_traces(runs):
        facts = [
            *trace["facts"],
            *trace["file"],
            *((name, ", ".join(columns)) for name, columns in trace["provenance"]),
        ]
        yield f"Trace {plain(trace['name'])}: {plain(trace['description'])}"
        yield _items(f"{key}: {plain(str(value))}" for key, value in facts if value)
        yield _items(plain(note) for note in trace["notes"])
    for machine in conditions.describe_machines(runs):
        yield (
            f"Machine {plain(machine['name'])}, {machine['cpus']} CPUs: {plain(machine['summary'])}; "
            f"{machine['sourced']} costs with a source, {machine['assumed']} assumed."
        )
    yield _items(f"{key}: {plain(value)}" for key, value in conditions.describe_loop_and_seeds(runs))
    yield markdown_table(
        ["run", "design", "made by"],
        [[plain(d["run"]), plain(f"{d['design']}: {d['summary']}"), plain(d["command"])]
         for d in conditions.describe_allocators(runs)],
    )  # fmt: skip


def _times(finding: dict[str, Any]) -> str:
    return f" at {finding['time']}" + (f", {finding['count']} times" if finding["count"] > 1 else "")


def _block(block: Block) -> Iterator[str]:
    yield f"### {plain(block.item.title)}"
    yield plain(block.item.text)
    yield plain(block.empty)
    for table in block.tables:
        yield f"**{plain(table.title)}**" if table.title else ""
        yield plain(table.verdict)
        yield _table(table.headings, ([cell.text for cell in row.cells] for row in table.rows))
        yield "\n\n".join(map(plain, table.notes))
    yield _items(plain(chart.alt_text) for chart in block.charts)
    yield plain(block.left_out)
    if block.charts and len(block.frame) <= MOST_ROWS:
        rows = (
            [format_cell(name, value) or "–" for name, value in zip(block.frame.columns, row, strict=True)]
            for row in block.frame.iter_rows()
        )
        yield _table(block.headings, rows)


def _table(headings: Sequence[Heading], rows: Iterable[Sequence[str]]) -> str:
    labels = [f"{h.label} ({h.unit})" if h.unit else h.label for h in headings]
    return markdown_table([plain(label) for label in labels], ([plain(cell) for cell in row] for row in rows))


def _items(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
