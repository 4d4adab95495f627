"""From text to rows: blocks, a scanner, the assembler, and what to say of the result."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.errors import InputError, UsageError
from pipeline.importing.importer import ImportedRows, ReadOptions
from pipeline.importing.reconstruct.assembler import Assembler, Rows
from pipeline.importing.reconstruct.event_loop import assemble
from pipeline.importing.text.blocks import BlockReader
from pipeline.importing.text.notes import describe_rows
from pipeline.importing.text.tally import Scanner, Tally
from pipeline.io.files import readable_file
from pipeline.jit.loops import has_to_compile
from pipeline.schema.trace import MAX_TIME_NS, Provenance

# More bad lines than this and the text is something else than it was taken for.
MOST_BAD = 0.01


@dataclass(frozen=True)
class TextFormat:
    """What importing needs to know of a text format.

    `calls_only` says that it sees calls but neither pages nor the scheduler; `says_lost` that a text without
    a word of lost events lost none. `to_record` is what to do when nothing of use is in it.
    """

    scanner: Scanner
    what: str
    recorder: str
    clock: str
    calls_only: bool
    says_lost: bool
    to_record: str

    def read(self, path: Path, options: ReadOptions) -> ImportedRows:
        """Read the text at `path`, which is of this format, in pieces; complete once they are read.

        Raises InputError when it cannot be read, when more than MOST_BAD of its lines are bad, and when no
        operation is found; UsageError when its times are ticks of a counter whose rate is not given.
        """
        readable_file(path, self.what)
        if has_to_compile(assemble):
            print("compiling the importer for the first time, about 20 s ...", file=sys.stderr)
        return _Reading(path, options, self).imported


class _Reading:
    """One text that is being read; `imported` is filled in when its batches have been consumed."""

    def __init__(self, path: Path, options: ReadOptions, form: TextFormat) -> None:
        self.path, self.options, self.form = path, options, form
        self.reader, self.tally = BlockReader(path), Tally(form.scanner)
        self.assembler = Assembler(options.threads)
        self.first_tick: int | None = None
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
        counts, tables = self.tally.counts, self.tally.tables
        for block in self.reader.blocks():
            # Lines that were left out whole count too: the numbers are those of the file.
            counts.lines = self.reader.lines_before
            events = self.tally.scan(block)
            if counts.ticks & 2 and events:
                self._convert_ticks(tables.events.time[:events])
            yield from self.assembler.take(tables, events)
            if counts.bad > 10_000 and counts.bad * 2 > counts.lines:
                break
        yield from self.assembler.finish()

    def _convert_ticks(self, times: np.ndarray) -> None:
        if self.options.tsc_ghz is None:
            raise UsageError(
                f"{self.path}: its times have no fraction, so they count the time-stamp counter's ticks; "
                "give its rate with --tsc-ghz (1 where they are nanoseconds)"
            )
        if self.tally.counts.ticks & 1:
            raise InputError(
                f"{self.path}: some of its times have a fraction and some have none; it is two recordings in "
                "one: cut it apart"
            )
        if self.first_tick is None:
            self.first_tick = int(times[0])
        times[:] = np.rint((times - self.first_tick) / self.options.tsc_ghz)

    def _check(self, found: bool) -> None:
        reader, counts = self.reader, self.tally.counts
        lines = max(int(counts.lines), reader.overlong)
        bad = int(counts.bad) + reader.overlong
        if bad > MOST_BAD * lines:
            listed = "; ".join(self.tally.bad_lines(reader.overlong, reader.overlong_first))
            raise InputError(
                f"{self.path}: wanted {self.form.what}, found {bad:,} of {lines:,} lines that are not "
                f"({listed}); it is another format or damaged: give --format, or copy it again"
            )
        steps = int(self.assembler.totals.clock_steps)
        if steps > MOST_BAD * lines:
            raise InputError(
                f"{self.path}: {steps:,} of {lines:,} lines have times that go back, or lie more than "
                f"{3 * MAX_TIME_NS // 4 // 10**9 // 3600} hours after the first; sort it by time, or cut it "
                "up"
            )
        if not found:
            ignored = ", ".join(list(self.tally.count_ignored())[:8])
            raise InputError(
                f"{self.path}: found no page fault and no copy of a file's page in {lines:,} lines"
                + (f" (events of no use here: {ignored})" if ignored else "")
                + f"; {self.form.to_record}"
            )

    def _describe(self) -> None:
        totals, imported, counts = self.assembler.totals, self.imported, self.tally.counts
        imported.rows_in = int(counts.lines)
        if self.first_tick is not None:
            imported.clock = f"time-stamp counter at {self.options.tsc_ghz} GHz"
        if (self.form.says_lost or totals.lost_said > 0) and not totals.lost_unknown:
            imported.lost_events = int(totals.lost_count)
        imported.cpus = int(totals.largest_cpu) + 1 if totals.largest_cpu >= 0 else None
        imported.columns = self._provenance()
        losses = {
            "lost_events": totals.lost_count,
            "gaps": totals.lost_unknown,
            "bad_lines": counts.bad + self.reader.overlong,
            "cut_short": self.reader.cut_short,
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
        imported.notes = describe_rows(
            totals, self.form.calls_only, self.options.threads, imported.lost_events is None
        ) + self.tally.notes(self.reader.overlong, self.reader.overlong_first)

    def _provenance(self) -> dict[str, Provenance]:
        totals, calls_only = self.assembler.totals, self.form.calls_only
        columns: dict[str, Provenance] = {
            "time_ns": "measured", "task": "measured", "process": "derived", "cpu": "measured",
            "kind": "measured", "page": "derived", "bytes": "derived", "think_ns": "derived",
            "wait_ns": "derived", "hold_ns": "derived", "block_ns": "derived", "depth": "derived",
        }  # fmt: skip
        # One such task is a process of its own whoever it is.
        if self.options.threads or totals.owners_unknown > 1:
            columns["process"] = "assumed"
        if totals.largest_cpu < 0:
            columns["cpu"] = "absent"
        # Faults and kernel reads have no end in the recording, and calls do not say when they copied.
        if calls_only or totals.faults or totals.kernel_reads:
            columns["hold_ns"] = "assumed"
        # A fault has an event of its own; the pages of a copy divide what lies between two.
        if totals.copies:
            columns["time_ns"] = "derived"
        if calls_only:
            columns |= {"block_ns": "assumed", "depth": "assumed"}
        return columns
