"""The table of counts in docs/reliability.md, between two markers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.io.tables import markdown_table
from tests.campaigns.result import CampaignResult

BEGIN, END = "<!-- counts of the last campaign -->", "<!-- end of counts -->"


def write_counts(results: Sequence[CampaignResult], page: Path) -> None:
    """Put a row for each campaign between the markers of a page, in the place of what stands there.

    A campaign that was not run keeps its row. Raises ValueError for a page without the markers.
    """
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    there, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"{page}: expected the lines '{BEGIN}' and '{END}', found none")
    rows = {row[0]: row for row in map(_cells, there.splitlines()) if len(row) == _WIDTH}
    rows |= {result.campaign: _row(result) for result in results}
    for head in (_HEAD[0], "---"):
        rows.pop(head, None)
    table = markdown_table(_HEAD, [rows[name] for name in sorted(rows)])
    page.write_text(f"{before}{BEGIN}\n\n{table}\n{END}{after}", encoding="utf-8")


_HEAD = ("campaign", "tries", "failures", "time", "seed", "what was tried")
_WIDTH = len(_HEAD)


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split(" | ")]


def _row(result: CampaignResult) -> list[str]:
    tried = "; ".join(f"{count:,} {label}" for label, count in sorted(result.tries.items()))
    return [
        result.campaign,
        f"{result.tries.total():,}",
        f"{len(result.failures):,}",
        f"{result.elapsed_s / 60:.1f} min",
        str(result.seed),
        tried,
    ]
