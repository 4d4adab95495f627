"""Damaged recordings never crash or hang an import, and no line is dropped without being counted."""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import PipelineError
from pipeline.importing.import_trace import import_trace
from pipeline.importing.text import blocks, read_text
from pipeline.importing.text.blocks import BlockReader
from pipeline.importing.text.kernel_tools import BPFTRACE, PERF, TRACE_CMD, TRACEFS
from pipeline.importing.text.lines import split_lines
from pipeline.importing.text.read_text import TextReader
from pipeline.importing.text.strace_text import StraceText
from pipeline.importing.text.tally import Tally
from pipeline.trace.doctor import doctor
from pipeline.trace.reader import open_trace
from tests.importing.recorded import SAMPLES

PERF_TEXT = (SAMPLES / "excerpt.perf-script.txt").read_bytes()
STRACE_TEXT = (SAMPLES / "excerpt.strace.txt").read_bytes()
TRACEFS_TEXT = gzip.decompress((SAMPLES / "kcsleep2.tracefs.txt.gz").read_bytes())[:120_000]

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
# What the lines of each format are like, and what reads them.
RECORDINGS: dict[str, tuple[bytes, Callable[[], TextReader]]] = {
    "perf-script": (PERF_TEXT, lambda: PERF),
    "strace": (STRACE_TEXT, StraceText),
    "tracefs": (TRACEFS_TEXT, lambda: TRACEFS),
    "trace-cmd": (b"cpus=4\n" + TRACEFS_TEXT, lambda: TRACE_CMD),
    "bpftrace": (b"# record.bt 1\n" + PERF_TEXT, lambda: BPFTRACE),
}
FORMATS = pytest.mark.parametrize("format", RECORDINGS)


def _damaged(text: bytes, damages: list[Damage]) -> bytes:
    for damage in damages:
        text = damage(text)
    return text


@FORMATS
@given(damages=DAMAGES)
@settings(deadline=None, max_examples=12)
def test_every_line_is_used_or_passed_over_or_unknown(format: str, damages: list[Damage]) -> None:
    text, reader = RECORDINGS[format]
    # Two bytes of a packed file at the beginning, and it is no text.
    damaged = b" " + _damaged(text, damages)
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory) / "r.txt"
        source.write_bytes(damaged)
        tally, lines_of, events = Tally(), reader(), 0
        for block in BlockReader(source).blocks():
            lines = split_lines(block)
            events += len(lines_of.read(lines, tally))
            tally.lines += len(lines)
    assert tally.lines == damaged.count(b"\n") + (not damaged.endswith(b"\n") and damaged != b"")
    assert tally.used + tally.ignored.total() + tally.auxiliary.total() + tally.unknown == tally.lines
    assert events == tally.used


@FORMATS
@given(damages=st.one_of(st.just([]), DAMAGES), size=st.integers(50, 3000))
@settings(deadline=None, max_examples=8)
def test_the_result_does_not_depend_on_how_the_text_is_cut_into_blocks(
    format: str, damages: list[Damage], size: int
) -> None:
    def result(block_bytes: int) -> object:
        try:
            with patch.object(read_text, "MOST_BAD", 1), patch.object(blocks, "BLOCK_BYTES", block_bytes):
                import_trace(source, output, format, tsc_ghz=1.0)
        except PipelineError as error:
            return str(error)
        opened = open_trace(output).metadata
        return pl.read_parquet(output).rows(), opened.losses, sorted(opened.notes)

    with tempfile.TemporaryDirectory() as directory:
        source, output = Path(directory) / "r.txt", Path(directory) / "t.parquet"
        source.write_bytes(_damaged(RECORDINGS[format][0][:6_000], damages))
        assert result(size) == result(1 << 22)


@FORMATS
@given(damages=DAMAGES)
@settings(deadline=None, max_examples=12)
def test_a_damaged_recording_gives_a_sound_trace_or_an_error(format: str, damages: list[Damage]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        source, output = Path(directory) / "r.txt", Path(directory) / "t.parquet"
        source.write_bytes(_damaged(RECORDINGS[format][0], damages))
        try:
            # Else most would be refused, and what is made of the rest would hardly be looked at.
            with patch.object(read_text, "MOST_BAD", 1):
                import_trace(source, output, format, tsc_ghz=1.0)
        except PipelineError:
            assert not output.exists()
            return
        diagnosis = doctor(output)
        assert diagnosis.usable, diagnosis.text()


def test_interleaved_tasks_give_what_each_gives_alone(tmp_path: Path) -> None:
    lines = PERF_TEXT.splitlines(keepends=True)
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
