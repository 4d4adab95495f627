"""Results do not depend on how the trace is cut up and where its rows wait."""

from __future__ import annotations

import os
from functools import partial

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.allocators.api.contract import parse_options
from pipeline.allocators.registry import load_allocator
from pipeline.machine.compose import compose
from pipeline.machine.drive import Census, build_simulation
from pipeline.machine.layout import RunSettings
from pipeline.machine.machine_state import RowStorage
from pipeline.machine.profile import load_profile
from pipeline.runs import feed
from pipeline.schema.log import LOG_TABLES
from pipeline.schema.trace import ROW_GROUP_ROWS
from pipeline.schema.trace_metadata import METADATA_KEY
from pipeline.sql.query import sql
from tests.runs.made import build_trace, replayed, storm_trace

# So few that some maps take longer than 32 bits of nanoseconds.
SLOTS = {"slots": "32"}


@pytest.fixture(scope="module")
def storm(tmp_path_factory):
    directory = tmp_path_factory.mktemp("feed")
    trace = storm_trace(directory)
    return trace, {loop: replayed(trace, directory, options=SLOTS, loop=loop) for loop in ("closed", "timed")}


@pytest.mark.parametrize("loop", ["closed", "timed"])
@pytest.mark.parametrize("group_rows", [ROW_GROUP_ROWS, 1000])
@pytest.mark.parametrize("chunk_rows", [64, 1 << 13])
@pytest.mark.parametrize("resident_rows", [0, 1 << 21])
def test_chunks_and_spilling_change_nothing(
    tmp_path, storm, monkeypatch, loop, group_rows, chunk_rows, resident_rows
):
    monkeypatch.setattr("pipeline.runs.feed.RESIDENT_ROWS", resident_rows)
    monkeypatch.setattr("pipeline.runs.feed.ROW_GROUP_ROWS", group_rows)
    monkeypatch.setattr("pipeline.runs.feed.CHUNK_ROWS", chunk_rows)
    reserved = []
    reserve = os.posix_fallocate
    monkeypatch.setattr(os, "posix_fallocate", lambda *a: (reserved.append(a), reserve(*a)))
    trace, known = storm
    run = replayed(trace, tmp_path, options=SLOTS, loop=loop)
    assert run.manifest.fingerprint == known[loop].manifest.fingerprint
    assert run.manifest.totals == known[loop].manifest.totals
    assert bool(reserved) == (resident_rows == 0)


def test_the_log_is_the_same_whatever_the_size_of_its_buffers_and_files(tmp_path, storm, monkeypatch):
    trace, known = storm
    small = partial(RunSettings, log_operations=128, log_events=128)
    monkeypatch.setattr("pipeline.runs.execute.RunSettings", small)
    monkeypatch.setattr("pipeline.runs.log_writer._ROW_GROUP_ROWS", 500)
    monkeypatch.setattr("pipeline.runs.log_writer._FILE_ROWS", 1_000)
    run = replayed(trace, tmp_path, options=SLOTS)
    assert run.manifest.tables.keys() == {"operations", "wide_operations", "events"}
    assert all(len(files) > 1 for files in run.manifest.tables.values())
    for name in LOG_TABLES:
        assert table(run, name).equals(table(known["closed"], name))


def table(run, name):
    return sql([run.path], f"SELECT * EXCLUDE (run) FROM {name}")


def test_the_same_source_uncompiled_gives_the_same_log(tmp_path, storm):
    trace, known = storm
    run = replayed(trace, tmp_path, options=SLOTS, compiled=False)
    assert run.manifest.fingerprint == known["closed"].manifest.fingerprint
    assert table(run, "events").equals(table(known["closed"], "events"))


def test_tables_are_sized_by_what_is_in_use_not_by_the_length_of_the_trace():
    tasks, rows = 131_072, 1_000_000_000
    allocator = load_allocator("global_pool")
    options = parse_options(allocator.options, {}, allocator.name)
    census = Census(
        np.full(tasks, rows // tasks),
        np.zeros(tasks, np.int64),
        pages=1,
        levels=1,
        longest_think_ns=0,
        longest_wait_ns=0,
    )
    chunks = -(-rows // feed.CHUNK_ROWS)
    settings = RunSettings(
        seed=0, loop=0, log=True, chunk_rows=feed.CHUNK_ROWS, chunk_slots=chunks, levels=census.levels
    )
    # Rows lie in a sparse file.
    rows_elsewhere = RowStorage.allocate(1)
    simulation = build_simulation(
        compose(allocator, compiled=False), allocator, options, load_profile("modern-x86-64"), census,
        settings, rows_elsewhere,
    )  # fmt: skip
    tables = [table for table in vars(simulation.machine_state).values() if isinstance(table, np.ndarray)]
    assert len(tables) > 15
    assert sum(table.nbytes for table in tables) < 128 << 20


@pytest.mark.parametrize("group_rows", [1, 7])
def test_row_groups_of_any_size_give_the_same_run(tmp_path, group_rows):
    trace = build_trace(tmp_path, 300)
    cut = tmp_path / "cut.parquet"
    table = pq.read_table(trace)
    with pq.ParquetWriter(cut, table.schema) as out:
        out.write_table(table, group_rows)
        out.add_key_value_metadata({METADATA_KEY: pq.read_metadata(trace).metadata[METADATA_KEY]})
    whole, in_groups = (replayed(path, tmp_path / "runs", compiled=False) for path in (trace, cut))
    assert in_groups.manifest.fingerprint == whole.manifest.fingerprint
