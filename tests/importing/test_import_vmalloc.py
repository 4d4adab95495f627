"""Recordings of the tracepoints vmalloc:*, as each tool prints them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from pipeline.errors import InputError, UsageError
from pipeline.importing.import_trace import import_trace
from pipeline.importing.vmalloc.recording import (
    ALLOCATED,
    FREED,
    PURGED,
    VmallocRecording,
    read_recording,
)
from pipeline.trace.doctor import doctor
from tests.importing.recorded import SAMPLES

_SAMPLES = SAMPLES / "vmalloc"
_WORKER, _LIMIT = "kworker/1:2-5", "nr_lazy_max=16384"
_FIELDS = (
    ("make-12", 0, 100, "alloc_vmap_area: va_start: 18446683600597614592 size=20480 align=16384 "
     "vstart=0xffffc90000000000 vend=0xffffe8ffffffffff failed=0"),
    ("a b: c-13", 1, 103, "alloc_vmap_area: va_start: 18446683600597647360 size=8192 align=1 "
     "vstart=0xffffc90000000000 vend=0xffffe8ffffffffff failed=0"),
    ("make-12", 0, 104, "alloc_vmap_area: va_start: 0 size=8192 align=1 vstart=0x0 vend=0x10 failed=1"),
    (_WORKER, 1, 110, "free_vmap_area_noflush: va_start=0xffffc90001a64000 nr_lazy=7 " + _LIMIT),
    (_WORKER, 1, 110, "free_vmap_area_noflush: va_start=0xffffc90001a50000 nr_lazy=12 " + _LIMIT),
    (_WORKER, 1, 112, "purge_vmap_area_lazy: start=0xffffc90001a50000 end=0xffffc90001a66000 num_purged=3"),
    ("make-12", 0, 120, "alloc_vmap_area: va_start: 18446683600597647360 size=8192 align=1 "
     "vstart=0xffffc90000000000 vend=0xffffe8ffffffffff failed=0"),
    ("a b: c-13", 1, 125, "free_vmap_area_noflush: va_start=0xffffc90001a58000 nr_lazy=2 " + _LIMIT),
)  # fmt: skip
_HEADER = "# entries-in-buffer/entries-written: {}/{}   #P:2\n"


def as_tracefs(lost: int = 0, us: str = "1.{:06}") -> str:
    """The events as tracefs prints them."""
    lines = [
        f"{task:>24} [{cpu:03}] ..... {us.format(time)}: {event}\n" for task, cpu, time, event in _FIELDS
    ]
    return _HEADER.format(len(lines), len(lines) + lost) + "".join(lines)


def _as_perf() -> str:
    lines = []
    for task, cpu, us, event in _FIELDS:
        name, _, number = task.rpartition("-")
        lines.append(f"{name:>16} {number:>6} [{cpu:03}]     1.{us * 1000:09}: vmalloc:{event}\n")
    return "".join(lines)


def _as_trace_cmd() -> str:
    return "cpus=2\n" + as_tracefs().partition("\n")[2].replace(": ", ":  ")


TEXTS = {"tracefs": as_tracefs(), "perf": _as_perf(), "trace-cmd": _as_trace_cmd()}


def _imported(tmp_path: Path, text: str, **options) -> pl.DataFrame:
    (tmp_path / "r.txt").write_text(text)
    import_trace(tmp_path / "r.txt", tmp_path / "t.parquet", **options)
    assert doctor(tmp_path / "t.parquet").usable
    return pl.read_parquet(tmp_path / "t.parquet")


@pytest.mark.parametrize("tool", TEXTS)
def test_rows_are_the_allocations_and_the_frees_of_their_areas(tool: str, tmp_path: Path) -> None:
    rows = _imported(tmp_path, TEXTS[tool])
    assert rows["part"].cast(pl.String).to_list() == ["map", "map", "unmap", "map", "unmap"]
    assert rows["mapping"].to_list() == [0, 1, 0, 2, 2]
    assert rows["pages"].to_list()[:4] == [4, 1, 4, 1]
    assert rows["time_ns"].to_list() == [0, 3_000, 10_000, 20_000, 25_000]
    assert rows["task"].to_list() == [0, 1, 2, 0, 1]
    assert rows["think_ns"].to_list() == [0, 0, 0, 20_000, 22_000]
    assert set(rows["kind"].cast(pl.String)) == {"vmap"}
    first = rows.filter(pl.col("part").cast(pl.String) == "map")
    ends = (first["page"] + first["pages"]).to_list()
    assert first["page"].to_list() == [0, *ends[:-1]]


def test_what_has_no_row_is_counted(tmp_path: Path) -> None:
    _imported(tmp_path, as_tracefs(lost=3))
    metadata = doctor(tmp_path / "t.parquet").metadata
    assert metadata.losses == {"lost_events": 3, "frees_alone": 1, "frees_missing": 1}
    assert metadata.lost_events == 3
    assert any("1 allocation failed" in note for note in metadata.notes)


@pytest.mark.parametrize("tool", TEXTS)
def test_the_events_are_read_in_their_order(tool: str, tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text(TEXTS[tool])
    found = read_recording(tmp_path / "r.txt")
    assert found.event.tolist() == [ALLOCATED, ALLOCATED, FREED, FREED, PURGED, ALLOCATED, FREED]
    assert found.first[0] == found.first[3] == found.first[4] == 0xFFFFC90001A50
    assert found.pages.tolist() == [5, 2, -1, -1, 0x16, 2, -1]
    assert found.count.tolist() == [-1, -1, 7, 12, 3, -1, 2]
    assert found.limit.tolist() == [-1, -1, 16384, 16384, -1, -1, 16384]
    assert (found.failed, found.cpus) == (1, 2)


@pytest.mark.parametrize(
    ("tool", "before", "after", "cpus"),
    [
        ("tracefs", "#P:2", "#P:6", 6),
        ("tracefs", "#P:2", "#P:1", 2),
        ("tracefs", "#P:2", "#P:999999999", 2),
        ("trace-cmd", "cpus=2", "cpus=6", 6),
    ],
)
def test_cpus_without_an_event_are_those_that_the_text_states(
    tool: str, before: str, after: str, cpus: int, tmp_path: Path
) -> None:
    assert before in TEXTS[tool]
    (tmp_path / "r.txt").write_text(TEXTS[tool].replace(before, after))
    assert read_recording(tmp_path / "r.txt").cpus == cpus


def test_real_texts_of_one_load_have_the_same_events(tmp_path: Path) -> None:
    """The samples are the events of 20 ms, as two tools print them: maps, frees and a purge."""
    perf, trace_cmd, raw = (_read_sample(name) for name in ("perf", "trace-cmd", "trace-cmd-raw"))
    assert Counter(perf.event.tolist()) == {ALLOCATED: 6, FREED: 57, PURGED: 1}
    assert (perf.recorder, perf.cpus, perf.lost) == ("perf record, perf script", 2, None)
    assert trace_cmd.recorder == raw.recorder == "trace-cmd record, trace-cmd report"
    assert _fields(raw) == _fields(trace_cmd)
    # Each tool takes its own times, so it can give two events of different CPUs another order.
    pairs = list(zip(_fields(perf), _fields(trace_cmd), strict=True))
    differing = [pair for pair in pairs if pair[0] != pair[1]]
    assert len(differing) == 2
    assert differing[0] == differing[1][::-1]
    assert {fields[-1] for fields in differing[0]} == {0, 1}
    assert abs(perf.time_ns - trace_cmd.time_ns).max() < 20_000
    purge = perf.event.tolist().index(PURGED)
    assert (perf.count[purge], perf.pages[purge]) == (1224, (0xFFFFC90018DC9000 - 0xFFFFC90000175000) >> 12)
    assert perf.count[purge - 1] > perf.limit[purge - 1] == 16384


@pytest.mark.parametrize("name", ["perf", "trace-cmd", "trace-cmd-raw"])
def test_a_real_text_becomes_rows(name: str, tmp_path: Path) -> None:
    rows = _imported(tmp_path, (_SAMPLES / f"{name}.txt").read_text())
    assert rows["pages"].to_list() == [4] * 6
    assert doctor(tmp_path / "t.parquet").metadata.losses == {"frees_alone": 57}


def _read_sample(name: str) -> VmallocRecording:
    return read_recording(_SAMPLES / f"{name}.txt")


def _fields(found: VmallocRecording) -> list[tuple[int, ...]]:
    columns = (found.event, found.first, found.pages, found.count, found.limit, found.task, found.cpu)
    return list(zip(*(column.tolist() for column in columns), strict=True))


@pytest.mark.parametrize(
    ("tool", "lines", "losses"),
    [
        ("trace-cmd", ("areas: CPU:1 [1475 EVENTS DROPPED]", "CPU:0 [3 EVENTS DROPPED]"), (1478, 0)),
        ("trace-cmd", ("areas: CPU:0 [EVENTS DROPPED]",), (0, 1)),
        ("perf", ("  a  8/8  [001]   1.000120: PERF_RECORD_LOST lost 50",), (50, 0)),
        ("perf", ("Warning:", "Processed 1207 samples and lost 10.94%!"), (0, 1)),
    ],
)
def test_losses_are_read_as_each_tool_prints_them(
    tool: str, lines: tuple[str, ...], losses: tuple[int, int], tmp_path: Path
) -> None:
    (tmp_path / "r.txt").write_text(TEXTS[tool] + "".join(f"{line}\n" for line in lines))
    found = read_recording(tmp_path / "r.txt")
    assert (found.losses.get("lost_events", 0), found.losses.get("gaps", 0)) == losses
    assert found.losses.get("bad_lines", 0) == 0


@pytest.mark.parametrize("seconds", ["000000001", "99999999999999"])
def test_a_damaged_time_moves_no_other_and_is_counted(seconds: str, tmp_path: Path) -> None:
    lines = as_tracefs(us="7.{:06}").splitlines(keepends=True)
    lines[5] = lines[5].replace(" 7.", f" {seconds}.")
    others = "# other lines\n" * 200
    rows = _imported(tmp_path, others + "".join(lines))
    assert rows["time_ns"].to_list() == [0, 3_000, 10_000, 20_000, 25_000]
    assert doctor(tmp_path / "t.parquet").metadata.losses["clock_steps"] == 1
    with pytest.raises(InputError, match="1 of 9 lines have times that go backwards, or are more than 14"):
        _imported(tmp_path, "".join(lines))


def test_ticks_need_their_frequency(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--tsc-ghz"):
        _imported(tmp_path, as_tracefs(us="1{:09}"))
    assert _imported(tmp_path, as_tracefs(us="1{:09}"), tsc_ghz=2.0)["time_ns"].to_list()[-1] == 12


def test_a_recording_of_other_events_too_is_one_of_vmalloc(tmp_path: Path) -> None:
    fault = "          make-12 [000] ..... 1.000101: page_fault_user: address=0x7f ip=0x1 error_code=0x6\n"
    rows = _imported(tmp_path, as_tracefs() + fault)
    assert len(rows) == 5
    notes = doctor(tmp_path / "t.parquet").metadata.notes
    assert any("other events (page_fault_user 1)" in note for note in notes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (as_tracefs().replace("size=", "size=x"), "do not match"),
        (_HEADER + as_tracefs().splitlines()[4] + "\n", "no allocation of an area"),
        (as_tracefs().replace("size=20480", "size=204800000000000"), "at most 1,048,576"),
    ],
)
def test_damage_is_told(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        _imported(tmp_path, text)
