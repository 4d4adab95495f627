"""Damaged files of measured locks are refused, or give the right figures of the lines that are whole."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from pipeline.errors import PipelineError
from pipeline.importing.locks.measured import LockRow, MeasuredLocks
from pipeline.importing.locks.read import read_locks
from pipeline.schema.locks import ALL_SITES, FIGURE_NAMES
from tests.importing.recorded import SAMPLES

LOCKS = SAMPLES / "locks"
CSV = (
    b"# output: contended, total wait, max wait, avg wait, type, caller\n"
    b"19, 194232, 21415, 10222, spinlock, process_one_work+0x1f0\n"
    b"15, 162748, 23843, 10849, rwsem:R, do_user_addr_fault+0x40e\n"
    b"4, 86740, 23415, 21685, rwlock:R, ep_poll_callback+0x2d\n"
    b"# debug: total=40, bad=2, bad_task=0, bad_stack=2, bad_time=0, bad_data=0\n"
)
TABLES = {name: (LOCKS / name).read_bytes() for name in (
    "lock_stat.txt", "lockmeter.txt", "contention.perf-lock.txt", "tasks.perf-lock.txt",
)} | {
    "csv": CSV, "rows": Path("pipeline/studies/lockmeter/lockmeter_2002.csv").read_bytes(),
}  # fmt: skip
EVENTS = {
    name: (LOCKS / name).read_bytes()
    for name in ("contention.perf-script.txt", "contention.tracefs.txt", "chains.perf-script.txt")
}
ODD = [
    b"\0",
    b"\xff\xfe",
    b"9" * 30,
    b"\n",
    b"  ",
    b"-",
    b"%",
    b"us",
    b"\t",
    b"(",
    b"NaN",
    b"\xc3\xa9",
    b",",
    b">",
]

Damage = Callable[[bytes, random.Random], bytes]


def _change(text: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(text))
    return text[:at] + bytes([rng.randrange(256)]) + text[at + 1 :]


def _insert(text: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(text))
    return text[:at] + rng.choice(ODD) + text[at:]


def _remove(text: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(text))
    return text[:at] + text[at + rng.randrange(1, 40) :]


def _cut(text: bytes, rng: random.Random) -> bytes:
    return text[: rng.randrange(len(text))]


def _drop_line(text: bytes, rng: random.Random) -> bytes:
    lines = text.splitlines(keepends=True)
    del lines[rng.randrange(len(lines))]
    return b"".join(lines)


DAMAGES: list[Damage] = [_change, _insert, _remove, _cut, _drop_line]


def _read(text: bytes, tmp_path: Path) -> list[MeasuredLocks]:
    path = tmp_path / "locks.txt"
    path.write_bytes(text)
    return read_locks(path)


def _is_sane(row: LockRow) -> bool:
    values = row.figures.values()
    return (
        row.figures.keys() <= {*FIGURE_NAMES}
        and row.derived <= row.figures.keys()
        and all(0 <= value < 1 << 63 and math.isfinite(value) for value in values)
    )


def _measured(row: LockRow) -> tuple:
    """What the line of a row itself says: neither its lock's name, nor the head of the table."""
    of_line = sorted((k, v) for k, v in row.figures.items() if k not in {*row.derived, "wall_ns", "cpus"})
    return row.type, tuple(of_line)


@pytest.mark.parametrize("name", TABLES)
def test_a_damage_changes_no_other_line(tmp_path, name) -> None:
    text, rng = TABLES[name], random.Random(name)
    original = [_measured(row) for table in _read(text, tmp_path) for row in table.rows]
    refused = 0
    for number in range(200):
        damage = DAMAGES[number % len(DAMAGES)]
        damaged, times = text, 1 + number % 3
        for _ in range(times):
            damaged = damage(damaged, rng) or b"x"
        try:
            rows = [row for table in _read(damaged, tmp_path) for row in table.rows]
        except PipelineError as error:
            refused += 1
            assert str(tmp_path) in str(error)
            continue
        assert all(map(_is_sane, rows))
        # What reaches over the end of a line changes two, and what is said once of all of them changes all.
        others = [row for row in map(_measured, rows) if row not in original]
        assert len(others) <= 2 * times or len(others) == len(rows), (number, damaged)
    assert refused < 150


HEADS = {
    "lock_stat.txt": b"lock_stat version 0.4\n" + TABLES["lock_stat.txt"].splitlines()[2] + b"\n----\n",
    "lockmeter.txt": b"SPINLOCKS         HOLD            WAIT\n",
    "contention.perf-lock.txt": TABLES["contention.perf-lock.txt"].splitlines()[0] + b"\n",
    "csv": CSV.splitlines()[0] + b"\n",
    "rows": TABLES["rows"].splitlines()[0] + b"\n",
    "events": b"bash 7/7 [000] 1.000001: lock:contention_begin: 0xa1 (flags=SPIN)\n",
}
LONG = 200_000
PATHOLOGICAL = [
    b"5%" + b" " * LONG + b"x", b"a:" + b" " * LONG + b"x", b"1" * LONG, b"- " * LONG, b"a, " * LONG,
    b"a:" * LONG, b"1 us " * LONG, b"a (" * LONG, b"a" + (b" " * 63 + b"1") * 3_000, b'"' * LONG,
    b"row,a,site,acquisitions,\nrow," + b"site," * LONG, b">" * LONG, b"\t\t\t0x1 " * LONG,
]  # fmt: skip


@pytest.mark.parametrize("name", HEADS)
def test_lines_that_would_keep_a_pattern_busy_do_not(tmp_path, name) -> None:
    begun = time.process_time()
    for line in PATHOLOGICAL:
        with suppress(PipelineError):
            _read(HEADS[name] + line + b"\n", tmp_path)
        with suppress(PipelineError):
            _read(HEADS[name] + (line[:300] + b"\n") * 500, tmp_path)
    assert time.process_time() - begun < 10


@pytest.mark.parametrize("name", EVENTS)
def test_damaged_events_never_make_more_waits_than_begins(tmp_path, name) -> None:
    text, rng = EVENTS[name], random.Random(name)
    for number in range(40):
        damaged = text
        for _ in range(1 + number % 3):
            damaged = DAMAGES[number % len(DAMAGES)](damaged, rng) or b"x"
        try:
            (table,) = _read(damaged, tmp_path)
        except PipelineError as error:
            assert str(tmp_path) in str(error)
            continue
        assert all(map(_is_sane, table.rows))
        waits = sum(int(row.figures["contended"]) for row in table.rows if row.site == ALL_SITES)
        assert waits + table.losses["begins_without_end"] <= damaged.count(b"contention_begin")
        assert all(row.figures["wait_min_ns"] <= row.figures["wait_max_ns"] for row in table.rows)
