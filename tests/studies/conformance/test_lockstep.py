"""The replayed pool agrees with a real kernel in every event; broken copies of it are detected."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest

from pipeline.errors import InputError, UsageError
from pipeline.importing.kmap_pool.recordings import recording_path
from pipeline.studies.conformance.lockstep import Agreement, verify
from tests.machine.runs import mutate_allocator

KERNEL = {"slots": "512", "flush_if_any": "true"}


def held_against(
    recording: str | Path, allocator: str = "global_pool", start: str = "found", **options: str
) -> Agreement:
    return verify(recording_path(recording), allocator=allocator, options=KERNEL | options, start=start)


@pytest.mark.parametrize(
    ("recording", "maps", "evicted"), [("wrap16", 102_365, 60_472), ("kcsleep2", 13_000, 11_004)]
)
def test_the_pool_does_what_the_kernel_did(recording: str, maps: int, evicted: int) -> None:
    found = held_against(recording)
    assert found.agrees, found.text()
    assert found.compared["slot"] == maps
    assert found.compared["pages evicted, in order"] == evicted
    assert found.start == "fresh pool"


def test_every_sleep_and_wake_up_of_the_recording_is_compared() -> None:
    found = held_against("kcsleep2")
    assert found.compared["slept or mapped"] == 13_000 + 264
    assert found.compared["wake-up"] == 264


def test_a_pool_of_one_series_does_what_the_kernel_did_too() -> None:
    found = held_against("kcsleep2", "series_pool", series="1")
    assert found.agrees, found.text()
    assert found.compared["slot"] == 13_000


@pytest.mark.parametrize("after", [8_000, 20_000, 35_000, 60_000])
def test_a_recording_that_begins_in_the_middle_agrees_too(tmp_path: Path, after: int) -> None:
    whole = pl.read_parquet(recording_path("kcsleep2"))
    whole.filter(pl.col("seq") > after).write_parquet(tmp_path / "late.kmap.parquet")
    found = held_against(tmp_path / "late.kmap.parquet")
    assert found.agrees, found.text()
    assert "slots adopted" in found.start


# A field in which a broken copy may note that it has begun.
REMEMBERS = {'POOL = [("cursor", "i4"), ': 'POOL = [("begun", "i4"), ("cursor", "i4"), '}

# Each a single mistake in an otherwise faithful copy, and what must give it away.
BROKEN = {
    "the first slot is 0": (
        "            pool.cursor += 1\n",
        "            pool.cursor += 1 if pool.begun else 0\n            pool.begun = 1\n",
        "slot",
    ),
    "slot 0 is never evicted": (
        "for k in range(first, last):\n        slot = a.slots[k]\n        if slot.count == 1:",
        "for k in range(first + 1, last):\n        slot = a.slots[k]\n        if slot.count == 1:",
        "pages evicted",
    ),
    "the flush comes before the wrap": (
        "if pool.cursor == size:\n                pool.cursor = 0\n                r.budget = size\n",
        "if pool.cursor >= size:\n                pool.cursor = 0\n                r.budget = size\n"
        "            elif pool.cursor == size - 1:\n",
        "scans",
    ),
    "wake-ups are lost": (
        "r.step = WAKE if slot.count == 1 and a.queues[s].sleepers > 0 else END",
        "r.step = END",
        "wake-up",
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", BROKEN)
def test_a_broken_copy_is_caught(tmp_path: Path, mistake: str) -> None:
    right, wrong, shows = BROKEN[mistake]
    copy = mutate_allocator(
        tmp_path, re.sub(r"[^a-z0-9]", "_", mistake), {right: wrong} | REMEMBERS, "global_pool"
    )
    found = held_against("kcsleep2", str(copy.path))
    assert shows in {difference.what for difference in found.differences}


def test_a_pool_of_another_size_is_told_what_to_set() -> None:
    with pytest.raises(UsageError, match="--set slots=512"):
        verify(recording_path("wrap16"), allocator="global_pool", options={"slots": "256"})


def test_a_design_without_slots_is_refused() -> None:
    with pytest.raises(UsageError, match="direct_map has 0"):
        verify(recording_path("kcsleep2"), allocator="direct_map")


def test_a_file_without_the_pools_events_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("# tracer: nop\n", encoding="utf-8")
    with pytest.raises(InputError, match="found none of its events"):
        verify(tmp_path / "x.txt", allocator="global_pool")


def test_an_unknown_recording_names_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"known: eight-cpus, kcsleep2, .*wrap16"):
        recording_path("wrap61")
