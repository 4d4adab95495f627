"""Convert text into rows: read blocks of lines and their events, assemble operations, check the result."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import polars as pl

from pipeline.errors import InputError, UsageError
from pipeline.importing.importer import ImportedRows, ReadOptions
from pipeline.importing.reconstruct.assembler import Assembler, Rows
from pipeline.importing.reconstruct.event_loop import assemble
from pipeline.importing.text.blocks import BlockReader, read_head
from pipeline.importing.text.lines import FARTHEST_NS, split_lines
from pipeline.importing.text.notes import describe_rows
from pipeline.importing.text.tally import Tally, name_counts
from pipeline.io.files import readable_file
from pipeline.jit.loops import has_to_compile
from pipeline.schema.trace import MAX_TIME_NS
from pipeline.schema.trace_metadata import Provenance
from pipeline.trace.lock_text import say_no_trace

# With a larger fraction of unknown lines, the text has another format.
MOST_BAD = 0.01
# Bytes examined to detect the format; the second size only if the first has no event.
_SNIFFED_BYTES = (1 << 16, 1 << 22)


# A time-stamp counter has more ticks than this between events, on average.
_FEWEST_TICKS = 8
# Times that are all multiples of this are from the trace clock 'uptime', which counts the kernel's ticks.
_COARSE_NS = 1_000_000
_SOFTWARE_FAULTS = ("page-faults", "faults", "minor-faults", "major-faults")


class TextReader(Protocol):
    """Converts lines of a text format into events."""

    @property
    def mistakes(self) -> Mapping[str, str]:
        """Regular expressions of lines that result from a mistake in recording, and the advice for each."""

    def has_events(self, lines: pl.Series) -> bool:
        """Return whether one of the lines can be an event of the format."""

    def read(self, lines: pl.Series, tally: Tally) -> np.ndarray:
        """Return the events (`events.EVENT`) of a block of lines, in order; count all lines in `tally`."""


@dataclass(frozen=True)
class TextFormat:
    """A text format.

    reader: creates the reader of a text.
    what, recorder, clock: descriptions of the text, for errors and metadata.
    calls_only: the text contains system calls, but no page lookups or scheduler events.
    says_lost: a text without a report of lost events lost none.
    to_record: advice for a text without usable events.
    has, has_not: bytes that such a text must, or must not, contain near its start.
    """

    reader: Callable[[], TextReader]
    what: str
    recorder: str
    clock: str
    calls_only: bool
    says_lost: bool
    to_record: str
    has: re.Pattern[bytes] = re.compile(b"")
    has_not: re.Pattern[bytes] = re.compile(rb"[^\0-\xff]")

    def fits(self, path: Path) -> bool:
        """Return whether one of the first lines of the file at `path` can be an event of this format."""
        for size in _SNIFFED_BYTES:
            head = read_head(path, size)
            if not head or not self.has.search(head) or self.has_not.search(head):
                return False
            lines = split_lines(np.frombuffer(head + b"\n", np.uint8))
            if self.reader().has_events(lines):
                return True
            if len(head) < size:
                break
        return False

    def explain(self, path: Path) -> str | None:
        """Return advice if a known mistake in recording made most of the first lines unusable, else None."""
        head = read_head(path, _SNIFFED_BYTES[0])
        lines = split_lines(np.frombuffer(head + b"\n", np.uint8))
        lines = lines.filter(lines.str.contains(r"^[^#\s]|^\s+\S"))
        for regex, advice in self.reader().mistakes.items():
            if 2 * lines.str.contains(regex).sum() > len(lines):
                return advice
        return None

    def read(self, path: Path, options: ReadOptions) -> ImportedRows:
        """Read the text at `path` in pieces; the result is complete after the last piece.

        Raises InputError if the text cannot be read, more than MOST_BAD of its lines are unknown, or it has
        no operation. Raises UsageError if times are ticks and their frequency is not given.
        """
        readable_file(path, self.what)
        if has_to_compile(assemble):
            print("compiling the importer on first use, about 8 s ...", file=sys.stderr)
        return _Reading(path, options, self).imported


class _Reading:
    """A text that is being read; `imported` is complete after its last batch."""

    def __init__(self, path: Path, options: ReadOptions, form: TextFormat) -> None:
        self.path, self.options, self.form = path, options, form
        self.blocks, self.reader, self.tally = BlockReader(path), form.reader(), Tally()
        self.assembler = Assembler(
            options.threads, options.page_bytes, options.page_table_span_bytes, self._to_nanoseconds
        )
        self.first_tick: int | None = None
        # Greatest common divisor of all times so far, 0 at the start.
        self.step_ns = 0
        self.imported = ImportedRows(
            rows={}, columns={}, clock=form.clock, recorder=form.recorder, rows_in=0, batches=self._batches()
        )

    def _batches(self) -> Iterator[Rows]:
        found = False
        for rows in self._assemble():
            found = True
            yield rows
        self._check(found)
        self._describe()

    def _assemble(self) -> Iterator[Rows]:
        tally = self.tally
        for block in self.blocks.blocks():
            # Skipped lines count too, because line numbers refer to the file.
            tally.lines = self.blocks.lines_before
            lines = split_lines(block)
            events = self.reader.read(lines, tally)
            hopeless = tally.find_hopeless()
            if hopeless is not None:
                tally.lines = hopeless + 1
                yield from self.assembler.take(events[events["line"] <= hopeless])
                break
            tally.lines += len(lines)
            yield from self.assembler.take(events)
        yield from self.assembler.finish()

    def _to_nanoseconds(self, events: np.ndarray) -> None:
        """Convert the times of a group of events to ns, and check that all have the same unit."""
        # Only lines up to the last of these events matter: later lines may not have been read.
        line = int(events["line"].max(initial=-1))
        if self.tally.first_ticks <= line:
            self._convert_ticks(events["time"], line)
        self.step_ns = int(np.gcd(self.step_ns, np.gcd.reduce(np.maximum(events["time"], 0), initial=0)))

    def _convert_ticks(self, times: np.ndarray, line: int) -> None:
        if self.tally.first_seconds <= line:
            raise InputError(
                f"{self.path}: some times have a fraction and others do not, so the file contains two "
                "recordings; split it"
            )
        said = times[times >= 0]
        if self.first_tick is None and len(said) > 1 and np.ptp(said) < _FEWEST_TICKS * len(said):
            raise InputError(
                f"{self.path}: the times are from the trace clock 'counter', which counts events; record "
                "again with 'echo mono > /sys/kernel/tracing/trace_clock', or trace-cmd record -C mono"
            )
        if self.options.tsc_ghz is None:
            raise UsageError(
                f"{self.path}: the times have no fraction, so they are ticks of the time-stamp counter; give "
                "its frequency with --tsc-ghz (1 if the times are nanoseconds)"
            )
        if self.first_tick is None and len(said):
            self.first_tick = int(said[0])
        in_ns = np.rint((times - (self.first_tick or 0)) / self.options.tsc_ghz)
        times[:] = np.clip(in_ns, -FARTHEST_NS, FARTHEST_NS)

    def _check(self, found: bool) -> None:
        blocks, tally = self.blocks, self.tally
        lines = max(tally.lines, blocks.overlong)
        unknown = tally.unknown + blocks.overlong
        if unknown > MOST_BAD * lines:
            if advice := self.form.explain(self.path):
                raise InputError(f"{self.path}: {advice}")
            listed = "; ".join([*tally.quotes(), *self._overlong()])
            raise InputError(
                f"{self.path}: expected {self.form.what}, but {unknown:,} of {lines:,} lines do not match "
                f"({listed}); the file has another format or is damaged: give --format, or copy it again"
            )
        steps = int(self.assembler.totals.clock_steps)
        if steps > MOST_BAD * lines:
            raise InputError(
                f"{self.path}: {steps:,} of {lines:,} lines have times that go backwards, or are more than "
                f"{3 * MAX_TIME_NS // 4 // 10**9 // 3600} hours after the first; sort the lines by time, or "
                "split the file"
            )
        if not found:
            if any(name.startswith("contention_") for name in tally.ignored):
                raise InputError(f"{self.path}: this {say_no_trace('contention', self.path)}")
            passed = {"ignored events": tally.ignored, "not read": tally.unread}
            listed = "; ".join(f"{what}: {name_counts(counts)}" for what, counts in passed.items() if counts)
            if any(name in tally.ignored for name in _SOFTWARE_FAULTS):
                listed += "; the software event page-faults lacks the address"
            raise InputError(
                f"{self.path}: found no page fault and no copy of a file's page in {lines:,} lines"
                + (f" ({listed})" if listed else "")
                + f"; {self.form.to_record}"
            )

    def _advise(self) -> Iterator[str]:
        """Yield advice for a better recording."""
        totals, calls_only = self.assembler.totals, self.form.calls_only
        if totals.largest_cpu < 0 and not calls_only:
            yield "the recording lacks CPU numbers; add cpu to -F of perf script"
        if self.step_ns >= _COARSE_NS and totals.switches and not calls_only:
            yield (
                f"the times have a resolution of {self.step_ns / _COARSE_NS:g} ms, as with the trace clock "
                "'uptime', which is too coarse for durations; record with the clock mono"
            )

    def _overlong(self) -> list[str]:
        first = self.blocks.overlong_first
        return [f"line {first:,}: longer than any recorder writes"] if first else []

    def _describe(self) -> None:
        totals, imported, tally = self.assembler.totals, self.imported, self.tally
        imported.rows_in = tally.lines
        if self.first_tick is not None:
            imported.clock = f"time-stamp counter at {self.options.tsc_ghz} GHz"
        if (self.form.says_lost or totals.lost_said > 0) and not totals.lost_unknown:
            imported.lost_events = int(totals.lost_count)
        imported.cpus = int(totals.largest_cpu) + 1 if totals.largest_cpu >= 0 else None
        imported.columns = self._provenance()
        losses = {
            "lost_events": totals.lost_count,
            "gaps": totals.lost_unknown,
            "bad_lines": tally.unknown + self.blocks.overlong,
            "events_unread": tally.unread.total(),
            "cut_short": self.blocks.cut_short,
            "clock_steps": totals.clock_steps,
            "entries_without_exit": totals.entries_open,
            "exits_without_entry": totals.exits_alone,
            "cut_by_end": totals.cut_by_end,
            "tasks_without_fork": totals.tasks_unborn,
            "execs_by_name": totals.execs_by_name,
            "descriptors_before": totals.fds_before,
            "calls_without_pages": totals.no_identity,
            "directory_reads": totals.directories,
            "switches_back": totals.switches_back,
            "rows_moved": totals.moved,
        }
        imported.losses = {name: int(count) for name, count in losses.items() if count}
        imported.notes = [
            *describe_rows(totals, self.form.calls_only, self.options, imported.lost_events is None),
            *self._advise(),
            *tally.notes(),
            *(f"bad {said}" for said in self._overlong()),
        ]

    def _provenance(self) -> dict[str, Provenance]:
        totals, calls_only = self.assembler.totals, self.form.calls_only
        columns: dict[str, Provenance] = {
            "time_ns": "measured", "task": "measured", "process": "derived", "cpu": "measured",
            "kind": "measured", "page": "derived", "bytes": "derived", "think_ns": "derived",
            "wait_ns": "derived", "hold_ns": "derived", "block_ns": "derived", "depth": "derived",
        }  # fmt: skip
        # A single such task is a process in any case.
        if self.options.threads or totals.owners_unknown > 1:
            columns["process"] = "assumed"
        if totals.largest_cpu < 0:
            columns["cpu"] = "absent"
        # Faults and kernel reads have no recorded end, and calls do not record when they copied.
        if calls_only or totals.faults or totals.kernel_reads:
            columns["hold_ns"] = "assumed"
        # A fault has its own event; the pages of a copy divide the time between two events.
        if totals.copies:
            columns["time_ns"] = "derived"
        if calls_only:
            columns |= {"block_ns": "assumed", "depth": "assumed"}
        return columns
