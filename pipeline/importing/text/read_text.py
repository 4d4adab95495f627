"""From text to rows: blocks, a scanner, the assembler, and what to say of the result."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.errors import InputError, UsageError
from pipeline.importing.importer import ImportedRows, ReadOptions
from pipeline.importing.reconstruct import state as st
from pipeline.importing.reconstruct.assembler import Assembler, Rows
from pipeline.importing.reconstruct.event_loop import assemble
from pipeline.importing.text import events as ev
from pipeline.importing.text import tally as tl
from pipeline.importing.text.blocks import BlockReader
from pipeline.importing.text.notes import notes_of
from pipeline.io.files import readable_file
from pipeline.jit.loops import has_to_compile
from pipeline.schema.trace import MAX_TIME_NS, Provenance

# More bad lines than this and the text is something else than it was taken for.
MOST_BAD = 0.01
_NEWLINE = 10

Scan = Callable[[np.ndarray, np.ndarray, tl.Tally], int]


@dataclass(frozen=True)
class TextFormat:
    """What importing needs to know of a text format.

    `scan(block, rows, tally)` writes the block's events into `rows` and returns their number. `calls_only`
    says that it sees calls but neither pages nor the scheduler; `says_lost` that a text without a word of
    lost events lost none. `to_record` is what to do when nothing of use is in it.
    """

    scan: Scan
    what: str
    recorder: str
    clock: str
    calls_only: bool
    says_lost: bool
    to_record: str


def import_text(path: Path, options: ReadOptions, form: TextFormat) -> ImportedRows:
    """Read the text at `path`, which is of that format, in pieces; the result is complete once they are read.

    Raises InputError when it cannot be read, when more than MOST_BAD of its lines are bad, and when no
    operation is found; UsageError when its times are ticks of a counter whose rate is not given.
    """
    readable_file(path, form.what)
    if has_to_compile(assemble):
        print("compiling the importer for the first time, about 20 s ...", file=sys.stderr)
    imported = ImportedRows(rows={}, columns={}, clock=form.clock, recorder=form.recorder, rows_in=0)
    imported.batches = _batches(path, options, form, imported)
    return imported


def _batches(path: Path, options: ReadOptions, form: TextFormat, imported: ImportedRows) -> Iterator[Rows]:
    reader, tally, assembler = BlockReader(path), tl.Tally(), Assembler(options.threads)
    rows_of_batch = 0
    first_tick: int | None = None
    for block in reader.blocks():
        # Lines that were left out whole count too: the numbers are those of the file.
        tally.counts[tl.LINES] = reader.lines_before
        events = np.empty((int(np.count_nonzero(block == _NEWLINE)), ev.COLUMNS), np.int64)
        events = events[: form.scan(block, events, tally)]
        tally.read_names(block)
        if tally.counts[tl.TICKS] & 2 and len(events):
            if first_tick is None:
                first_tick = int(events[0, ev.TIME])
            events[:, ev.TIME] = _nanoseconds(path, events[:, ev.TIME] - first_tick, options, tally)
        for rows in assembler.take(events):
            rows_of_batch += len(rows["time_ns"])  # type: ignore[arg-type]
            yield rows
        if tally.counts[tl.BAD] > 10_000 and tally.counts[tl.BAD] * 2 > tally.counts[tl.LINES]:
            break
    for rows in assembler.finish():
        rows_of_batch += len(rows["time_ns"])  # type: ignore[arg-type]
        yield rows
    _check(path, form, reader, tally, rows_of_batch, int(assembler.totals[st.CLOCK_STEPS]))
    _describe(imported, options, form, reader, tally, assembler, first_tick is not None)


def _nanoseconds(path: Path, ticks: np.ndarray, options: ReadOptions, tally: tl.Tally) -> np.ndarray:
    if options.tsc_ghz is None:
        raise UsageError(
            f"{path}: its times have no fraction, so they count the time-stamp counter's ticks; give its "
            f"rate with "
            "--tsc-ghz (1 where they are nanoseconds)"
        )
    if tally.counts[tl.TICKS] & 1:
        raise InputError(
            f"{path}: some of its times have a fraction and some have none; it is two recordings in one: "
            f"cut it apart"
        )
    return np.rint(ticks / options.tsc_ghz).astype(np.int64)


def _check(
    path: Path, form: TextFormat, reader: BlockReader, tally: tl.Tally, operations: int, steps: int
) -> None:
    lines = max(int(tally.counts[tl.LINES]), reader.overlong)
    bad = int(tally.counts[tl.BAD]) + reader.overlong
    if bad > MOST_BAD * lines:
        said = "; ".join(tally.bad_lines(reader.overlong, reader.overlong_first))
        raise InputError(
            f"{path}: wanted {form.what}, found {bad:,} of {lines:,} lines that are not ({said}); it is "
            "another format or damaged: give --format, or copy it again"
        )
    if steps > MOST_BAD * lines:
        raise InputError(
            f"{path}: {steps:,} of {lines:,} lines have times that go back, or lie more than "
            f"{3 * MAX_TIME_NS // 4 // 10**9 // 3600} hours after the first; sort it by time, or cut it up"
        )
    if not operations:
        ignored = ", ".join(list(tally.ignored())[:8])
        raise InputError(
            f"{path}: found no page fault and no copy of a file's page in {lines:,} lines"
            + (f" (events of no use here: {ignored})" if ignored else "")
            + f"; {form.to_record}"
        )


def _describe(
    imported: ImportedRows,
    options: ReadOptions,
    form: TextFormat,
    reader: BlockReader,
    tally: tl.Tally,
    assembler: Assembler,
    ticks: bool,
) -> None:
    totals = assembler.totals
    imported.rows_in = int(tally.counts[tl.LINES])
    if ticks:
        imported.clock = f"time-stamp counter at {options.tsc_ghz} GHz"
    lost = int(totals[st.LOST_COUNT])
    told = form.says_lost or totals[st.LOST_SAID] > 0
    imported.lost_events = lost if told and not totals[st.LOST_UNKNOWN] else None
    cpu = int(totals[st.LARGEST_CPU])
    imported.cpus = cpu + 1 if cpu >= 0 else None
    imported.columns = _provenance(form, totals, cpu >= 0, options.threads)
    counted = {
        "lost_events": lost,
        "gaps": totals[st.LOST_UNKNOWN],
        "bad_lines": tally.counts[tl.BAD] + reader.overlong,
        "cut_short": reader.cut_short,
        "clock_steps": totals[st.CLOCK_STEPS],
        "entries_without_exit": totals[st.ENTRIES_OPEN],
        "exits_without_entry": totals[st.EXITS_ALONE],
        "cut_by_end": totals[st.CUT_BY_END],
        "tasks_without_fork": totals[st.TASKS_UNBORN],
        "execs_by_name": totals[st.EXECS_BY_NAME],
        "descriptors_before": totals[st.FDS_BEFORE],
        "calls_without_pages": totals[st.NO_IDENTITY],
        "directory_reads": totals[st.DIRECTORIES],
        "switches_back": totals[st.SWITCHES_BACK],
        "rows_moved": totals[st.MOVED],
    }
    imported.losses = {name: int(count) for name, count in counted.items() if count}
    imported.notes = notes_of(
        totals, tally, reader, form.calls_only, options.threads, imported.lost_events is None
    )


def _provenance(
    form: TextFormat, totals: np.ndarray, cpu_known: bool, threads: bool
) -> dict[str, Provenance]:
    columns: dict[str, Provenance] = {
        "time_ns": "measured", "task": "measured", "process": "derived", "cpu": "measured",
        "kind": "measured", "page": "derived", "bytes": "derived", "think_ns": "derived",
        "wait_ns": "derived", "hold_ns": "derived", "block_ns": "derived", "depth": "derived",
    }  # fmt: skip
    # One such task is a process of its own whoever it is.
    if threads or totals[st.OWNERS_UNKNOWN] > 1:
        columns["process"] = "assumed"
    if not cpu_known:
        columns["cpu"] = "absent"
    # Faults and kernel reads have no end in the recording, and calls do not say when they copied.
    if form.calls_only or totals[st.FAULTS] or totals[st.KERNEL_READS]:
        columns["hold_ns"] = "assumed"
    # A fault has an event of its own; the pages of a copy divide what lies between two.
    if totals[st.COPIES]:
        columns["time_ns"] = "derived"
    if form.calls_only:
        columns |= {"block_ns": "assumed", "depth": "assumed"}
    return columns
