"""`pipeline study claims`, and the document that it writes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.studies.claims.registry import CLAIMS, render_claims
from pipeline.studies.verdict import Table, Verdict
from tests.cli.command import answer, pipeline, refusal

DOCUMENT = Path(__file__).parents[3] / "docs" / "claims.md"
CHEAPEST = "d"
STUDY = ("study", "claims")


def section(text: str, letter: str) -> str:
    """The section of one claim, from its heading to the next."""
    found = re.search(rf"^### \({letter}\) .*?(?=^##)", text, re.DOTALL | re.MULTILINE)
    assert found, letter
    return found[0]


@pytest.mark.parametrize("letter", CLAIMS)
def test_every_claim_has_its_verdict_conditions_and_commands(letter: str) -> None:
    found = section(DOCUMENT.read_text(encoding="utf-8"), letter)
    assert re.search(r"\*\*(Holds|Does not hold|Depends)\*\*: ", found)
    assert "\n| --- |" in found
    assert "closed loop, seed 0" in found
    assert re.search(r"profiles? \w", found)
    assert re.search(r"^Varied: ", found, re.MULTILINE)
    assert re.search(r"^Assumed: \w", found, re.MULTILINE)
    assert re.search(r"^    pipeline generate \w+ .*--ops \d+ --seed 0 ", found, re.MULTILINE)
    assert re.search(r"^    pipeline replay .*--allocator \w+ .*--machine \S+ ", found, re.MULTILINE)


def test_the_overview_says_what_the_sections_say() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for letter in CLAIMS:
        (outcome,) = re.findall(rf"^\| \({letter}\) .* \| \*\*([a-z ]+)\*\* \|$", text, re.MULTILINE)
        assert f"**{outcome.capitalize()}**: " in section(text, letter)


def test_a_claims_section_is_what_its_replay_says_now(tmp_path: Path) -> None:
    assert answer(*STUDY, CHEAPEST, "--document", "new.md", cwd=tmp_path) == "new.md\n"
    now = (tmp_path / "new.md").read_text(encoding="utf-8")
    assert section(now, CHEAPEST) == section(DOCUMENT.read_text(encoding="utf-8"), CHEAPEST), (
        "run 'pipeline study claims --document docs/claims.md'"
    )
    assert "### (a)" not in now


def test_the_command_prints_verdicts_and_keeps_runs_where_it_is_told(tmp_path: Path) -> None:
    done = pipeline(*STUDY, CHEAPEST.upper(), "--keep", "kept", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"({CHEAPEST}) 2048 entries")
    assert re.search(r"^(HOLDS|DOES NOT HOLD|DEPENDS): ", done.stdout, re.MULTILINE)
    assert "\n$ pipeline replay " in done.stdout
    runs = sorted((tmp_path / "kept" / "runs").glob("*/manifest.json"))
    assert len(runs) == 6


def test_a_letter_that_is_no_claim_is_refused(tmp_path: Path) -> None:
    assert refusal(*STUDY, "z", "--document", "no.md", cwd=tmp_path, status=2) == (
        "unknown claim 'z'; known: a, b, c, d, e, f, g, h, i, j, k, l, m"
    )


def test_a_document_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    assert "found a directory" in refusal(*STUDY, "d", "--document", "folder", cwd=tmp_path, status=4)


def test_runs_cannot_be_kept_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert refusal(*STUDY, "d", "--keep", "file", cwd=tmp_path, status=4).startswith("file: cannot be")


def test_a_verdict_shows_all_it_has_and_nothing_that_it_has_not() -> None:
    bare = Verdict(
        "Claim", "Somebody, 2002", "holds", "Because.", "Profile p, seed 0", [Table(("x",), [("1",)])]
    )
    assert bare.markdown() == (
        "### Claim\n\nSomebody, 2002. **Holds**: Because.\n\n| x |\n| --- |\n| 1 |\n\nProfile p, seed 0.\n"
    )
    tables = [Table(("x",), [("1",)]), Table(("y",), [("2",)], "More:")]
    whole = Verdict(
        "Claim", "Somebody", "depends", "On it.", "Profile p", tables, "v.", "a.", commands=["pipeline x"]
    )
    for said in ("More:\n\n| y |", "Varied: v.", "Assumed: a.", "    pipeline x"):
        assert said in whole.markdown()
    for said in ("DEPENDS: On it.", "More:\ny\n2\n", "Varied: v.", "Assumed: a.", "$ pipeline x"):
        assert said in whole.text()
    assert "| Claim | **depends** |" in render_claims([whole])
