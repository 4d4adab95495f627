"""NAME replays without a finding, even if short of slots, and compares with other designs as expected.

Without compilation, 1,500 operations take a second or two, and a debugger stops in the design. The
comparisons below are those of the skeleton. When you change what NAME does, change them here.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.runs.execute import replay
from pipeline.schema.manifest import Totals
from pipeline.workload.generate import generate

ALLOCATOR = str(Path(__file__).with_name("NAME.py"))
OPERATIONS = 1_500


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a trace: the kernel compile of 2002."""
    directory: Path = tmp_path_factory.mktemp("house")
    generate("kernel_build", directory / "build.parquet", operations=OPERATIONS, seed=0)
    return directory


def replay_totals(house: Path, allocator: str, **options: str) -> Totals:
    """The totals of a replay on four CPUs; a finding fails the test with its message."""
    manifest = replay(
        house / "build.parquet",
        allocator=allocator,
        machine="smp4-2002",
        options=options,
        output=house / "runs",
        compiled=False,
    ).manifest
    assert [finding.message for finding in manifest.findings] == []
    assert manifest.totals.operations == OPERATIONS
    return manifest.totals


def test_every_operation_is_mapped_by_a_fresh_pte(house: Path) -> None:
    """There is no cache, so every map is a miss."""
    assert replay_totals(house, ALLOCATOR).misses == OPERATIONS


def test_a_task_that_finds_no_slot_sleeps_and_is_served(house: Path) -> None:
    """Two slots per CPU are too few for tasks that sleep while they hold a mapping."""
    assert replay_totals(house, ALLOCATOR, slots_per_cpu="2").sleeps > 0


def test_mapping_is_dearer_than_no_mapping_at_all(house: Path) -> None:
    """direct_map does nothing, so the additional time of NAME is the cost of its slots."""
    assert replay_totals(house, ALLOCATOR).map_ns > replay_totals(house, "direct_map").map_ns


def test_no_other_cpu_is_interrupted_and_no_lock_taken_as_in_a_global_pool(house: Path) -> None:
    """A global pool with few slots flushes every CPU at each wrap."""
    mine, pool = replay_totals(house, ALLOCATOR), replay_totals(house, "global_pool", slots="64")
    assert mine.ipis == 0 < pool.ipis
    assert not any(lock.acquisitions for lock in mine.locks)
    assert any(lock.acquisitions for lock in pool.locks)
