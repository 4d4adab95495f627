"""`pipeline new allocator`: what it writes replays and passes its own test; it never writes over anything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.allocators.new import new_allocator
from pipeline.errors import OutputError
from tests.cli.command import answer, pipeline, refusal

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> Path:
    """A directory with a small trace and a fresh skeleton."""
    directory = tmp_path_factory.mktemp("house")
    answer("generate", "kernel_build", "-o", "t.parquet", "--ops", 1000, cwd=directory)
    new_allocator("mine", directory)
    return directory


def test_it_prints_the_paths_and_what_to_try_next(tmp_path):
    printed = answer("new", "allocator", "mine", "-o", "my designs", cwd=tmp_path)
    assert printed.splitlines() == [
        "my designs/mine.py",
        "my designs/test_mine.py",
        "try next:",
        "  pipeline replay local --allocator './my designs/mine.py' --machine smp4-2002",
        "  python -m pytest 'my designs/test_mine.py'",
    ]
    assert {path.name for path in (tmp_path / "my designs").iterdir()} == {"mine.py", "test_mine.py"}


def test_the_skeleton_passes_its_own_test_which_fails_where_the_design_is_wrong(house):
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mine.py"]
    assert subprocess.run(words, cwd=house, check=False).returncode == 0
    right = (house / "mine.py").read_text()
    assert right.count("            invalidate(a, d, slot)\n") == 1
    (house / "mine.py").write_text(right.replace("            invalidate(a, d, slot)\n", ""))
    done = subprocess.run(words, cwd=house, check=False, capture_output=True, text=True)
    (house / "mine.py").write_text(right)
    assert done.returncode == 1
    assert "through a TLB entry left by another mapping of the slot" in done.stdout


def test_the_skeleton_is_as_tidy_as_the_package_and_names_nobody_else(house):
    assert "NAME" not in (house / "mine.py").read_text() + (house / "test_mine.py").read_text()
    words = [sys.executable, "-m", "ruff", "check", "--config", ROOT / "pyproject.toml", "mine.py"]
    assert subprocess.run(words, cwd=house, check=False).returncode == 0


def test_the_skeleton_compiles(house):
    compiled = pipeline("replay", "t.parquet", "-a", "./mine.py", "-m", "smp4-2002", cwd=house)
    plain = pipeline(
        "replay", "t.parquet", "-a", "./mine.py", "-m", "smp4-2002", "--no-compile", "-o", "plain", cwd=house
    )
    assert (compiled.returncode, plain.returncode) == (0, 0), compiled.stderr
    assert "0 hits, 1,000 misses, 0 fallbacks" in compiled.stderr
    assert Path(compiled.stdout).name == Path(plain.stdout).name


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("my-pool", "(letters, digits and underscores, as in 'my_pool'), found 'my-pool'"),
        ("mine.py", "found 'mine.py'"),
        ("../mine", "found '../mine'"),
        ("4ever", "found '4ever'"),
        ("class", "found 'class'"),
        ("", "found ''"),
        ("random", "a module of Python's standard library that random.py would hide; try 'my_random'"),
        ("global_pool", "found 'global_pool', a shipped design; try 'my_global_pool'"),
    ],
)
def test_a_name_that_no_design_of_ones_own_can_have(tmp_path, name, said):
    assert said in refusal("new", "allocator", name, cwd=tmp_path, status=2)


def test_only_allocators_can_be_new(tmp_path):
    assert "'alocator' is not one of 'allocator'" in refusal("new", "alocator", "x", cwd=tmp_path, status=2)


@pytest.mark.parametrize("there", ["mine.py", "test_mine.py"])
def test_a_file_that_is_there_stays_as_it_is_and_alone(tmp_path, there):
    (tmp_path / there).write_text("precious")
    assert there in refusal("new", "allocator", "mine", cwd=tmp_path, status=4)
    assert [path.name for path in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text() == "precious"


def test_a_directory_that_cannot_be_is_an_output_error(tmp_path):
    (tmp_path / "file").touch()
    said = refusal("new", "allocator", "mine", "-o", "file/deeper", cwd=tmp_path, status=4)
    assert "file/deeper: cannot be written" in said


def test_nothing_half_written_is_left(tmp_path, monkeypatch):
    opened = Path.open

    def full(path: Path, *how, **named):
        if path.name == "test_mine.py":
            raise OSError(28, "No space left on device")
        return opened(path, *how, **named)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(OutputError, match=r"test_mine\.py: cannot be written \(No space left on device\)"):
        new_allocator("mine", tmp_path)
    assert list(tmp_path.iterdir()) == []
