"""Compiling ahead: what `pipeline warm` says, and what a replay then need not do."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.runs.warm import compile_designs
from tests.cli.command import PIPELINE, pipeline
from tests.runs.made import build_trace

NOT_COMPILED = """
from pipeline.allocators.api.actions import DONE
from pipeline.jit.marks import inline
SUMMARY = 'a step that makes a dictionary of text'
@inline
def map_step(a, r, d):
    return {1: "x"}[r]
@inline
def unmap_step(a, r, d):
    return DONE
"""


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("KMAP_PIPELINE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def kept(cache: Path) -> dict[str, int]:
    """Files of the cache that hold machine code, and when they were written."""
    return {str(path): path.stat().st_mtime_ns for path in cache.rglob("*.code")}


def children_that_compile(process: subprocess.Popen[str]) -> list[str]:
    """Children of a process that have LLVM loaded."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [child for child in children if "libllvmlite" in Path(f"/proc/{child}/maps").read_text()]


@pytest.mark.slow
def test_what_can_be_compiled_is_and_a_replay_has_nothing_to_compile(tmp_path, cache):
    (tmp_path / "wrong.py").write_text(NOT_COMPILED)
    (tmp_path / "broken.py").write_text("SUMMARY = ")
    words = ["warm", "-a", "wrong.py", "-a", "broken.py", "-a", "direct_map"]
    done = pipeline(*words, cwd=tmp_path)
    assert done.returncode == 3
    assert sorted(line.split("  ", 1)[0] for line in done.stdout.splitlines() if "cannot" in line) == [
        "broken.py",
        "wrong.py",
    ]
    assert "direct_map  compiled in " in done.stdout
    broken, wrong = sorted(done.stderr.splitlines())
    assert broken.startswith(f"pipeline: {tmp_path}/broken.py, line 1: cannot be imported")
    assert wrong.startswith(f"pipeline: {tmp_path}/wrong.py, line 7: cannot be compiled: ")

    before = kept(cache)
    assert before
    run = pipeline("replay", build_trace(tmp_path), "-a", "direct_map", "-m", "numaq16", cwd=tmp_path)
    assert run.returncode == 0
    assert "compiling" not in run.stderr
    assert kept(cache) == before

    again = pipeline("warm", "-a", "direct_map", cwd=tmp_path)
    assert (again.returncode, again.stdout) == (0, "direct_map  already compiled\n")
    assert kept(cache) == before


def test_ctrl_c_ends_all_processes_at_once_and_leaves_the_cache_whole(tmp_path, cache):
    process = subprocess.Popen(
        [PIPELINE, "warm", "-a", "atomic", "-a", "global_pool", "--workers", "2"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline_s = time.monotonic() + 60
    while len(children := children_that_compile(process)) < 2:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    begun_s = time.monotonic()
    out, err = process.communicate(timeout=60)
    assert time.monotonic() - begun_s < 2
    assert (process.returncode, out) == (130, "")
    assert err == (
        f"pipeline: interrupted; 0 of 2 designs are compiled in {cache}; repeat the command to compile the "
        "others\n"
    )
    assert not [child for child in children if Path(f"/proc/{child}").exists()]
    assert all(path.name.startswith("kmap_") for path in cache.iterdir())
    assert not list(tmp_path.rglob("*.parquet"))


def test_a_name_that_is_not_known_is_refused_before_anything_is_compiled(cache):
    with pytest.raises(UsageError, match="did you mean 'atomic'"):
        compile_designs(["direct_map", "atomik"])
    assert kept(cache) == {}
