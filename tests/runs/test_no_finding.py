"""Shipped workloads through shipped designs: a finding there is the model's mistake, not the design's."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runs.made import generated, replayed


@pytest.mark.parametrize("loop", ["closed", "timed"])
def test_atomic_copies_that_fetched_their_page_do_not_sleep_for_what_is_nested_in_them(
    loop: str, tmp_path: Path
) -> None:
    # Some of what is nested in these operations waits or blocks.
    trace = generated(tmp_path, "kernel_build", 60_000)
    run = replayed(trace, tmp_path / "runs", "atomic", machine="smp4-2002", loop=loop, events="none")
    assert run.manifest.findings == []
