"""A trace is refused by replay exactly if doctor refuses it."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import PipelineError
from pipeline.runs import feed
from pipeline.runs.execute import replay
from pipeline.schema.trace_metadata import METADATA_KEY
from pipeline.trace.doctor import doctor
from pipeline.workload.generate import generate
from tests.campaigns.damage import damage_bytes
from tests.trace.small import GOOD, write_damaged, write_damaged_parts, write_good, write_parts
from tests.trace.transform.made import write_random


def doctor_refuses(path: Path) -> str:
    try:
        found = doctor(path)
    except PipelineError as error:
        return str(error)
    return "" if found.usable else found.text()


def replay_refuses(path: Path, loop: Any, allocator: str) -> str:
    try:
        replay(
            path, allocator=allocator, machine="modern-x86-64", cpus=2, loop=loop, events="none",
            output=path.parent / "runs", compiled=False, fresh=True,
        )  # fmt: skip
    except PipelineError as error:
        return str(error)
    return ""


def check(path: Path, loop: str = "closed", allocator: str = "direct_map") -> str:
    """What doctor says if it refuses the trace; replay must do the same."""
    by_doctor, by_replay = doctor_refuses(path), replay_refuses(path, loop, allocator)
    assert bool(by_doctor) == bool(by_replay), (by_doctor, by_replay)
    return by_doctor


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"time_ns": [0, 10, 40, 200, 150]},
        {"time_ns": [0, 10, 40, None, 300]},
        {"think_ns": [0, 0, 40, 1 << 46, 80]},
        {"kind": ["other", "fork", "other", "other", "other"]},
        {"task": [0, 2, 0, 0, 2]},
        {"task": [0, -1, 0, 0, 1]},
        {"task": [0, 1, 0, 0, 1 << 17]},
        {"process": [0, 0, 0, 1, 0]},
        {"process": [0, 1, 0, 0, 1]},
        {"page": [7, 3, 2, 7, 9]},
        {"page": [7, -3, 2, 7, 3]},
        {"page": [7, 1 << 31, 2, 7, 3]},
        {"depth": [0, 0, 2, 0, 0]},
        {"depth": [0, 0, 16, 0, 0]},
        {"depth": [0, 0, -1, 0, 0]},
        {"depth": [1, 0, 0, 0, 0]},
        {"hold_ns": [100, 50, 61, 9, 5]},
        {"hold_ns": [201, 50, 20, 9, 5]},
        {"cpu": [0, -4, 0, None, 1]},
        {"bytes": [4096, None, None, -1, None]},
        {name: [] for name in GOOD},
    ],
)  # fmt: skip
@pytest.mark.parametrize("loop", ["closed", "timed"])
def test_damage_to_a_row(changes: dict[str, list], loop: str, tmp_path: Path) -> None:
    path = write_damaged(tmp_path / "t.parquet", **changes)
    refused = check(path, loop)
    assert bool(refused) == (changes not in ({}, {"hold_ns": [201, 50, 20, 9, 5]}))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"part": ["map", None, "half", "map", "whole"]},
        {"part": ["map", None, "map", "map", "whole"]},
        {"part": ["unmap", None, "map", "map", "whole"]},
        {"pages": [4, None, 5, 3, 2]},
        {"pages": [4, None, 4, 3, 0]},
        {"pages": [4, None, 4, 4, 2]},
        {"page": [4, 0, 5, 8, 1]},
        {"mapping": [0, None, 1, 1, None]},
        {"mapping": [0, None, 0, None, None]},
        {"mapping": [0, 2, 0, 1, None]},
        {"mapping": [0, None, 0, 1 << 31, None]},
        {"hold_ns": [100, 50, 1, 9, 5]},
        {"depth": [0, 0, 0, 1, 0]},
        {"bytes": [None, 100, 100, None, None]},
    ],
)
def test_damage_to_a_mapping_with_a_separate_unmap(changes: dict[str, list], tmp_path: Path) -> None:
    path = write_damaged_parts(tmp_path / "t.parquet", **changes)
    assert bool(check(path, allocator="vmap_lazy")) == bool(changes)


def test_statistics_of_lengths_that_lie(tmp_path: Path) -> None:
    path = write_parts(tmp_path / "t.parquet")
    content = path.read_bytes()
    # The longest mapping has 4 pages, as four bytes; in the dictionary of its column and its statistics.
    place = content.rfind((4).to_bytes(4, "little"))
    path.write_bytes(content[:place] + (3).to_bytes(4, "little") + content[place + 4 :])
    assert "largest pages" in check(path, allocator="vmap_lazy")


def test_damaged_bytes_of_mappings_with_separate_unmaps(tmp_path: Path) -> None:
    good, path = write_random(tmp_path / "good.parquet", 5, parts=True), tmp_path / "t.parquet"
    content = good.read_bytes()
    refused = 0
    for seed in range(60):
        rng = random.Random(seed)
        path.write_bytes(damage_bytes(content, rng))
        refused += bool(check(path, rng.choice(("closed", "timed")), "vmap_lazy"))
    assert 30 < refused < 60


def test_mappings_of_several_pages_in_several_batches(tmp_path: Path, monkeypatch) -> None:
    generate("vmap_loop", tmp_path / "t.parquet", operations=60)
    monkeypatch.setattr(feed, "ROW_GROUP_ROWS", 20)
    assert check(tmp_path / "t.parquet", allocator="vmap_lazy") == ""


def test_what_a_file_says_of_itself(tmp_path: Path) -> None:
    path = write_good(tmp_path / "t.parquet")
    table, text = pq.read_table(path), pq.read_metadata(path).metadata[METADATA_KEY]
    for key, value in (("tasks", 3), ("pages", 9), ("operations", 6), ("processes", 2)):
        said = json.dumps(json.loads(text) | {key: value}).encode()
        pq.write_table(table.replace_schema_metadata({METADATA_KEY: said}), path)
        assert f"{value}" in check(path)


def test_statistics_that_lie(tmp_path: Path) -> None:
    path = write_good(tmp_path / "t.parquet")
    content = path.read_bytes()
    # The largest page, 7, as eight bytes; twice in the statistics of its column.
    lie = content.replace((7).to_bytes(8, "little"), (1 << 30).to_bytes(8, "little"))
    assert lie != content
    path.write_bytes(lie)
    assert "page" in check(path)


def test_damaged_bytes(tmp_path: Path) -> None:
    good, path = tmp_path / "good.parquet", tmp_path / "t.parquet"
    generate("fault_storm", good, operations=40)
    content = good.read_bytes()
    refused = 0
    for seed in range(150):
        rng = random.Random(seed)
        path.write_bytes(damage_bytes(content, rng))
        refused += bool(check(path, rng.choice(("closed", "timed"))))
    assert 75 < refused < 150


def test_more_rows_than_the_metadata_says(tmp_path: Path) -> None:
    path = write_good(tmp_path / "t.parquet")
    table, metadata = pq.read_table(path), pq.read_metadata(path).metadata
    more = pa.concat_tables([table, table.slice(4)])
    pq.write_table(more.replace_schema_metadata({METADATA_KEY: metadata[METADATA_KEY]}), path)
    assert "operations" in check(path)
