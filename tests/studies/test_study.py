"""A user's own study: run by its path, checked with file and line, shown as a page."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.studies.answer import describe_costs
from pipeline.studies.catalogue import find_studies
from pipeline.studies.definition import read_study
from pipeline.studies.measure import answer_studies, distinct, judge, open_results
from pipeline.studies.outcome import Setting, decide, sign_test
from pipeline.studies.study_page import render_study_page
from tests.cli.command import answer, pipeline, refusal
from tests.studies.made import results

OWN = '''\
claim = "A <larger> pool flushes less"
source = "nobody"

[grid]
trace = "kernel_build"
operations = 400
allocator = "global_pool"
machine = "modern-x86-64"
cpus = 2
replications = 6
options.slots = [8, 64]

[sql]
pools = "SELECT slots, replication, flushes, allocator AS design FROM points"
condition = """
SELECT few.replication, few.flushes > many.flushes AS holds
FROM pools AS few
JOIN pools AS many USING (replication)
WHERE few.slots = 8 AND many.slots = 64
"""
numbers = "SELECT avg(flushes) FILTER (slots = 8) AS few FROM pools"

[words]
text = "Eight slots flush {few:.1f} times."

[[chart]]
view = "pools"
title = "Flushes"
x = "slots"
y = "flushes"
'''


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("studies") / "own.toml"
    path.write_text(OWN)
    return path


@pytest.fixture(scope="module")
def kept(own: Path) -> Path:
    answer_studies([read_study(own)], own.parent / "kept")
    return own.parent / "kept"


def test_a_study_is_run_by_its_path_and_says_what_comes_out(own: Path, kept: Path) -> None:
    (found,) = json.loads(answer("study", str(own), "--keep", str(kept), "--format", "json", cwd=own.parent))
    assert found["outcome"] == "holds"
    assert found["settings"] == [{"setting": "", "holds": True, "held": 6, "replications": 6}]
    assert re.fullmatch(r"Eight slots flush \d+\.\d times\.", found["text"])
    assert found["runs"] == 12
    assert found["commands"][0].startswith("pipeline generate kernel_build --ops 400 ")
    text = answer("study", str(own), "--keep", str(kept), "-n", "3", cwd=own.parent)
    assert "CANNOT TELL: It holds in 3 of 3 replications, which is inconclusive." in text


def test_the_commands_of_a_study_make_the_same_run(own: Path, kept: Path) -> None:
    (found,) = answer_studies([read_study(own)], kept)
    for command in found.commands:
        words = command.split()
        assert words[0] == "pipeline"
        directory = answer(*words[1:], cwd=own.parent).strip()
    manifest = json.loads((own.parent / directory.splitlines()[-1] / "manifest.json").read_text())
    fingerprints = {json.loads(path.read_text())["fingerprint"] for path in kept.glob("runs/*/manifest.json")}
    assert manifest["fingerprint"] in fingerprints


def test_the_page_of_a_study_is_whole_and_shows_text_as_text(own: Path, kept: Path) -> None:
    answers = answer_studies([read_study(own)], kept)
    page = render_study_page(answers, command="pipeline report own.toml")
    assert "<h1>A &lt;larger&gt; pool flushes less</h1>" in page
    assert "<strong>Holds.</strong> Eight slots flush" in page
    assert page.count("<svg ") == 1
    assert "var(--run-0)" in page
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    ("old", "new", "begins", "said"),
    [
        (
            "SELECT few.replication, few.flushes >",
            "SELECT few.replication, few.flashes >",
            "condition",
            "flashes",
        ),
        ("AS holds", "AS hold", "condition", "expected a column 'holds', found replication, hold"),
        ("few.replication, few", "few", "condition", "expected a column 'replication'"),
        ("few.flushes > many.flushes AS holds", "few.flushes AS holds", "condition", "must be true or false"),
        ("WHERE few.slots = 8", "WHERE few.slots = 7", "condition", "no run tests the claim"),
        ("AND many.slots = 64", "", "condition", "several rows of one replication"),
        (
            "{few:.1f}",
            "{many:.1f}",
            "text",
            "words.text names 'many', which does not exist; known names: few, settings",
        ),
        ("{few:.1f}", "{few:.1q}", "[words]", "words for 'holds'"),
        ("{few:.1f}", "{few", "text", "words.text: expected '}'"),
        ("options.slots = [8, 64]", "options.slots = []", "[grid]", "factor options.slots has no value"),
        ("options.slots = [8, 64]", "options.slot = 8", "[grid]", "unknown option 'slot'"),
        ('machine = "modern-x86-64"', 'machine = "modern"', "[grid]", "unknown machine"),
        ('y = "flushes"', 'y = "flashes"', "[[chart]]", "view 'pools' has no column 'flashes', only slots"),
        ('view = "pools"', 'view = "pool"', "[[chart]]", "pool"),
        ('source = "nobody"', 'sauce = "nobody"', "sauce", "unknown key 'sauce' (did you mean 'source'?"),
        ('claim = "A <larger> pool flushes less"', "", "", "required key 'claim' is missing"),
        (
            "FILTER (slots = 8) AS few FROM pools",
            ", slots AS few FROM pools GROUP BY slots",
            "numbers",
            "one row",
        ),
    ],
)
def test_what_is_wrong_with_a_study_is_said_with_its_line(
    own: Path, kept: Path, tmp_path: Path, old: str, new: str, begins: str, said: str
) -> None:
    wrong = tmp_path / "own.toml"
    assert old in OWN
    text = OWN.replace(old, new, 1)
    wrong.write_text(text)
    with pytest.raises(InputError) as error:
        for found in answer_studies([read_study(wrong)], kept):
            render_study_page([found])
    assert said in str(error.value)
    lines = [number for number, one in enumerate(text.splitlines(), 1) if begins and one.startswith(begins)]
    place = f"{wrong}:{lines[0]}" if lines else str(wrong)
    assert str(error.value).startswith(f"{place}: ")
    assert "\n" not in str(error.value)


def test_the_command_refuses_with_one_line(own: Path, tmp_path: Path) -> None:
    assert "unknown study 'poolsize' (did you mean 'pool_size'" in refusal(
        "study", "poolsize", cwd=tmp_path, status=2
    )
    (tmp_path / "no.toml").write_text("claim = ")
    assert "no.toml:1: expected TOML, found a syntax error" in refusal(
        "study", "no.toml", cwd=tmp_path, status=3
    )
    assert "no.toml" in refusal("report", "no.toml", cwd=tmp_path, status=3)
    assert "html, .htm or .md" in refusal("report", str(own), "-o", "x.svg", cwd=tmp_path, status=2)
    done = pipeline("study", cwd=tmp_path)
    assert "pool_size" in done.stdout
    assert done.stdout.startswith("claims:")


def test_replications_that_do_the_same_count_once(own: Path) -> None:
    chosen = read_study(own)
    rows = [
        {"slots": slots, "options": f"{{slots: {slots}}}", "flushes": flushes, "fingerprint": fingerprint}
        for slots, flushes in ((8, 5), (64, 1))
        for fingerprint in (lambda replication: str(replication % 2),)
    ]
    with open_results(chosen, distinct(results(rows))) as session:
        (found,) = judge(chosen, session)
    assert (found.held, found.replications, found.holds) == (2, 2, None)


def test_two_files_of_one_name_are_refused_and_a_files_name_is_text(own: Path, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(OWN)
    assert "have the same name; rename one" in refusal(
        "study", own, tmp_path / "own.toml", cwd=tmp_path, status=2
    )
    odd = tmp_path / '"><b>.toml'
    odd.write_text(OWN.replace("operations = 400", "operations = 20"))
    page = render_study_page(answer_studies([read_study(odd)]))
    assert "<b>" not in page


def test_where_a_price_comes_from_is_said_as_its_source_does() -> None:
    study = replace(find_studies(["pool_size"])[0], costs={"numaq16": ("handoff_local_ns", "walk_ns")})
    assert describe_costs(study).endswith(" (fitted), `walk_ns` 300 (assumed)")


def test_an_opinion_for_another_outcome_is_said_to_be_stale(own: Path, kept: Path, tmp_path: Path) -> None:
    changed = tmp_path / "own.toml"
    opinion = '[opinion]\nexpected = "does not hold"\nwrong = "author"\nwords = "It is known."\n\n[[chart]]'
    changed.write_text(OWN.replace("[[chart]]", opinion))
    done = pipeline("study", str(changed), "--keep", str(kept), cwd=tmp_path)
    assert done.returncode == 5
    assert "The opinion is out of date" in done.stdout
    assert "It is known" not in done.stdout
    few = answer("study", str(changed), "--keep", str(kept), "-n", "3", cwd=tmp_path)
    assert "out of date" not in few
    assert "; 3 replications." in few


def test_settings_are_judged_by_runs_that_differ() -> None:
    assert sign_test(0, 6) == pytest.approx(2 / 64)
    assert sign_test(3, 6) == 1.0
    assert [Setting("s", held, 6).holds for held in (0, 1, 5, 6)] == [False, None, None, True]
    assert Setting("s", 8, 9).holds is True
    assert Setting("s", 5, 5).holds is None
    assert Setting("s", 1, 1, exact=True).holds is True
    yes, no, unknown = Setting("y", 6, 6), Setting("n", 0, 6), Setting("u", 3, 6)
    assert decide([yes, yes]) == "holds"
    assert decide([no]) == "does not hold"
    assert decide([yes, no, unknown]) == "depends"
    assert decide([yes, unknown]) == decide([no, unknown]) == decide([unknown]) == "cannot tell"


def test_collections_are_all_of_their_studies_each_once() -> None:
    assert [study.label for study in find_studies(["facts", "dbench_lock_bound"])] == list("12345")
