"""`replay --minimize`: the shortest prefix of a trace that still ends as the whole of it does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import Interrupted
from pipeline.runs.execute import execute
from pipeline.runs.finished import RunResult
from pipeline.runs.minimize import WALK, _fewest, minimize
from pipeline.runs.plan import RunConfig
from pipeline.schema.names import KINDS
from pipeline.schema.trace import COLUMN_NAMES
from pipeline.schema.trace_metadata import Source
from pipeline.trace.doctor import doctor
from pipeline.trace.reader import open_trace
from pipeline.trace.writer import TraceWriter
from tests.runs.made import contents

FAULT, COPY, OTHER = (KINDS.index(kind) for kind in ("page_fault", "copy_to_user", "other"))
BEFORE, AFTER = 20, 10


def two_maps_in_a_crowd(path: Path, between: int = 0) -> Path:
    """Four tasks that map a page and, after a wait, another inside it; two more tasks map one at a time.

    The harmless rows come before, `between` and after. Only with the last nested row does everybody wait.
    """
    nested = np.arange(4)
    parts: list[dict[str, Any]] = [
        {"task": 4 + np.arange(BEFORE) % 2, "time_ns": np.arange(BEFORE) * 10_000, "kind": OTHER},
        {"task": nested, "time_ns": 10_000_000, "kind": COPY, "page": nested, "block_ns": 9_000_000},
        {"task": 4 + np.arange(between) % 2, "time_ns": 10_000_005, "kind": OTHER},
        {"task": nested, "time_ns": 19_000_000, "kind": FAULT, "page": 4 + nested, "depth": 1,
         "wait_ns": 9_000_000},
        {"task": 4 + np.arange(AFTER) % 2, "time_ns": 90_000_000 + np.arange(AFTER), "kind": OTHER},
    ]  # fmt: skip
    source = Source.model_validate({"type": "synthetic", "name": "crowd"})
    with TraceWriter(
        path, source=source, columns=dict.fromkeys(COLUMN_NAMES, "synthetic"), clock="none"
    ) as out:
        for part in parts:
            given = {"page": 9, "process": part["task"], "hold_ns": 0, "cpu": -1, "bytes": -1} | part
            count = len(given["task"])
            out.write({n: np.array(np.broadcast_to(given.get(n, 0), count)) for n in COLUMN_NAMES})
    return path


def conditions(trace: Path, output: Path, allocator: str, **changes: Any) -> RunConfig:
    """A replay in plain Python on two CPUs with four slots, where `changes` does not say otherwise."""
    settings: dict[str, Any] = {"cpus": 2, "options": {"slots": "4"}, "compiled": False}
    return RunConfig(trace, allocator, "smp4-2002", output=output, **settings | changes)


PIPELINE = Path(sys.executable).with_name("pipeline")


def command(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The installed `pipeline replay --minimize` of the crowd, with `words`."""
    line = [str(PIPELINE), "replay", "crowd.parquet", "-m", "smp4-2002"]
    return subprocess.run(
        [*line, "--no-compile", "--minimize", *words],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_deadlock_is_cut_down_to_the_rows_it_needs(tmp_path: Path) -> None:
    trace = two_maps_in_a_crowd(tmp_path / "crowd.parquet", between=7)
    config = conditions(trace, tmp_path / "runs", "global_pool", loop="timed", lowmem=["other"])
    found = execute(config)
    said: list[str] = []
    minimal = minimize(found, config, said.append)
    assert minimal is not None
    assert (minimal.rows, minimal.of_rows) == (BEFORE + 4 + 7 + 4, BEFORE + 4 + 7 + 4 + AFTER)
    assert (minimal.finding.finding, minimal.finding.slots) == ("deadlock", [0, 1, 2, 3])
    assert set(minimal.finding.tasks) == {0, 1, 2, 3}
    assert minimal.below == minimal.rows - 1, "every shorter one was tried"
    assert said[:2] == ["  first 45 of 45 rows: deadlock", "  first 22 of 45 rows: no deadlock"]
    # What is kept: the run, the prefix, and the run of the prefix; no trial.
    assert contents(tmp_path / "runs") == sorted(
        [found.path.name, minimal.run.path.name, f"{found.path.name}-minimal.parquet"]
    )


def test_the_prefix_is_a_valid_trace_that_says_where_it_came_from(tmp_path: Path) -> None:
    trace = two_maps_in_a_crowd(tmp_path / "crowd.parquet")
    config = conditions(trace, tmp_path, "global_pool")
    minimal = minimize(execute(config), config, lambda _: None)
    assert minimal is not None
    whole, prefix = open_trace(trace), open_trace(minimal.path)
    assert not doctor(minimal.path).problems
    assert next(prefix.batches()).equals(next(whole.batches()).slice(0, minimal.rows))
    assert prefix.metadata.columns == whole.metadata.columns
    (note,) = prefix.metadata.notes
    assert note.startswith("the first 28 of 38 rows of crowd.parquet (sha256 ")
    assert note.endswith(
        "the fewest found that end with a finding of deadlock: global_pool (slots=4) on smp4-2002 "
        "with 2 CPUs, closed loop, seed 0"
    )


@pytest.mark.parametrize(
    ("allocator", "changes"),
    [
        ("series_pool", {}),
        ("global_pool", {"options": {"slots": "4", "reserve": "2"}}),
        ("global_pool", {"lowmem": ["page_fault"]}),
        ("page_fault=kmap_local,default=global_pool", {}),
    ],
)
def test_what_does_not_deadlock_has_nothing_to_minimize(
    allocator: str, changes: dict[str, Any], tmp_path: Path
) -> None:
    trace = two_maps_in_a_crowd(tmp_path / "crowd.parquet")
    config = conditions(trace, tmp_path / "runs", allocator, **changes)
    found = execute(config)
    assert minimize(found, config, lambda _: None) is None
    assert contents(tmp_path / "runs") == [found.path.name]


def test_an_interrupted_search_leaves_the_run_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = two_maps_in_a_crowd(tmp_path / "crowd.parquet")
    config = conditions(trace, tmp_path / "runs", "global_pool")
    found = execute(config)
    tried: list[RunConfig] = []

    def interrupt_the_third(config: RunConfig) -> RunResult:
        tried.append(config)
        if len(tried) == 3:
            raise KeyboardInterrupt
        return execute(config)

    monkeypatch.setattr("pipeline.runs.minimize.execute", interrupt_the_third)
    with pytest.raises(Interrupted, match=r"the run is kept: .*/runs/global_pool-"):
        minimize(found, config, lambda _: None)
    assert contents(tmp_path / "runs") == [found.path.name]


def test_several_designs_and_low_memory_are_minimized_as_they_were_replayed(tmp_path: Path) -> None:
    trace = two_maps_in_a_crowd(tmp_path / "crowd.parquet")
    config = conditions(trace, tmp_path, "other=direct_map,default=global_pool", lowmem=["directory"])
    minimal = minimize(execute(config), config, lambda _: None)
    assert minimal is not None
    assert minimal.rows == BEFORE + 8
    assert minimal.run.manifest.allocator.name == "global_pool+direct_map"
    assert minimal.run.manifest.lowmem == ["directory"]


@pytest.mark.parametrize(
    ("bad", "most", "fewest"),
    [
        (range(1, 1_000), 999, 1),
        (range(65, 1_000), 999, 65),
        (range(700, 1_000), 999, 700),
        # An island within reach below, one out of reach, and one just within.
        ([*range(40, 43), *range(60, 1_000)], 999, 40),
        ([*range(200, 203), *range(700, 1_000)], 999, 700),
        ([700 - WALK, *range(700, 1_000)], 999, 700 - WALK),
        ([700 - WALK - 1, *range(700, 1_000)], 999, 700),
        ([3], 3, 3),
    ],
)
def test_no_prefix_just_below_the_one_found_shows_the_finding(bad: list[int], most: int, fewest: int) -> None:
    tried: list[int] = []

    def shows(length: int) -> bool:
        tried.append(length)
        return length in bad

    assert _fewest(shows, most, lambda *_: None) == fewest
    assert set(range(max(1, fewest - WALK), fewest + 1)) <= set(tried)
    assert len(tried) == len(set(tried)), "nothing is replayed twice"


def test_few_of_very_long_prefixes_are_tried_below_the_one_found() -> None:
    tried: list[int] = []

    def shows(length: int) -> bool:
        tried.append(length)
        return length >= 9_000_000

    assert _fewest(shows, 10_000_000, lambda *_: None) == 9_000_000
    assert sorted(length for length in tried if length < 9_000_000)[-4:] == list(range(8_999_996, 9_000_000))
    assert len(tried) < 50


def test_the_command_prints_the_case_and_ends_with_the_finding(tmp_path: Path) -> None:
    two_maps_in_a_crowd(tmp_path / "crowd.parquet")
    done = command(tmp_path, "-a", "global_pool", "-s", "slots=4")
    run, prefix = done.stdout.splitlines()
    assert done.returncode == 5
    assert prefix == f"{run}-minimal.parquet"
    assert "deadlock in the first 28 of 38 rows" in done.stderr
    assert "  4 tasks, 4 slots: deadlock: 4 tasks sleep for slots" in done.stderr
    assert "Traceback" not in done.stderr
    (again,) = [line for line in done.stderr.splitlines() if line.startswith("  replay: ")]
    repeated = subprocess.run(
        again.removeprefix("  replay: "),
        shell=True,
        cwd=tmp_path,
        env=os.environ | {"PATH": f"{PIPELINE.parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert repeated.returncode == 5
    assert "(existing run)" in repeated.stderr


def test_the_command_says_that_there_is_nothing_to_minimize(tmp_path: Path) -> None:
    two_maps_in_a_crowd(tmp_path / "crowd.parquet")
    done = command(tmp_path, "-a", "series_pool")
    assert done.returncode == 0, done.stderr
    assert "the run has no finding to minimise" in done.stderr
    assert len(done.stdout.splitlines()) == 1
