"""A run from a stranger: no file elsewhere is read, and names come out as text."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.report.report import report
from pipeline.runs.store import read_manifest
from pipeline.sql.query import sql

RUN = Path(__file__).parent / "format_1"
HOSTILE = "<script>alert(1)</script>|\n\0\x1b[31m\u202e"
SHOWN = "<script>alert(1)</script>|\\n\\x00\\x1b[31m\\u202e"


def run_with(directory: Path, **changes: object) -> Path:
    run = directory / "run"
    shutil.copytree(RUN, run)
    manifest = json.loads((RUN / "manifest.json").read_text()) | changes
    (run / "manifest.json").write_text(json.dumps(manifest))
    return run


@pytest.mark.parametrize(
    "place", ["absolute", "../other.parquet", "a/../../other.parquet", "..", ".", "", ".x"]
)
def test_no_path_of_a_manifest_leads_out_of_the_run(place: str, tmp_path: Path) -> None:
    shutil.copy(RUN / "operations.parquet", tmp_path / "other.parquet")
    if place == "absolute":
        place = str(tmp_path / "other.parquet")
    run = run_with(tmp_path, tables={"operations": [place]})
    with pytest.raises(InputError, match="a run's tables must be in its own directory"):
        sql([run], "SELECT count(*) FROM operations")


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    run = run_with(tmp_path)
    (run / "operations.parquet").rename(tmp_path / "other.parquet")
    (run / "operations.parquet").symlink_to(tmp_path / "other.parquet")
    with pytest.raises(InputError, match="a run's tables must be in its own directory"):
        read_manifest(run)


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 50_000,
        b"\xff",
        b"{",
        b"[]",
        b"9" * 5_000,
        b'{"label": NaN}',
        b'{"seed": 99999999999999999999}',
        b"{}",
    ],
)
def test_a_manifest_that_is_none_is_refused(content: bytes, tmp_path: Path) -> None:
    run = run_with(tmp_path)
    (run / "manifest.json").write_bytes(content)
    with pytest.raises(InputError, match=r"manifest\.json: not "):
        read_manifest(run)


def test_names_come_out_as_text(tmp_path: Path) -> None:
    manifest = json.loads((RUN / "manifest.json").read_text())
    trace, machine = manifest["trace"] | {"name": HOSTILE}, manifest["machine"] | {"name": HOSTILE}
    run = run_with(tmp_path, label=HOSTILE, trace=trace, machine=machine, command=HOSTILE)
    assert read_manifest(run).label == SHOWN
    assert sql([run], "SELECT run FROM runs").item().startswith(SHOWN)
    text = report([run], output=tmp_path / "r.html").read_text()
    assert "<script>alert" not in text
    assert not {"\x1b", "\0", "\u202e"} & {*text}
