"""Reading a recording of the tracepoints vmalloc:*, in the order of the text.

    alloc_vmap_area          an area was allocated: address and size, guard page included
    free_vmap_area_noflush   an area was unmapped: address, and the lazy pages after it with their limit
    purge_vmap_area_lazy     a purge has ended: the flushed range and the number of returned areas

The kernel has these events since Linux 6.3 (include/trace/events/vmalloc.h). It prints the address of an
allocation in decimal, and all others in hexadecimal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipeline.errors import InputError, UsageError
from pipeline.importing import events as ev
from pipeline.importing.text.blocks import BlockReader, read_head
from pipeline.importing.text.kernel_events import Event
from pipeline.importing.text.kernel_text import KernelText
from pipeline.importing.text.kernel_tools import PERF, TRACE_CMD, TRACEFS, VMALLOC_EVENT
from pipeline.importing.text.lines import FARTHEST_NS, split_lines
from pipeline.importing.text.read_text import MOST_BAD
from pipeline.importing.text.tally import Tally
from pipeline.io.files import readable_file
from pipeline.schema.trace import MAX_TIME_NS

_SNIFFED_BYTES = 1 << 20
# A time this far after the first is damage, and would make the trace too long.
_FARTHEST_LATER_NS = 3 * MAX_TIME_NS // 4
# The number of CPUs online, in the head of tracefs and of trace-cmd. No kernel is built for more than
# _MOST_CPUS.
_ONLINE = re.compile(rb"(?m)^#.* #P:([0-9]{1,9})\r?$|^cpus=([0-9]{1,9})\r?$")
_MOST_CPUS = 8192

ALLOCATED, FREED, PURGED = 100, 101, 102
# The second forms are those of raw fields, as `trace-cmd report -R` prints them.
_EVENTS = {
    "alloc_vmap_area": Event(
        ALLOCATED,
        tuple(
            start + "{address:u} size={count:n} align={n} vstart={x} vend={x} failed={flag:d}"
            for start in ("va_start: ", "addr=")
        ),
    ),
    "free_vmap_area_noflush": Event(
        FREED, ("va_start={address:x} nr_lazy={count:n} nr_lazy_max={position:n}",)
    ),
    "purge_vmap_area_lazy": Event(
        PURGED,
        tuple(
            "start={address:x} end={last:x} " + number + "={count:n}" for number in ("num_purged", "npurged")
        ),
    ),
    "PERF_RECORD_LOST": Event(ev.LOST, ("lost {count:n}",)),
    "PERF_RECORD_LOST_SAMPLES": Event(ev.LOST, ("lost {count:n}",)),
}
_TOOLS: dict[str, KernelText] = {
    "perf record, perf script": PERF,
    "trace-cmd record, trace-cmd report": TRACE_CMD,
    "tracefs": TRACEFS,
}


@dataclass(frozen=True)
class VmallocRecording:
    """The events of a recording, in its order: arrays of the same length.

    time_ns: int64, from the first event on, never decreasing.
    task, cpu: int64, thread number and CPU; -1: unknown.
    event: int64, ALLOCATED, FREED or PURGED.
    first: uint64, the first page: of the area, or of the flushed range.
    pages: int64, length of the area or the range; -1 of an area that was freed.
    count: int64, lazy pages after a free, or areas that a purge returned; -1 of an allocation.
    limit: int64, lazy pages above which the kernel purges, of a free; -1 of other events.

    lines: number of lines of the text. failed: allocations that failed, which are not among the events.
    lost: number of lost events, None if the text does not say it. losses: as in `ImportedRows`.
    online: number of CPUs of the machine, None if the text does not say it.
    notes: on ignored and unknown lines. recorder, clock: how the text was made.
    """

    time_ns: np.ndarray
    task: np.ndarray
    cpu: np.ndarray
    event: np.ndarray
    first: np.ndarray
    pages: np.ndarray
    count: np.ndarray
    limit: np.ndarray
    lines: int
    failed: int
    lost: int | None
    losses: dict[str, int]
    online: int | None
    notes: list[str]
    recorder: str
    clock: str

    @property
    def cpus(self) -> int | None:
        """Number of CPUs, as the text or its events show it; None if the text has no CPU numbers."""
        largest = int(self.cpu.max(initial=-1))
        return max(largest + 1, self.online or 0) if largest >= 0 else None


def is_recording(path: Path) -> bool:
    """Return whether the text at `path` has one of the events near its start."""
    return re.search(VMALLOC_EVENT, read_head(path, _SNIFFED_BYTES)) is not None


def read_recording(path: Path, page_bytes: int = 4096, tsc_ghz: float | None = None) -> VmallocRecording:
    """Read the recording at `path`; `tsc_ghz` is the frequency of the clock if times are in ticks.

    Raises InputError if the text cannot be read, more than one line in a hundred is unknown, or it has none
    of the events. Raises UsageError if times are ticks and their frequency is not given.
    """
    readable_file(path, "text of tracefs, perf script or trace-cmd report")
    recorder = _tool_of(path)
    known = _TOOLS[recorder]
    reader = replace(known, events=_EVENTS, _known={})
    blocks, tally = BlockReader(path), Tally()
    found = []
    for block in blocks.blocks():
        tally.lines = blocks.lines_before
        lines = split_lines(block)
        found.append(reader.read(lines, tally))
        tally.lines += len(lines)
    events = np.concatenate(found) if found else np.zeros(0, ev.EVENT)
    _check(path, blocks, tally)
    lost_counts = events["count"][events["code"] == ev.LOST]
    events = events[np.isin(events["code"], (ALLOCATED, FREED, PURGED))]
    failed = (events["code"] == ALLOCATED) & (events["flag"] != 0)
    events = events[~failed]
    if not len(events):
        raise InputError(
            f"{path}: found no event of vmalloc in {tally.lines:,} lines; record "
            "vmalloc:alloc_vmap_area, free_vmap_area_noflush and purge_vmap_area_lazy"
        )
    times = _to_nanoseconds(path, events["time"], tally, tsc_ghz)
    times, steps = _in_order(path, times, tally.lines)
    code = events["code"].astype(np.int64)
    addresses = events["address"].astype(np.uint64)
    size = np.where(code == PURGED, events["last"] - events["address"], events["count"])
    said_lost = lost_counts[lost_counts >= 0]
    losses = {
        "lost_events": int(said_lost.sum()),
        "gaps": int((lost_counts < 0).sum()),
        "bad_lines": tally.unknown + blocks.overlong,
        "cut_short": int(blocks.cut_short),
        "clock_steps": steps,
    }
    return VmallocRecording(
        time_ns=times,
        task=events["task"].astype(np.int64),
        cpu=events["cpu"].astype(np.int64),
        event=code,
        first=addresses // np.uint64(page_bytes),
        pages=np.where(code == FREED, -1, -(-size // page_bytes)),
        count=np.where(code == ALLOCATED, -1, events["count"]),
        limit=np.where(code == FREED, events["position"], -1),
        lines=tally.lines,
        failed=int(failed.sum()),
        lost=int(said_lost.sum()) if len(lost_counts) and (lost_counts >= 0).all() else None,
        losses={name: count for name, count in losses.items() if count},
        online=_online_cpus(read_head(path, _SNIFFED_BYTES)),
        notes=[*tally.notes("other events")],
        recorder=recorder,
        clock="the recorder's clock, as printed"
        if tsc_ghz is None
        else f"time-stamp counter at {tsc_ghz} GHz",
    )


def _tool_of(path: Path) -> str:
    """Return the tool that wrote the text: the one whose heads fit most of the lines with events."""
    head = read_head(path, _SNIFFED_BYTES)
    lines = split_lines(np.frombuffer(head + b"\n", np.uint8))
    lines = lines.filter(lines.str.contains("_vmap_area"))
    fitting = {name: tool.count_heads(lines) for name, tool in _TOOLS.items()}
    best = max(fitting, key=lambda name: fitting[name])
    # trace-cmd prints the same lines as tracefs, after a line of its own.
    if best != "perf record, perf script":
        return "trace-cmd record, trace-cmd report" if _begins_as_trace_cmd(head) else "tracefs"
    return best


def _online_cpus(head: bytes) -> int | None:
    """Return the number of CPUs that the head of a text states."""
    found = _ONLINE.search(head)
    number = int(found[1] or found[2]) if found else 0
    return number if 1 <= number <= _MOST_CPUS else None


def _begins_as_trace_cmd(head: bytes) -> bool:
    return any(line.lstrip().startswith((b"cpus=", b"version = ")) for line in head[:4096].splitlines())


def _check(path: Path, blocks: BlockReader, tally: Tally) -> None:
    unknown = tally.unknown + blocks.overlong
    if unknown > MOST_BAD * max(tally.lines, blocks.overlong):
        raise InputError(
            f"{path}: expected text of tracefs, perf script or trace-cmd report, but {unknown:,} of "
            f"{tally.lines:,} lines do not match ({'; '.join(tally.quotes())}); the file has another format "
            "or is damaged: copy it again"
        )


def _to_nanoseconds(path: Path, times: np.ndarray, tally: Tally, tsc_ghz: float | None) -> np.ndarray:
    if tally.first_ticks >= tally.lines:
        return times.astype(np.int64)
    if tally.first_seconds < tally.lines:
        raise InputError(
            f"{path}: some times have a fraction and others do not, so the file contains two recordings; "
            "split it"
        )
    if tsc_ghz is None:
        raise UsageError(
            f"{path}: the times have no fraction, so they are ticks of a clock; give its frequency with "
            "--tsc-ghz (1 if the times are nanoseconds)"
        )
    in_ns = np.rint((times - times[0]) / tsc_ghz)
    return np.clip(in_ns, -FARTHEST_NS, FARTHEST_NS).astype(np.int64)


def _in_order(path: Path, times: np.ndarray, lines: int) -> tuple[np.ndarray, int]:
    """Return times from the first on that never decrease, and the number of those that were replaced.

    A time before an earlier one, or too far from the first for a trace, becomes the latest time before it.
    Raises InputError if these are more than one in a hundred lines.
    """
    since = times - times[0]
    far = (since > _FARTHEST_LATER_NS) | (since < 0)
    ordered = np.maximum.accumulate(np.where(far, 0, since))
    steps = int((ordered != since).sum())
    if steps > MOST_BAD * lines:
        raise InputError(
            f"{path}: {steps:,} of {lines:,} lines have times that go backwards, or are more than "
            f"{_FARTHEST_LATER_NS // 10**9 // 3600} hours after the first; sort the lines by time, or split "
            "the file"
        )
    return ordered, steps
