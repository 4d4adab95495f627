"""Damaged recordings never crash or hang an import, and no line is dropped without being counted."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import PipelineError
from pipeline.importing.formats import strace
from pipeline.importing.import_trace import import_trace
from pipeline.importing.text import ftrace, read_text
from pipeline.importing.text.blocks import BlockReader
from pipeline.importing.text.tally import Scanner, Tally
from pipeline.trace.doctor import doctor
from tests.importing.recorded import SAMPLES

PERF = (SAMPLES / "excerpt.perf-script.txt").read_bytes()
STRACE = (SAMPLES / "excerpt.strace.txt").read_bytes()

Damage = Callable[[bytes], bytes]


def _cut(at: float) -> Damage:
    return lambda text: text[: int(len(text) * at)]


def _without(at: float, length: int) -> Damage:
    return lambda text: text[: int(len(text) * at)] + text[int(len(text) * at) + length :]


def _inserted(at: float, what: bytes) -> Damage:
    return lambda text: text[: int(len(text) * at)] + what + text[int(len(text) * at) :]


def _changed(every: int, byte: int) -> Damage:
    def change(text: bytes) -> bytes:
        damaged = np.frombuffer(text, np.uint8).copy()
        damaged[::every] = byte
        return damaged.tobytes()

    return change


def _shuffled(seed: int) -> Damage:
    def shuffle(text: bytes) -> bytes:
        lines = text.splitlines(keepends=True)
        return b"".join(lines[i] for i in np.random.default_rng(seed).permutation(len(lines)))

    return shuffle


SHARES = st.floats(0, 1, allow_nan=False)
DAMAGES = st.lists(
    st.one_of(
        st.builds(_cut, SHARES),
        st.builds(_without, SHARES, st.integers(1, 3000)),
        st.builds(_inserted, SHARES, st.binary(max_size=300)),
        st.builds(_inserted, SHARES, st.sampled_from([b"\r\n", b"\r", b"\n\n", b"\0" * 5000, b"9" * 3000])),
        st.builds(_changed, st.integers(50, 5000), st.integers(0, 255)),
        st.builds(_shuffled, st.integers(0, 10)),
        st.sampled_from([lambda text: text.replace(b"\n", b"\r\n"), lambda text: text + text]),
    ),
    min_size=1,
    max_size=4,
)
RECORDINGS = pytest.mark.parametrize(
    ("text", "scanner", "format"),
    [(PERF, ftrace.SCANNER, "perf-script"), (STRACE, strace.SCANNER, "strace")],
    ids=["perf", "strace"],
)


def _damaged(text: bytes, damages: list[Damage]) -> bytes:
    for damage in damages:
        text = damage(text)
    return text


@RECORDINGS
@given(damages=DAMAGES)
@settings(deadline=None, max_examples=60)
def test_every_line_is_used_or_ignored_or_bad(
    text: bytes, scanner: Scanner, format: str, damages: list[Damage]
) -> None:
    damaged = _damaged(text, damages)
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory) / "r.txt"
        source.write_bytes(damaged)
        tally = Tally(scanner)
        events = sum(tally.scan(block) for block in BlockReader(source).blocks())
    counts = tally.counts
    assert counts.lines == damaged.count(b"\n") + (not damaged.endswith(b"\n") and damaged != b"")
    parts = ("used", "ignored", "comments", "chains", "bad")
    assert sum(counts[part] for part in parts) == counts.lines
    assert events == counts.used
    assert sum(tally.tables.other.lines) == counts.ignored


@RECORDINGS
@given(damages=DAMAGES)
@settings(deadline=None, max_examples=30)
def test_a_damaged_recording_gives_a_sound_trace_or_an_error(
    text: bytes, scanner: Scanner, format: str, damages: list[Damage]
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        source, output = Path(directory) / "r.txt", Path(directory) / "t.parquet"
        source.write_bytes(_damaged(text, damages))
        try:
            # Else most would be refused, and what is made of the rest would hardly be looked at.
            with patch.object(read_text, "MOST_BAD", 1):
                import_trace(source, output, format)
        except PipelineError:
            assert not output.exists()
            return
        diagnosis = doctor(output)
        assert diagnosis.usable, diagnosis.text()


def test_interleaved_tasks_give_what_each_gives_alone(tmp_path: Path) -> None:
    lines = PERF.splitlines(keepends=True)
    tasks = sorted({line.split(b"/")[0].split()[-1] for line in lines})
    alone = 0
    for task in tasks:
        own = [line for line in lines if b" " + task + b"/" in line and b"sched_switch" not in line]
        (tmp_path / "r.txt").write_bytes(b"".join(own))
        try:
            alone += import_trace(tmp_path / "r.txt", tmp_path / "t.parquet", "perf-script").rows_out
        except PipelineError:
            continue
    together = b"".join(line for line in lines if b"sched_switch" not in line)
    (tmp_path / "r.txt").write_bytes(together)
    assert import_trace(tmp_path / "r.txt", tmp_path / "t.parquet", "perf-script").rows_out == alone
