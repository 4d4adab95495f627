"""`pipeline study matrix` and its document."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.allocators.registry import kmap_allocators
from pipeline.studies.catalogue import find_about
from pipeline.studies.matrix.designs_page import compare_allocators
from pipeline.studies.matrix.grid import MACHINES, TRACES
from tests.cli.command import refusal

DOCUMENT = Path(__file__).parents[3] / "docs" / "designs.md"
STUDY = ("study", "matrix")
CURVES = "Curves and figures"


def part(text: str, heading: str) -> str:
    """From a heading of the second level to the next."""
    found = re.search(rf"^## {heading}\n.*?(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    assert found, heading
    return found[0]


def test_every_design_has_a_line_in_every_table() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    new = [name for name in kmap_allocators() if f"| {name} |" not in text]
    for allocator in set(kmap_allocators()) - set(new):
        lines = re.findall(rf"^\| {allocator} \| .*$", part(text, CURVES), re.MULTILINE)
        assert len(lines) == len(MACHINES), allocator
        priced = re.findall(rf"^\| {allocator} \|", part(text, "What each design costs"), re.MULTILINE)
        assert len(priced) == 1
    if new:
        pytest.skip(f"docs/designs.md has no line of {', '.join(new)} yet; run 'make documents'")


def test_each_curve_is_there() -> None:
    pictures = re.findall(r"^!\[.*\]\((.*\.svg)\)$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(pictures) == len(TRACES) * len(MACHINES)
    assert all((DOCUMENT.parent / picture).is_file() for picture in pictures)


def test_every_saying_of_a_design_has_its_outcome() -> None:
    text = part(DOCUMENT.read_text(encoding="utf-8"), "Claims about single designs")
    for study in find_about(kmap_allocators()):
        assert f"(`pipeline study {study.name}`)" in text
    assert "out of date" not in text


def test_nothing_is_beyond_the_bounds_without_a_reason() -> None:
    assert "**" not in part(DOCUMENT.read_text(encoding="utf-8"), "Runs beyond the bounds")


def test_two_designs_are_compared_beside_the_bounds(tmp_path: Path) -> None:
    with compare_allocators(["atomic", "percpu_pinned"], ["numaq16"], [4, 1], 40, judged=False) as made:
        text = made.markdown(pictures=tmp_path / "pictures")
    build = part(text, CURVES).split("### read_one_byte")[0]
    rows = [line.split(" | ")[0] for line in build.splitlines() if line.startswith("| ")]
    assert rows[2:] == [
        "| direct_map", "| atomic", "| percpu_pinned", "| clairvoyant", "| always_flush",
    ]  # fmt: skip
    assert len(list((tmp_path / "pictures").glob("*.svg"))) == len(TRACES)


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    assert "unknown design 'atomics'" in refusal(*STUDY, "atomics", cwd=tmp_path, status=2)
    assert "unknown machine 'numa'" in refusal(*STUDY, "-m", "numa", cwd=tmp_path, status=2)
    assert refusal(*STUDY, "--cpus", "1;4", cwd=tmp_path, status=2) == (
        "--cpus must be numbers separated by commas, found '1;4'"
    )
    assert "from 1 up" in refusal(*STUDY, "--cpus", "0", cwd=tmp_path, status=2)
