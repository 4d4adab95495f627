"""Comparing two traces by their operations, without a replay."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from pipeline.compare.render import Form
from pipeline.io.files import sha256_of
from pipeline.io.numbers import format_number
from pipeline.io.tables import align_columns, markdown_table
from pipeline.workload.fit.comparison import figures
from pipeline.workload.fit.observed import observe

_HEAD = ("figure", "A", "B", "B against A")


@dataclass(frozen=True)
class TraceComparison:
    """Statistics of two traces by name: mix, rates, times, bursts, popularity and reuse; 0 if none occur."""

    a: Path
    b: Path
    identical: bool
    """Whether the files are identical."""
    figures: dict[str, tuple[float, float]]

    def render(self, form: Form) -> str:
        """Return the comparison as text, Markdown or JSON."""
        if form == "json":
            content = {
                "a": str(self.a),
                "b": str(self.b),
                "identical": self.identical,
                "figures": self.figures,
            }
            return json.dumps(content, indent=2) + "\n"
        rows = [
            (name, format_number(a), format_number(b), f"{100 * (b / a - 1):+.1f} %" if a else "-")
            for name, (a, b) in self.figures.items()
        ]
        table = (
            "\n" + markdown_table(_HEAD, rows)
            if form == "md"
            else align_columns([_HEAD, *rows], right=(1, 2, 3))
        )
        same = (
            "the files are the same"
            if self.identical
            else "the traces are not replayed, and there is no verdict"
        )
        return f"A is the trace {self.a}, B is the trace {self.b}: {same}.\n{table}"


def compare_traces(a: Path, b: Path) -> TraceComparison:
    """Compare two traces by their first operations. Raises InputError for a file that is not a trace."""
    of_a, of_b = (figures(observe(path)) for path in (a, b))
    names = dict.fromkeys([*of_a, *of_b])
    return TraceComparison(
        a, b, sha256_of(a) == sha256_of(b), {n: (of_a.get(n, 0.0), of_b.get(n, 0.0)) for n in names}
    )
