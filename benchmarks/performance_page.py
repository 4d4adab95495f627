"""Write the parts of docs/performance.md that come from benchmarks, each between two marks."""

from __future__ import annotations

from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"


def write_part(name: str, benchmark: str, text: str) -> None:
    """Write `text` between the two marks of the part `name`, which belongs to the script `benchmark`."""
    mark = f"<!-- {name}: written by benchmarks/{Path(benchmark).name} -->"
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(mark)
    assert mark in rest, f"{PAGE}: expected two lines {mark}"
    PAGE.write_text(f"{before}{mark}\n\n{text}\n{mark}{rest.partition(mark)[2]}", encoding="utf-8")
