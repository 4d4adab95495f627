"""Results do not depend on how the trace is cut up and where its rows wait."""

from __future__ import annotations

import os

import pytest

from pipeline.schema.trace import ROW_GROUP_ROWS
from tests.runs.made import replayed, storm_trace


@pytest.fixture(scope="module")
def storm(tmp_path_factory):
    directory = tmp_path_factory.mktemp("feed")
    trace = storm_trace(directory)
    return trace, {
        loop: replayed(trace, directory, options={"slots": "256"}, loop=loop) for loop in ("closed", "timed")
    }


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
    run = replayed(trace, tmp_path, options={"slots": "256"}, loop=loop)
    assert run.manifest.fingerprint == known[loop].manifest.fingerprint
    assert run.manifest.totals == known[loop].manifest.totals
    assert bool(reserved) == (resident_rows == 0)


def test_the_log_is_the_same_whatever_the_size_of_its_buffers(tmp_path, storm, monkeypatch):
    trace, known = storm
    for name in ("log_operations", "log_events"):
        monkeypatch.setattr(f"pipeline.machine.machine_state.RunSettings.{name}", 128)
    monkeypatch.setattr("pipeline.runs.log_writer._ROW_GROUP_ROWS", 500)
    run = replayed(trace, tmp_path, options={"slots": "256"})
    for file in ("operations.parquet", "events.parquet"):
        assert table(run, file).equals(table(known["closed"], file))


def table(run, file):
    import pyarrow.parquet as pq

    return pq.read_table(run.path / file)


def test_the_same_source_uncompiled_gives_the_same_log(tmp_path, storm):
    trace, known = storm
    run = replayed(trace, tmp_path, options={"slots": "256"}, compiled=False)
    assert run.manifest.fingerprint == known["closed"].manifest.fingerprint
    assert table(run, "events.parquet").equals(table(known["closed"], "events.parquet"))
