"""A user's own design, given by path: it runs compiled or not, and its mistakes are told with their line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.errors import InputError, PipelineError
from pipeline.runs.execute import replay
from tests.cli.command import answer, pipeline, refusal

# One slot for each page, shared, never given back; a local invalidation whenever it is mapped.
ALLOCATOR = """\
from pipeline.allocators.api.contract import Option
from pipeline.allocators.api.actions import DONE
from pipeline.allocators.api.effects import invalidate, pin, touch_local, unpin
from pipeline.schema.codes import MISS
from pipeline.jit.marks import inline

SUMMARY = "one slot for each page"
OPTIONS = (Option("touched", 1, minimum=0, maximum=9, help="entries that a map touches"),)
SLOT = [("users", "i4")]


def slots(options, shape):
    return shape.pages


@inline
def map_step(a, r, d):
    r.slot = r.page
    r.served = MISS
    a.slots[r.slot].users += 1
    touch_local(d, a.options[0].touched)
    invalidate(a, d, r.slot)
    pin(d)
    return DONE


@inline
def unmap_step(a, r, d):
    a.slots[r.slot].users -= 1
    unpin(d)
    return DONE
"""
LINE = 19  # of "r.served = MISS"


@pytest.fixture
def trace(tmp_path) -> Path:
    answer("generate", "laptop", "-o", "t.parquet", "--ops", 500, cwd=tmp_path)
    return tmp_path / "t.parquet"


def with_mistake(directory: Path, line: str) -> Path:
    """The design with one line of `map_step` replaced."""
    path = directory / "mine.py"
    path.write_text(ALLOCATOR.replace("    r.served = MISS", line))
    return path


def manifest(directory: Path, *words: object) -> dict:
    run = answer("replay", "t.parquet", "-m", "smp4-2002", "-a", "mine.py", *words, cwd=directory)
    return json.loads((directory / run.strip() / "manifest.json").read_text())


def test_a_design_by_path_runs_compiled_and_uncompiled_alike_and_never_stale(tmp_path, trace):
    (tmp_path / "mine.py").write_text(ALLOCATOR)
    compiled = manifest(tmp_path, "-s", "touched=2")
    plain = manifest(tmp_path, "-s", "touched=2", "--no-compile", "-o", "plain")
    assert compiled["label"] == "mine (touched=2)"
    assert compiled["totals"]["misses"] == 500
    assert (compiled["execution"]["compiled"], plain["execution"]["compiled"]) == (True, False)
    assert compiled["fingerprint"] == plain["fingerprint"]
    assert compiled["id"] == plain["id"]
    with_mistake(tmp_path, "    r.served = 0")
    edited = manifest(tmp_path, "-s", "touched=2")
    assert edited["totals"]["hits"] == 500
    assert edited["id"] != compiled["id"]
    assert len(list(tmp_path.glob("runs/*"))) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("SUMMARY = 'x'\ndef map_step(a, r, d)\n", "line 2: cannot be imported: expected ':'"),
        ("import os\nimport nothing_of_the_kind\n", "line 2: cannot be imported: ModuleNotFoundError"),
        ("SUMMARY = 'x'\nslots = 1 / 0\n", "line 2: cannot be imported: ZeroDivisionError"),
        (ALLOCATOR.replace("def map_step", "def mapp_step"), "it does not define map_step"),
        (ALLOCATOR.replace("shape.pages", "shape.pagez"), "line 13: AttributeError"),
    ],
    ids=["syntax", "import", "at import", "no map_step", "slots"],
)
def test_a_file_that_is_no_design(tmp_path, trace, text, said):
    (tmp_path / "mine.py").write_text(text)
    line = refusal("replay", trace, "-m", "smp4-2002", "-a", "mine.py", cwd=tmp_path, status=3)
    assert line.startswith(str(tmp_path / "mine.py"))
    assert said in line


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        ("    r.served = a.slotz[0].users", f"line {LINE}: cannot be compiled: Unknown attribute 'slotz' of"),
        ("    r.searved = MISS", "cannot be compiled: no record has a field 'searved'"),
        ("    a.slots[r.page + 99_999_999].users = 1", "mine.py: a design indexed beyond one of its tables"),
    ],
    ids=["no table", "no field", "index"],
)
def test_a_design_that_fails_compiled(tmp_path, trace, mistake, said):
    path = with_mistake(tmp_path, mistake)
    line = refusal("replay", trace, "-m", "smp4-2002", "-a", path, cwd=tmp_path, status=3)
    assert line.startswith(str(path))
    assert said in line
    assert "use --no-compile" in line


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        ("    r.served = a.slotz[0].users", "no attribute 'slotz'"),
        ("    r.served = nowhere", "NameError: name 'nowhere' is not defined"),
        ("    a.slots[r.page + 99_999_999].users = 1", "IndexError"),
    ],
    ids=["no table", "no name", "index"],
)
def test_a_design_that_fails_uncompiled_names_the_line(tmp_path, trace, mistake, said):
    path = with_mistake(tmp_path, mistake)
    words = ("replay", trace, "-m", "smp4-2002", "-a", path, "--no-compile")
    line = refusal(*words, cwd=tmp_path, status=3)
    assert line.startswith(f"{path}, line {LINE}: ")
    assert said in line


@pytest.mark.parametrize("returned", ["STEP", "77"], ids=["never done", "no known action"])
def test_a_design_that_never_ends_an_operation_is_stopped(tmp_path, trace, monkeypatch, returned):
    path = tmp_path / "mine.py"
    path.write_text(
        ALLOCATOR.replace("DONE, MISS", "DONE, MISS, STEP").replace("DONE\n\n", f"{returned}\n\n", 1)
    )
    monkeypatch.setattr("pipeline.machine.drive.STUCK_BUDGETS", 3)
    with pytest.raises(PipelineError, match=r"mine\.py"):
        replay(trace, allocator=str(path), machine="smp4-2002", output=tmp_path / "runs", compiled=False)
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_broken_check_names_its_line(tmp_path, trace):
    path = tmp_path / "mine.py"
    text = ALLOCATOR + "\n\ndef check(a, live):\n    return [live.nonsense]\n"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"mine\.py, line {text.count(chr(10))}: AttributeError"):
        replay(trace, allocator=str(path), machine="smp4-2002", output=tmp_path / "runs", compiled=False)


def test_no_compile_prints_no_warnings(tmp_path, trace):
    done = pipeline("replay", trace, "-m", "smp4-2002", "-a", "global_pool", "--no-compile", cwd=tmp_path)
    assert done.returncode == 0
    assert "Warning" not in done.stderr
