"""Temporary files: gone with their process, however it ends, or with the next one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import OutputError
from pipeline.io.files import complete_directory, complete_file
from pipeline.io.memory import group_limit
from pipeline.io.scratch import (
    ScratchDirectory,
    discard_listed,
    list_in,
    reserve_beside,
)

_KILLED = """
import os, signal, sys
from pathlib import Path
from pipeline.io.files import complete_file
from pipeline.io.scratch import (
    ScratchDirectory,
    discard,
    discard_listed,
    list_in,
    remove_stale,
    reserve_beside,
)
where = Path(sys.argv[1])
with ScratchDirectory(where) as directory, complete_file(where / "table.csv") as file:
    (Path(directory) / "part").write_text("x")
    file.write_text("x")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_is_removed_by_the_next_and_what_others_make_is_not(tmp_path):
    subprocess.run([sys.executable, "-c", _KILLED, tmp_path], check=False)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert len(left) == 2
    assert all(name.startswith(".") and name.endswith(".partial") for name in left)
    own = tmp_path / ".mine.partial"
    own.touch()
    with ScratchDirectory(tmp_path) as mine, complete_file(tmp_path / "other.csv") as file:
        assert sorted(tmp_path.iterdir()) == sorted([own, Path(mine)])
        file.write_text("y")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".mine.partial", "other.csv"]


def test_a_long_name_can_be_written(tmp_path):
    path = tmp_path / ("n" * 250)
    with complete_file(path) as file:
        file.write_text("x")
    assert path.read_text() == "x"


def test_a_directory_is_replaced_whole(tmp_path):
    path = tmp_path / "run"
    for word in ("first", "second"):
        with complete_directory(path) as directory:
            (directory / word).touch()
    assert [file.name for file in path.iterdir()] == ["second"]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("reason", ["No space left on device", "File too large"])
def test_a_library_that_has_no_room_is_an_output_error(tmp_path, reason):
    said = rf"x\.parquet: cannot be written \({reason}\)"
    with pytest.raises(OutputError, match=said), complete_file(tmp_path / "x.parquet"):
        raise RuntimeError(f"library: {reason} (os error 28)")
    assert list(tmp_path.iterdir()) == []


def test_a_mistake_of_the_program_stays_one(tmp_path):
    with pytest.raises(KeyError), complete_file(tmp_path / "x"):
        raise KeyError("a bug")


def test_the_least_limit_of_nested_groups_counts(tmp_path):
    group, process = tmp_path / "cgroup", tmp_path / "own"
    (group / "a" / "b").mkdir(parents=True)
    (group / "a" / "b" / "memory.max").write_text("max\n")
    (group / "a" / "memory.max").write_text("500000000\n")
    process.write_text("0::/a/b\n")
    assert group_limit(group, process) == 500_000_000
    (group / "a" / "memory.max").write_text("max\n")
    assert group_limit(group, process) is None


def test_a_directory_where_nothing_can_be_made_is_named(tmp_path):
    with pytest.raises(OutputError, match="cannot create a temporary directory"):
        ScratchDirectory(tmp_path / "nowhere")
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - hidden files too


def test_what_an_aborted_process_has_listed_is_removed_and_nothing_else(tmp_path):
    listed = os.memfd_create("listed")
    if not (child := os.fork()):
        try:
            list_in(listed)
            reserve_beside(tmp_path / "t.parquet").write_text("half")
            directory = ScratchDirectory(tmp_path)
            Path(directory.name, "spilled").write_text("x")
            (tmp_path / "whole").touch()
        finally:
            os._exit(1)
    os.waitpid(child, 0)
    assert len(os.listdir(tmp_path)) == 3  # noqa: PTH208 - hidden files too
    discard_listed(listed)
    os.close(listed)
    assert os.listdir(tmp_path) == ["whole"]  # noqa: PTH208 - hidden files too
