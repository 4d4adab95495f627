"""The page for contributors tells the truth: a copy of the checkout does what it says to write and to run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.test_documents import ROOT, module_of

PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"```(\w+)\n(?:(?:#|--) in (\S+)\n)?(.*?)```\n", re.DOTALL)
ADDED = ["An allocator", "A query", "A kind of chart", "A format of recordings", "A command"]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout as it is, with what is not committed."""
    copy = tmp_path_factory.mktemp("contributing") / "checkout"
    for name in ("pipeline", "tests", "docs", "queries", "reports", "traces", "benchmarks"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in ROOT.iterdir():
        if path.is_file() and path.name != ".git":
            shutil.copy(path, copy)
    return copy


def run(checkout: Path, command: str) -> str:
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    own |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(checkout),
    }
    done = subprocess.run(
        command, shell=True, cwd=checkout, env=own, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, f"$ {command}\n{done.stdout[-5000:]}{done.stderr[-5000:]}"
    return done.stdout


def sections() -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """Headings with their blocks: the kind, the file that it is, and the text."""
    for section in PAGE.split("\n## ")[1:]:
        heading, _, text = section.partition("\n")
        yield heading, BLOCK.findall(text)


def test_each_thing_is_added_as_the_page_says_and_nothing_else_is_wanted(checkout: Path) -> None:
    done = []
    for heading, blocks in sections():
        for kind, file, text in blocks:
            if file:
                assert not (checkout / file).exists(), file
                (checkout / file).write_text(text, encoding="utf-8")
            else:
                assert kind == "console"
                for command in re.findall(r"^\$ (.*)$", text, re.MULTILINE):
                    run(checkout, command)
        done += [heading] if blocks else []
    assert done == ["Prose", *ADDED, "Before you send it"]
    for example in module_of("examples").examples((ROOT / "README.md").read_text(encoding="utf-8")):
        if example.output.endswith("\n..."):
            assert module_of("examples").fits(example.output, run(checkout, example.command)), example.command


def test_every_target_that_the_page_names_is_one() -> None:
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(re.findall(r"`make (\w+)`", PAGE)) <= set(targets)
