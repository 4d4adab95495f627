"""The result of `pipeline doctor`: models for JSON output, and their text."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from pipeline.io.numbers import format_duration
from pipeline.schema.trace_metadata import TraceMetadata
from pipeline.trace.losses import LOSS

Severity = Literal["error", "warning"]
QUANTILES = (0.5, 0.9, 0.99, 1.0)


class Problem(BaseModel):
    """A type of problem, its number of occurrences and its first row (from 0; null: no specific row)."""

    code: str
    severity: Severity
    count: int
    first_row: int | None
    what: str
    advice: str

    def text(self) -> str:
        """Return description, count, first row and advice."""
        where = "" if self.first_row is None else f" (first at row {self.first_row:,})"
        return f"{self.what}: {self.count:,}{where}; {self.advice}"


class Reuse(BaseModel):
    """How often a mapped page was mapped before, and how many operations ago (1: the previous one)."""

    share: float = Field(description="fraction of operations on a page mapped before, 0 to 1")
    median_distance: int | None = Field(
        description="median number of operations ago; null if no page was reused"
    )


class Mappings(BaseModel):
    """Mappings with separate rows for map and unmap, and the lengths of all mappings in pages."""

    apart: int = Field(description="number of mappings with separate rows for map and unmap")
    handed_over: int = Field(description="of these, those that another task unmaps")
    remaining: int = Field(description="of these, those that are never unmapped")
    least_pages: int = Field(description="shortest mapping")
    median_pages: int = Field(description="median length of a mapping")
    most_pages: int = Field(description="longest mapping")


class Diagnosis(BaseModel):
    """Description and problems of a trace.

    Rows that only unmap are counted in `operations`, not in `kinds`, `quantiles_ns` and `reuse`. `mappings`
    is null if every mapping has one page and one row. `quantiles_ns` gives the values of each duration column
    at QUANTILES ("0.5" ... "1.0"). They are at most 0.4 % too low, and the maximum is exact. `reuse` is null
    if page numbers are too large to count. `usable` is false if any problem is an error.
    """

    path: str
    usable: bool
    metadata: TraceMetadata
    operations: int
    tasks: int
    processes: int
    pages: int
    span_ns: int = Field(description="from the start of the first operation to the latest certain end")
    kinds: dict[str, int]
    quantiles_ns: dict[str, dict[str, int]]
    reuse: Reuse | None
    mappings: Mappings | None
    max_depth: int = Field(description="maximum nesting depth; 0: no nesting")
    problems: list[Problem]

    def text(self) -> str:
        """Return several lines of text, without a final newline."""
        return "\n".join([*self._what_it_is(), "", *self._what_is_wrong()])

    def _what_it_is(self) -> list[str]:
        source = self.metadata.source
        origin = ", ".join(
            part
            for part in (
                source.recorder,
                source.kernel,
                f"from {source.file}" if source.file else None,
                f"seed {source.seed}" if source.seed is not None else None,
            )
            if part
        )
        by_provenance: dict[str, list[str]] = {}
        for column, provenance in self.metadata.columns.items():
            by_provenance.setdefault(provenance, []).append(column)
        lost = self.metadata.lost_events
        cpus = self.metadata.cpus
        lines = [
            f"{self.path}: {source.type} trace '{source.name}'" + (f" ({origin})" if origin else ""),
            f"  operations  {self.operations:,} in {format_duration(self.span_ns)}",
            f"  tasks       {self.tasks:,} in {self.processes:,} processes, "
            + (f"{cpus} CPUs" if cpus is not None else "CPUs unknown"),
            f"  pages       {self.pages:,} ({self._reuse_text()})",
            *self._mappings_text(),
            f"  kinds       {self._kinds_text()}",
            f"  nesting     {self.max_depth or 'none'}",
            f"  clock       {self.metadata.clock}; lost events: {'unknown' if lost is None else f'{lost:,}'}",
        ]
        lines += [f"  {p:<11} {', '.join(names)}" for p, names in by_provenance.items()]
        lines += ["", "              " + "".join(f"{_quantile_name(q):>12}" for q in QUANTILES)]
        lines += [
            f"  {column:<12}" + "".join(f"{format_duration(value):>12}" for value in values.values())
            for column, values in self.quantiles_ns.items()
        ]
        # Losses are shown below, as warnings.
        notes = [note for note in self.metadata.notes if not note.startswith(LOSS)]
        if notes:
            lines += ["", "notes:", *(f"  - {note}" for note in notes)]
        return lines

    def _what_is_wrong(self) -> list[str]:
        if not self.problems:
            return ["no problems found"]
        lines = [f"{problem.severity}: {problem.text()}" for problem in self.problems]
        lines.append("the trace can be used" if self.usable else "the trace cannot be used")
        return lines

    def _mappings_text(self) -> list[str]:
        found = self.mappings
        if found is None:
            return []
        apart = (
            f"{found.apart:,} with a separate unmap: {found.handed_over:,} by another task, "
            f"{found.remaining:,} not in the trace; "
        )
        lengths = f"{found.least_pages:,} to {found.most_pages:,} pages, median {found.median_pages:,}"
        if found.least_pages == found.most_pages:
            lengths = f"{found.least_pages:,} page{'s' * (found.least_pages != 1)} each"
        return [f"  mappings    {apart if found.apart else ''}{lengths}"]

    def _kinds_text(self) -> str:
        total = max(sum(self.kinds.values()), 1)
        counted = sorted(self.kinds.items(), key=lambda item: -item[1])
        return ", ".join(f"{kind} {count / total:.1%}" for kind, count in counted if count) or "none"

    def _reuse_text(self) -> str:
        if self.reuse is None:
            return "reuse not counted: page numbers too large"
        if self.reuse.median_distance is None:
            return "no page mapped twice"
        return (
            f"{self.reuse.share:.1%} of operations map a page mapped before, "
            f"median {self.reuse.median_distance:,} operations ago"
        )


def _quantile_name(quantile: float) -> str:
    return "max" if quantile == 1 else f"{quantile * 100:g} %"
