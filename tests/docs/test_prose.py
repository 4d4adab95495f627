"""The checker of prose finds what its rules describe, on the right line, and looks at prose only."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "docs"))
prose = pytest.importorskip("prose")

RULES, CHECKS = prose.rules()

LONG = "The pool " + "and the lock " * 14 + "wait."


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.bad)
def test_each_rule_finds_its_bad_example_and_passes_its_good_one(rule):
    assert rule.pattern.search(rule.bad)
    assert not rule.pattern.search(rule.good)


@pytest.mark.parametrize(
    ("name", "text", "kept", "dropped"),
    [
        (
            "a.md",
            "The pool\n\n```console\n$ somebody\n```\n\nuses `nobody` once.\n",
            "uses",
            ["somebody", "nobody"],
        ),
        ("a.md", "    nobody indented\n\n[the lock](nobody.md)\n", "the lock", ["nobody"]),
        ("a.py", '"""Take the lock."""\nnobody = "SELECT nobody FROM a, b"\n', "Take the lock.", ["nobody"]),
        (
            "a.py",
            'raise Error(f"the pool has {nobody} slots, not enough")\n',
            "slots, not enough",
            ["nobody"],
        ),
        ("a.py", 'x = ("the lock of a pool", "the flush of " "a whole pool")\n', "of a pool.", ["flush of."]),
        (
            "a.sql",
            "-- question: Which lock?\nSELECT nobody -- of the pool\n",
            "of the pool",
            ["nobody", "SELECT"],
        ),
        (
            "a.toml",
            'claim = "It flushes"\n[sql]\nx = "nobody"\n[words]\ny = 1\n',
            "It flushes",
            ["nobody", "claim"],
        ),
        ("a.j2", "<p class='nobody'>{{ nobody }} flushes{% if nobody %}</p>", "flushes", ["nobody"]),
    ],
)
def test_only_prose_is_kept_of_each_kind_of_file(tmp_path, name, text, kept, dropped):
    path = tmp_path / name
    path.write_text(text)
    found = prose.prose(path)
    assert kept in found
    assert not [word for word in dropped if word in found]
    assert found.count("\n") == text.count("\n")


def test_a_finding_names_its_line_and_the_status_says_that_there_is_one(tmp_path, capsys):
    path = tmp_path / "a.md"
    path.write_text(f"The pool flushes.\n\nNobody waits.\n\n{LONG}\n")
    assert prose.main([str(path)]) == 1
    out = capsys.readouterr().out
    assert f"{path}:3: 'Nobody'" in out
    assert f"{path}:5: 'The pool and the lock and ...': 45 words" in out
    path.write_text("The pool flushes.\n")
    assert prose.main([str(path)]) == 0


@pytest.mark.parametrize(
    ("name", "content"), [("a.txt", b"x"), ("a.md", b"\xff"), ("a.py", b"def"), ("gone.md", None)]
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, capsys, name, content):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    assert prose.main([str(path)]) == 2
    assert capsys.readouterr().err.startswith(f"{path}: expected text")
