"""The form of docs/validation.md, and those of its numbers that take little time to reproduce."""

import re
from pathlib import Path

import pytest

from pipeline.studies import validation_page as document
from pipeline.studies.lockmeter.comparison import figures
from pipeline.studies.lockmeter.implied import imply
from pipeline.studies.lockmeter.lockmeter_data import read_rows
from pipeline.studies.lockmeter.lockmeter_page import describe_fitting
from pipeline.studies.lockmeter.prediction import predict

DOCUMENT = Path(__file__).parents[2] / "docs" / "validation.md"
SECTIONS = (
    "Lock-step against a real kernel",
    "Free-running against the same recordings",
    "Lock-step against a kernel's vmalloc",
    "Theory",
    "History: the lockmeter rows of March 2002",
    "Hit rate against slots",
    "Other facts of 2002",
    "Distribution of lock waits",
    "What each mechanism contributes",
)


def test_the_document_has_every_check_in_its_order() -> None:
    text = DOCUMENT.read_text()
    assert tuple(re.findall(r"^## (.*)$", text, re.MULTILINE)) == SECTIONS
    assert text.startswith(document.HEAD)


def test_the_fitted_values_in_the_document_are_those_of_the_files() -> None:
    assert describe_fitting() in DOCUMENT.read_text()


@pytest.mark.parametrize("row", read_rows(), ids=lambda row: row.name)
def test_what_seed_0_says_of_a_row_lies_in_the_range_that_the_document_gives(row) -> None:
    text = DOCUMENT.read_text()
    section = text[text.index(f"### Row {row.name}:") :].split("\n### ")[0]
    ranges = re.findall(r"^\| (\S+) \| (.+?) \| .*? \| .*? \| (\S+) \.\. (\S+) \|", section, re.MULTILINE)
    simulated = figures(row, [predict(row)], imply(row))
    assert len(ranges) == len(simulated) == 30
    for (site, _, low, high), figure in zip(ranges, simulated, strict=True):
        assert site == figure.site
        value = figure.middle
        assert value is not None
        # The document gives three digits.
        least, most = (float(end.replace(",", "")) for end in (low, high))
        assert least * 0.99 <= value <= most * 1.01, (figure, low, high)


def test_every_part_is_written_and_a_failing_one_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document, "PARTS", (lambda _: "## One\n\nfirst\n\n\n", lambda _: "## Two\n"))
    path = document.write_validation(tmp_path / "docs" / "v.md")
    body = "## One\n\nfirst\n\n## Two\n"
    assert path.read_text() == f"{document.HEAD}\n{document.lead(body)}\n{body}"

    def fails(_: Path) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(document, "PARTS", (fails,))
    with pytest.raises(KeyboardInterrupt):
        document.write_validation(tmp_path / "other.md")
    assert [found.name for found in tmp_path.iterdir()] == ["docs"]


def test_the_leading_table_quotes_how_well_each_yardstick_agrees() -> None:
    text = DOCUMENT.read_text()
    body = text[text.index("\n## ") :]
    assert document.lead(body) in text
    assert "see below" not in document.lead(body)
    assert document.lead("").count("see below") == len(document.YARDSTICKS) - 1
    facts = (
        "## Other facts of 2002\n\n| a | **holds** |\n| b | **depends** |\n| c | **holds** |\n\n## Next\n\n"
        "| d | **holds** |\n"
    )
    assert "holds: 2, depends: 1" in document.lead(facts)
