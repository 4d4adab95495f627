"""docs/performance.md: each benchmark's part of it stands between two marks of its own."""

from __future__ import annotations

from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"


def write_part(name: str, benchmark: str, text: str) -> None:
    """Put `text` between the two marks of the part `name`, which the script `benchmark` writes."""
    mark = f"<!-- {name}: written by benchmarks/{Path(benchmark).name} -->"
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(mark)
    assert mark in rest, f"{PAGE}: wanted two lines {mark}"
    PAGE.write_text(f"{before}{mark}\n\n{text}\n{mark}{rest.partition(mark)[2]}", encoding="utf-8")
