"""Flushing without the lock, on the machine: who hits does not wait for it, who needs a clean slot does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.machine.engine.records import S_FINISHED
from pipeline.schema.codes import E_FINDING, E_FLUSH, E_SLEEP
from tests.machine.runs import Outcome, Rows, machine, rows, simulate

FLUSH_NS = 10_000
ALLOCATORS = pytest.mark.parametrize("allocator", ["deferred_flush", "split_pool"])


def replay(directory: Path, allocator: str, trace: Rows, **options: str) -> Outcome:
    profile = machine(directory, 4, ipi_latency_ns=FLUSH_NS, shared_entry_ns=10, scan_slot_ns=10)
    outcome = simulate(allocator, profile, trace, options=options)
    assert outcome.status == S_FINISHED
    assert outcome.problems == []
    assert len(outcome.of_kind(E_FINDING)) == 0
    return outcome


def many_pages(count: int = 60) -> Rows:
    """Three tasks walk through pages of their own; the fourth has the same one nearly all the time."""
    task = np.tile(np.arange(4), count)
    page = np.where(task == 3, 1_000, np.arange(4 * count))
    think_ns, hold_ns = np.where(task == 3, 0, 4_000), np.where(task == 3, 500, 0)
    return rows(
        4 * count, task=task, page=page, think_ns=think_ns, hold_ns=hold_ns, time_ns=np.arange(4 * count)
    )


@ALLOCATORS
def test_no_lock_is_held_for_as_long_as_a_flush_takes(allocator: str, tmp_path: Path) -> None:
    outcome = replay(tmp_path, allocator, many_pages(), slots="16")
    assert outcome.totals["flushes"] > 5
    assert outcome.of_kind(E_FLUSH)["duration_ns"].min() >= FLUSH_NS
    assert outcome.sites["hold_max_ns"].max() < 1_000
    in_pool = replay(tmp_path, "global_pool", many_pages(), slots="16")
    assert in_pool.sites["hold_max_ns"].max() >= FLUSH_NS


@ALLOCATORS
def test_hits_go_on_while_a_flush_is_under_way(allocator: str, tmp_path: Path) -> None:
    outcome = replay(tmp_path, allocator, many_pages(), slots="16")
    mapped = outcome.operations["mapped_ns"][outcome.operations["task"] == 3]
    flushes = outcome.of_kind(E_FLUSH)
    during = [
        int(((mapped > flush["time_ns"]) & (mapped < flush["time_ns"] + flush["duration_ns"])).sum())
        for flush in flushes
    ]
    assert max(during) > 5


def test_who_finds_nothing_clean_sleeps_until_the_flush_is_over_and_no_longer(tmp_path: Path) -> None:
    outcome = replay(tmp_path, "deferred_flush", many_pages(), slots="16")
    sleeps, flushes = outcome.of_kind(E_SLEEP), outcome.of_kind(E_FLUSH)
    assert len(sleeps) > 5
    ends = flushes["time_ns"] + flushes["duration_ns"]
    for woken_ns in sleeps["time_ns"] + sleeps["duration_ns"]:
        assert 0 < woken_ns - ends[ends < woken_ns].max() < 500


def test_with_two_halves_misses_go_on_while_one_of_them_is_flushed(tmp_path: Path) -> None:
    whole, halves = (
        replay(tmp_path, allocator, many_pages(), slots="32", **options)
        for allocator, options in (("deferred_flush", {}), ("split_pool", {"batch": "0"}))
    )
    assert halves.totals["sleeps"] < whole.totals["sleeps"]


def test_spare_slots_are_used_while_a_flush_is_under_way(tmp_path: Path) -> None:
    none, some = (
        replay(tmp_path, "deferred_flush", many_pages(), slots="32", spare=spare) for spare in ("0", "16")
    )
    assert some.totals["sleeps"] < none.totals["sleeps"]
    assert some.totals["flushes"] > none.totals["flushes"]
