"""A run that cannot fit is refused before its state is allocated; a large one that fits takes moments."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from pipeline.allocators.api.contract import Shape, parse_options
from pipeline.allocators.registry import resolve_allocator
from pipeline.errors import OutOfMemory, UsageError
from pipeline.machine.engine import records
from pipeline.machine.layout import RunSettings
from pipeline.machine.room import available_bytes, check_room
from tests.machine.runs import machine, rows, simulate

SETTINGS = RunSettings(0, records.CLOSED, log=True, chunk_rows=1, chunk_slots=1, levels=1)
MANY = 1 << 17


def _check(allocator: str, cpus: int, **options: str) -> None:
    loaded = resolve_allocator(allocator)
    given = parse_options(loaded.options, options, loaded.name)
    check_room(loaded, given, Shape(cpus, tasks=MANY, processes=MANY, pages=1_000), SETTINGS)


@pytest.mark.parametrize("allocator", ["mermap", "page_fault=mermap,default=global_pool"])
def test_a_state_beyond_memory_is_refused_with_what_lowers_it(
    monkeypatch: pytest.MonkeyPatch, allocator: str
) -> None:
    monkeypatch.setattr("pipeline.machine.room.available_bytes", lambda: 8 * 10**9)
    said = (
        r"takes 29\d\.\d\d GB of memory, 8\.00 GB are available; lower option (mermap\.)?region_pages or --c"
    )
    with pytest.raises(OutOfMemory, match=said):
        _check(allocator, cpus=64)
    _check(allocator, cpus=1)


def test_slots_that_cannot_be_numbered_are_refused_whatever_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pipeline.machine.room.available_bytes", lambda: 1 << 60)
    with pytest.raises(
        UsageError, match=r"has 2,147,483,648 slots, more than 2,147,483,647; lower option slots or"
    ):
        _check("per_process", cpus=4, slots=str(1 << 14))


def test_what_is_available_is_some_memory_and_no_more_than_the_machine_has() -> None:
    assert 1 << 20 < available_bytes() < 1 << 50


@pytest.mark.parametrize(
    ("allocator", "options"),
    [
        ("per_process", {}),
        ("per_process", {"semaphore": "true"}),
        ("mermap", {}),
        ("sf_buf", {"slots": str(1 << 20)}),
    ],
)
def test_a_large_state_is_built_and_checked_in_moments(
    tmp_path: Path, allocator: str, options: dict[str, str]
) -> None:
    begun_s = time.process_time()
    out = simulate(
        allocator, machine(tmp_path, 4), rows(3, task=[0, 77, MANY - 1], page=np.arange(3)), options=options
    )
    assert (out.status, out.problems, out.lost_wakeups) == (records.S_FINISHED, [], [])
    assert time.process_time() - begun_s < 15


def test_workers_count_as_tasks() -> None:
    with pytest.raises(UsageError, match="at most 131,072 tasks and workers, found 131,073"):
        _check("vmap_nodes", cpus=1)
