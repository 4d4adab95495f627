"""Names instead of paths, and what is said of files that lie beside a name."""

from __future__ import annotations

from importlib.metadata import version

import pytest

from pipeline.errors import InputError, UsageError
from pipeline.trace.reader import open_trace
from tests.cli.command import answer, refusal
from tests.trace.small import write_good

USAGE, INPUT = UsageError.exit_status, InputError.exit_status


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A directory with a trace, two runs of it, and files whose names lack an ending below."""
    directory = tmp_path_factory.mktemp("house")
    write_good(directory / "good.parquet")
    for design in ("direct_map", "atomic"):
        answer("replay", "good.parquet", "-a", design, "-m", "smp4-2002", "--no-compile", cwd=directory)
    for name in ("mine.py", "mine.toml", "mine.sql"):
        (directory / name).write_text("")
    return directory


@pytest.mark.parametrize(
    ("words", "file"),
    [
        ("replay good -a direct_map -m smp4-2002", "good.parquet"),
        ("doctor good", "good.parquet"),
        ("warm -a mine", "mine.py"),
        ("replay good.parquet -a direct_map -m mine", "mine.toml"),
        ("generate mine -o x.parquet", "mine.toml"),
        ("sweep good -a direct_map -m smp4-2002", "good.parquet"),
        ("sql -n mine", "mine.sql"),
        ("report -d mine", "mine.toml"),
    ],
)
def test_a_file_that_lacks_only_its_ending_is_named(house, words, file):
    said = refusal(*words.split(), cwd=house, status=USAGE)
    assert f"; for the file, give its full name: {file}; known: " in said


def test_an_error_names_the_users_file_and_not_a_temporary_one(house):
    said = refusal("generate", "laptop", "-o", "x.parquet", "-s", "page_sets.x=1", cwd=house, status=INPUT)
    assert "laptop.toml with page_sets.x = 1: page_sets.x: expected " in said
    assert "/tmp/tmp" not in said


def test_shipped_recordings_are_known_by_name(house):
    assert "recorded trace 'local'" in answer("doctor", "local", cwd=house)
    answer("transform", "local", "window=0s..1ms", "-o", "short.parquet", cwd=house)
    assert open_trace(house / "short.parquet").rows > 0
    answer("fit", "short.parquet", "-o", "short.toml", cwd=house)
    assert "unknown trace 'locl' (did you mean 'local'" in refusal(
        "fit", "locl", "-o", "x.toml", cwd=house, status=USAGE
    )


def test_a_trace_that_is_imported_keeps_what_it_says_of_itself(house):
    assert "is already a trace" in answer("import", "good.parquet", "-o", "again.parquet", cwd=house)
    assert (house / "again.parquet").read_bytes() == (house / "good.parquet").read_bytes()
    words = ("import", "good.parquet", "-o", "x.parquet", "--kernel", "2.4")
    assert "omit the options that change metadata" in refusal(*words, cwd=house, status=USAGE)


def test_a_profile_can_be_started_from(house):
    (house / "own.toml").write_text(answer("machines", "smp8-2002", "--toml", cwd=house))
    assert answer("machines", "own.toml", cwd=house) == answer("machines", "smp8-2002", cwd=house)
    assert "requires a machine" in refusal("machines", "--toml", cwd=house, status=USAGE)


def test_runs_are_given_by_patterns_and_side_by_side(house):
    every = [f"runs/{path.name}" for path in sorted((house / "runs").iterdir())]
    asked = ("SELECT run FROM runs ORDER BY run", "--format", "csv")
    assert answer("sql", *asked, "--runs", *every, cwd=house) == "run\natomic\ndirect_map\n"
    assert answer("sql", "--runs", *every, *asked, cwd=house) == "run\natomic\ndirect_map\n"
    assert answer("sql", *asked, "-r", "runs/at*", cwd=house) == "run\natomic\n"
    assert "no path matches" in refusal("sql", *asked, "-r", "x*", cwd=house, status=INPUT)


def test_help_and_version(house):
    assert answer("--version", cwd=house) == f"pipeline {version('kmap-pipeline')}\n"
    assert answer("help", "sweep", "run", cwd=house) == answer("sweep", "run", "--help", cwd=house)
    assert answer("help", cwd=house) == answer("--help", cwd=house)
