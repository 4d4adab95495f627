"""`pipeline study matrix`, and the document that it writes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.allocators.registry import shipped_allocators
from pipeline.studies.matrix.claims import CLAIMS
from pipeline.studies.matrix.grid import CPUS, MACHINES, TRACES
from tests.cli.command import pipeline, refusal

DOCUMENT = Path(__file__).parents[3] / "docs" / "designs.md"
STUDY = ("study", "matrix")


def part(text: str, heading: str) -> str:
    """From a heading of the second level to the next."""
    found = re.search(rf"^## {heading}\n.*?(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    assert found, heading
    return found[0]


def test_every_design_has_a_line_in_every_table():
    text = DOCUMENT.read_text(encoding="utf-8")
    new = [name for name in shipped_allocators() if f"| {name} |" not in text]
    for allocator in set(shipped_allocators()) - set(new):
        lines = re.findall(rf"^\| {allocator} \| .*$", part(text, "Beside the bounds"), re.MULTILINE)
        assert len(lines) == len(TRACES) * len(MACHINES), allocator
        assert (
            len(re.findall(rf"^\| {allocator} \|", part(text, "What each design takes"), re.MULTILINE)) == 2
        )
    assert " / ".join(str(cpus) for cpus in CPUS) in text
    if new:
        pytest.skip(f"docs/designs.md has no line of {', '.join(new)} yet; run 'make documents'")


def test_every_judgement_of_the_document_fits_its_figures():
    text = part(DOCUMENT.read_text(encoding="utf-8"), "What the authors said, and what comes out")
    assert "to be judged anew" not in text
    assert "not asked" not in text
    assert len(re.findall(r"^- .*\*\*(?:Holds|Does not hold)\*\*: ", text, re.MULTILINE)) == len(CLAIMS)
    for claim in CLAIMS:
        assert f"| {claim.allocator} | {claim.source} | {claim.words} |" in text
        assert claim.opinion is None or claim.opinion.words in text


def test_nothing_is_beyond_the_bounds_without_a_reason():
    assert "**" not in part(DOCUMENT.read_text(encoding="utf-8"), "Beyond the bounds")


def test_two_designs_are_compared_beside_the_bounds(tmp_path: Path):
    arguments = (*STUDY, "atomic", "percpu_pinned", "--ops", "40", "--cpus", "4,1", "--machine", "numaq16")
    texts = []
    for name in ("one.md", "two.md"):
        done = pipeline(*arguments, "--document", name, cwd=tmp_path)
        # A judgement may not fit so few operations; then the command says so.
        assert (done.returncode == 5) == ("to be judged anew" in done.stderr), done.stderr
        assert done.stdout == f"{name}\n"
        texts.append((tmp_path / name).read_text(encoding="utf-8"))
    assert texts[0] == texts[1]
    build = part(texts[0], "Beside the bounds").split("### read_one_byte")[0]
    rows = [line.split(" | ")[0] for line in build.splitlines() if line.startswith("| ")]
    assert rows[2:] == [
        "| direct_map", "| atomic", "| percpu_pinned", "| clairvoyant", "| always_flush",
    ]  # fmt: skip
    assert "what each of 64 CPUs keeps" not in texts[0]
    assert "| not asked |" in texts[0]


def test_what_cannot_be_compared_is_refused(tmp_path: Path):
    assert "unknown design 'atomics'" in refusal(*STUDY, "atomics", cwd=tmp_path, status=2)
    assert "unknown machine 'numa'" in refusal(*STUDY, "-m", "numa", cwd=tmp_path, status=2)
    assert refusal(*STUDY, "--cpus", "1;4", cwd=tmp_path, status=2) == (
        "--cpus wants numbers with commas between, found '1;4'"
    )
    assert "from 1 up" in refusal(*STUDY, "--cpus", "0", cwd=tmp_path, status=2)
