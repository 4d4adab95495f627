from __future__ import annotations

import re

import polars as pl
import pytest

from pipeline.importing.vmalloc.recording import ALLOCATED, FREED, PURGED, read_recording
from pipeline.io.resources import shipped_areas, shipped_files, shipped_folder
from pipeline.trace.doctor import doctor
from pipeline.trace.reader import open_trace

RECORDINGS = shipped_files("traces", ".parquet")


@pytest.fixture(params=sorted(RECORDINGS))
def path(request):
    return RECORDINGS[request.param]


def test_the_doctor_finds_nothing_wrong(path) -> None:
    assert doctor(path).problems == []


def test_its_provenance_is_in_its_metadata_and_in_the_list(path) -> None:
    metadata = open_trace(path).metadata
    assert metadata.source.type == "recorded"
    assert metadata.source.kernel
    assert metadata.source.file_sha256
    text = (shipped_folder("traces") / "RECORDINGS.md").read_text()
    assert f"## {path.name}" in text
    assert f"pipeline import {metadata.source.file} -o traces/{path.name}" in text
    assert f"{metadata.operations:,} " in text
    assert f"{metadata.pages:,} page" in text
    assert path.stat().st_size < 3_000_000


def test_tasks_and_pages_are_numbered_as_they_appear(path) -> None:
    rows = pl.read_parquet(path)
    for name in ("task", "page"):
        firsts = rows[name].unique(maintain_order=True)
        assert firsts.equals(pl.Series(name, range(len(firsts)), dtype=firsts.dtype))
    assert rows["time_ns"][0] == 0


def test_what_lies_between_two_outer_operations_is_their_distance_in_time(path) -> None:
    """think + wait is the time from the least end of the one before, less its time to be mapped."""
    rows = pl.read_parquet(path).filter(pl.col("depth") == 0).sort("task", "time_ns", maintain_order=True)
    begin = pl.col("time_ns")
    least_end = begin + pl.col("hold_ns") + pl.col("block_ns")
    mapping_ns = (begin - least_end.shift(1) - pl.col("think_ns") - pl.col("wait_ns")).over("task")
    found = rows.select(mapping_ns.alias("ns")).drop_nulls()["ns"]
    assert len(found) == len(rows) - rows["task"].n_unique()
    if path.stem == "local":
        # kmap_local has no mapping time, but what is nested inside may: here it has none either.
        assert found.unique().to_list() == [0]
    else:
        assert found.min() > 0


def test_facts_of_the_pool_recording() -> None:
    found = doctor(RECORDINGS["kcsleep2"])
    assert (found.operations, found.tasks, found.processes) == (13_000, 650, 1)
    assert found.metadata.lost_events == 0
    assert found.metadata.columns["block_ns"] == "measured"
    assert 25_000_000 < found.quantiles_ns["wait_ns"]["0.5"] < 35_000_000
    held = pl.read_parquet(RECORDINGS["kcsleep2"]).select(pl.col("hold_ns") + pl.col("block_ns"))
    # As the workload was told: 75 ms and more.
    assert held.min().item() > 75_000_000


def test_facts_of_the_local_recording() -> None:
    found = doctor(RECORDINGS["local"])
    assert (found.operations, found.tasks, found.max_depth) == (156_322, 100, 1)
    nested = pl.read_parquet(RECORDINGS["local"]).filter(pl.col("depth") == 1)
    assert nested.height == 1_959
    # The table of RECORDINGS.md: share of mappings longer than 1 ms, whose split is a guess.
    text = (shipped_folder("traces") / "RECORDINGS.md").read_text()
    share = (pl.read_parquet(RECORDINGS["local"])["block_ns"] > 0).mean()
    assert float(re.search(r"([\d.]+) % of all", text)[1]) == round(share * 100, 2)


@pytest.mark.parametrize("name", sorted(shipped_areas()))
def test_facts_of_the_recordings_of_vmalloc(name: str) -> None:
    path = shipped_areas()[name]
    found = read_recording(path)
    allocations, frees, purges = ((found.event == event).sum() for event in (ALLOCATED, FREED, PURGED))
    sizes = found.pages[found.event == ALLOCATED]
    page = (shipped_folder("traces") / "RECORDINGS.md").read_text()
    text = " ".join(page.partition(f"## vmalloc/{path.name}")[2].split())
    assert f"{allocations:,} allocations, {frees:,} frees and {purges} purges" in text
    areas = found.count[found.event == PURGED]
    listed = ", ".join(f"{count:,}" for count in areas[:-1])
    assert listed in text or f"purges of up to {areas.max():,} areas" in text
    assert re.search(rf"{(sizes == 5).sum():,} (areas )?are stacks", text)
    assert f"up to {sizes.max():,} pages" in text
    assert (found.lost, found.failed, found.losses, found.notes) == (0, 0, {}, [])
    assert path.stat().st_size < 120_000
