"""What a shell completes after the words of a command."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.cli.command import PIPELINE


@pytest.mark.parametrize(
    ("words", "proposed"),
    [
        ("rep", {"replay", "report"}),
        ("replay ke", {"kernel_build"}),
        ("replay mi", {"mine.parquet", "mine.toml"}),
        ("replay local -a per", {"per_process", "percpu_cached", "percpu_pinned"}),
        ("replay local -m smp", {"smp4-2002", "smp8-2002"}),
        ("replay --ev", {"--events"}),
        ("workloads la", {"laptop"}),
        ("sql -n slowest", {"slowest_operations"}),
        ("queries slowest_o", {"slowest_operations"}),
        ("runs label ru", {"runs/one"}),
        ("db ne", set()),
    ],
)
def test_names_of_what_there_is_are_completed(tmp_path, words, proposed):
    (tmp_path / "runs" / "one").mkdir(parents=True)
    for file in ("runs/one/manifest.json", "mine.parquet", "mine.toml"):
        (tmp_path / file).touch()
    line = f"pipeline {words}"
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" ")), "_PIPELINE_COMPLETE": "complete_bash"}
    done = subprocess.run(
        [PIPELINE], cwd=tmp_path, env=os.environ | asked, capture_output=True, text=True, check=False
    )
    assert set(done.stdout.split()) == proposed
