"""How a text is cut into blocks changes nothing of what is read from it, in any format."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import PipelineError
from pipeline.importing.import_trace import _importers
from pipeline.importing.importer import ReadOptions
from pipeline.importing.kmap_pool.tracefs import read_tracefs
from pipeline.importing.locks.read import read_locks
from pipeline.importing.text import blocks
from pipeline.importing.text.blocks import LONGEST_LINE, BlockReader
from tests.campaigns.damage import damage_text
from tests.importing.recorded import SAMPLES
from tests.importing.test_import_table import CSV, MAPPING
from tests.importing.test_import_vmalloc import TEXTS as VMALLOC

SIZES = (64, 500, 4096)
TRACEFS = gzip.decompress((SAMPLES / "kcsleep2.tracefs.txt.gz").read_bytes())
PERF = (SAMPLES / "excerpt.perf-script.txt").read_bytes()
STRACE = (SAMPLES / "excerpt.strace.txt").read_bytes()
POOL = b"".join(
    [line for line in TRACEFS.splitlines(keepends=True) if line[:1] == b"#" or b"map_high+" in line][:200]
)
LOCKS = {path.name: path.read_bytes() for path in sorted((SAMPLES / "locks").iterdir())}
# Process numbers are printed only while there are several, and calls are cut in two by messages.
STRACE_OF_A_FEW = b"".join(
    b"%s1700000000.%06d %s\n" % (who, 1000 * at, what)
    for at, (who, what) in enumerate(
        [
            (b"101 ", b'openat(AT_FDCWD, "/a", O_RDONLY) = 3</a> <0.000100>'),
            (b"101 ", b"clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|SIGCHLD) = 102 <0.000200>"),
            (b"", b'read(3</a>, "x"..., 9000) = 9000 <0.000300>'),
            (b"102 ", b'read(3</a>, "y"..., 5000) = 5000 <0.000300>'),
            (b"[pid 101] ", b"read(3</a>, strace: Process 103 attached\n <unfinished ...>"),
            (b"103 ", b'read(3</a>, "z"..., 100) = 100 <0.000300>'),
            (b"[pid 101] ", b'<... read resumed>"w"..., 4096) = 4096 <0.000900>'),
        ]
        * 6
    )
)


def importing(format: str, **options: object) -> Callable[[Path], object]:
    def read(path: Path) -> object:
        given = {"tsc_ghz": 2.4} | options
        imported = _importers()[format].read(path, ReadOptions(**given))  # type: ignore[arg-type]
        batches = list(imported.in_batches(1 << 20))
        rows = {name: np.concatenate([batch[name] for batch in batches]).tolist() for name in batches[0]}
        return rows, imported.losses, imported.notes, imported.lost_events, imported.cpus, imported.rows_in

    return read


def pool(path: Path) -> object:
    events = read_tracefs(path)
    return (
        events.code.tolist(),
        events.time.tolist(),
        events.seq.tolist(),
        events.lost,
        events.gaps,
        events.rows_in,
    )


def table(path: Path) -> object:
    mapping = path.with_name("m.toml")
    mapping.write_text(MAPPING)
    return importing("table", mapping=mapping)(path)


def locks(path: Path) -> object:
    return [(table.rows, table.losses, table.notes) for table in read_locks(path)]


def head(text: bytes, size: int) -> bytes:
    """Whole lines from its beginning."""
    return text[: text.rfind(b"\n", 0, size) + 1]


FORMATS: dict[str, tuple[bytes, Callable[[Path], object]]] = {
    "perf-script": (head(PERF, 4_000), importing("perf-script")),
    "tracefs": (head(TRACEFS, 6_000), importing("tracefs", threads=True)),
    "tracefs-seconds": (
        re.sub(rb" 20([0-9]{6})([0-9]{3}): ", rb" 20.\1\2: ", head(TRACEFS, 6_000)),
        importing("tracefs"),
    ),
    "trace-cmd": (b"cpus=4\n" + head(TRACEFS, 6_000), importing("trace-cmd")),
    "bpftrace": (b"# record.bt 1\n" + head(PERF, 3_000), importing("bpftrace")),
    "strace": (head(STRACE, 3_000), importing("strace")),
    "strace-of-a-few": (STRACE_OF_A_FEW, importing("strace")),
    "kernel-pool-tracefs": (POOL, importing("kernel-pool-tracefs")),
    "kernel-pool-events": (POOL, pool),
    "table": (CSV.encode(), table),
    **{f"vmalloc: {tool}": (text.encode(), importing("vmalloc")) for tool, text in VMALLOC.items()},
    **{f"locks: {name}": (head(text, 2_500), locks) for name, text in LOCKS.items()},
}


def outcome(read: Callable[[Path], object], path: Path) -> object:
    try:
        return read(path)
    except PipelineError as error:
        return type(error), str(error)


@pytest.mark.parametrize("format", FORMATS)
def test_the_size_of_blocks_changes_nothing(
    format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, read = FORMATS[format]
    path = tmp_path / "r.txt"
    for seed in range(4):
        path.write_bytes(damage_text(text, random.Random(seed)) if seed else text)
        monkeypatch.setattr(blocks, "BLOCK_BYTES", 4 << 20)
        whole = outcome(read, path)
        assert seed or not isinstance(whole[0], type), whole  # type: ignore[index]
        for size in SIZES:
            monkeypatch.setattr(blocks, "BLOCK_BYTES", size)
            assert outcome(read, path) == whole, (seed, size)


def lines_of(path: Path) -> tuple[list[tuple[int, bytes]], BlockReader]:
    reader = BlockReader(path)
    return [
        (reader.lines_before + i, line)
        for block in reader.blocks()
        for i, line in enumerate(block.tobytes().splitlines(keepends=True))
    ], reader


@pytest.mark.parametrize("size", [1, 2, 1 << 10, LONGEST_LINE // 2, 3 * LONGEST_LINE])
def test_a_line_is_left_out_by_its_length_alone(size, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_BYTES", size)
    monkeypatch.setattr(blocks, "LONGEST_LINE", 50)
    path = tmp_path / "r.txt"
    path.write_bytes(b"\xef\xbb\xbfa\n" + b"b" * 50 + b"\n" + b"c" * 51 + b"\nd\n" + b"e" * 5_000 + b"\nf")
    lines, reader = lines_of(path)
    assert lines == [(0, b"a\n"), (1, b"b" * 50 + b"\n"), (3, b"d\n"), (5, b"f\n")]
    assert (reader.overlong, reader.overlong_first, reader.cut_short, reader.lines_before) == (2, 3, True, 6)


def test_mostly_unknown_text_is_given_up_at_the_same_line(tmp_path, monkeypatch) -> None:
    path = tmp_path / "r.txt"
    path.write_bytes(head(PERF, 3_000) + b"nonsense, quite\n" * 25_000)
    found = set()
    for size in (20_000, 100_000, 4 << 20):
        monkeypatch.setattr(blocks, "BLOCK_BYTES", size)
        found.add(outcome(importing("perf-script"), path))
    assert len(found) == 1
    assert "but 10,001 of 10,0" in str(found)


def test_short_reads_of_a_compressed_text_change_nothing(tmp_path, monkeypatch) -> None:
    class Dripping(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(min(size or 1, 7))

    path = tmp_path / "r.txt"
    path.write_bytes(b"\xef\xbb\xbf" + STRACE[:2_000])
    whole, _ = lines_of(path)
    monkeypatch.setattr(blocks, "open_text", lambda path: Dripping(path.read_bytes()))
    assert lines_of(path)[0] == whole


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress])
def test_of_a_damaged_compressed_text_the_same_is_read(pack, tmp_path, monkeypatch) -> None:
    path = tmp_path / "r.txt"
    packed = bytearray(pack(PERF * 3))
    packed[len(packed) * 4 // 5] ^= 0x10
    path.write_bytes(packed)
    found = []
    for size in (*SIZES, 1 << 15, 4 << 20):
        monkeypatch.setattr(blocks, "BLOCK_BYTES", size)
        found.append(outcome(lines_of_damaged, path))
    assert found[1:] == found[:-1]


def lines_of_damaged(path: Path) -> object:
    lines, reader = lines_of(path)
    assert reader.damage
    return lines


def test_a_switch_far_before_the_first_event_leaves_rows_alone(tmp_path, monkeypatch) -> None:
    lines = TRACEFS.splitlines(keepends=True)[:212]
    switches = [i for i, line in enumerate(lines) if b"sched_switch" in line and i > 140]
    lines[switches[0]] = lines[switches[0]].replace(b" 20", b" 0", 1)
    lines[150] += b"9" * 5_000 + b"\n"
    path = tmp_path / "r.txt"
    path.write_bytes(b"".join(lines))
    read = importing("tracefs", threads=True)
    results = []
    for size in (*SIZES, 4 << 20):
        monkeypatch.setattr(blocks, "BLOCK_BYTES", size)
        results.append(outcome(read, path))
    assert results[1:] == results[:-1]
