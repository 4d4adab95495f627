"""Exporting one run's log, or a window of it, to a file for another tool."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa

from pipeline.errors import InputError, UsageError, unknown_name
from pipeline.export.log_table import read_log, write_log
from pipeline.export.rows import Window, read_rows
from pipeline.export.timeline import Size, Timeline
from pipeline.io.files import complete_file
from pipeline.io.numbers import format_exact
from pipeline.io.progress import progress
from pipeline.runs.store import Run, find_runs
from pipeline.schema.manifest import KEPT_TABLES
from pipeline.sql.connection import default_memory
from pipeline.sql.session import Session

TIMELINES = ("perfetto", "chrome")
FORMATS = (*TIMELINES, "csv", "parquet")

# The Perfetto UI keeps a trace in the browser's memory; beyond this it gets slow, then fails.
LARGE_BYTES = 200_000_000

# What DuckDB may take; the rows are sorted on disk where that ends.
_MOST_MEMORY_MB = 1_000

# Round an operation, at least this much is shown on either side, and at least as long as it took.
AROUND_NS = 1_000_000


@dataclass(frozen=True)
class Exported:
    """What was written: `timeline` or `rows` of a table, in how many bytes; `window` is in ns."""

    path: Path
    window: Window
    timeline: Size | None
    rows: int
    size: int

    @property
    def text(self) -> str:
        """Return a one-line summary."""
        span = _span_text(*self.window)
        size = f"{self.size / 1e6:,.1f} MB" if self.size >= 1e5 else f"{self.size / 1e3:,.1f} kB"
        if (made := self.timeline) is None:
            return f"{self.path}: {self.rows:,} rows, {span}, {size}"
        cut = f", {made.cut:,} slices cut where they outlast what they lie in" if made.cut else ""
        return (
            f"{self.path}: {made.slices:,} slices on {made.tracks:,} tracks, {made.arrows:,} arrows, {span}"
            f"{cut}, {size}"
        )


def export(
    run: Path,
    form: str,
    output: Path,
    *,
    from_ms: float | None = None,
    to_ms: float | None = None,
    around_op: int | None = None,
    warn: Callable[[str], None] = lambda _: None,
) -> Exported:
    """Write the log of the one run at `run` to `output`, in one of FORMATS; a name ending in .gz compresses.

    A window is given by one or both of its ends in ms of simulated time, or by an operation, and includes
    everything that overlaps it. `warn` is called if a timeline lacks information because the run has no
    stretches, and once if the file exceeds LARGE_BYTES. Raises UsageError for an unknown format and an empty
    window, InputError for a run without a log, and OutputError if `output` cannot be written.
    """
    if form not in FORMATS:
        raise unknown_name("format", form, FORMATS)
    if form == "parquet" and output.suffix == ".gz":
        raise UsageError(f"{output}: Parquet is already compressed; name the file without .gz")
    found = _one_run(run)
    with Session([found], default_memory(_MOST_MEMORY_MB)) as session:
        window, whole = _window(session, found, from_ms, to_ms, around_op)
        part = None if whole else window
        metadata = _metadata(found, window)
        timeline, rows = None, 0
        with (
            progress("exporting", (window[1] - window[0]) // 1000, "us simulated") as advance,
            complete_file(output) as temporary,
        ):
            with _open_output(temporary, compressed=output.suffix == ".gz") as file:
                if form in TIMELINES:
                    if "stretches" not in KEPT_TABLES[found.manifest.events]:
                        warn(_without_stretches(found))
                    warn_once = _warner(window, file, warn)
                    batches = _watch(read_rows(session, part), "begin_ns", window, advance, warn_once)
                    timeline = _write_timeline(form, batches, window, file, metadata)
                else:
                    batches = _watch(read_log(session, part), "time_ns", window, advance)
                    rows = write_log(batches, form, file, metadata)
            # Of a timeline there is always the run's own slice.
            if (rows if timeline is None else timeline.slices + timeline.instants - 1) == 0:
                raise _nothing_in(window, found)
            size = temporary.stat().st_size
    return Exported(output, window, timeline, rows, size)


def _one_run(path: Path) -> Run:
    runs = find_runs([path])
    if len(runs) > 1:
        inside = ", ".join(found.directory.name for found in runs[:5])
        more = f" and {len(runs) - 5} more" if len(runs) > 5 else ""
        raise UsageError(f"{path}: expected one run, found {len(runs)}: {inside}{more}; give the path of one")
    (found,) = runs
    if not found.has_log:
        raise InputError(
            f"{found.directory}: expected a run with its log, found totals only; replay it with --events full"
        )
    return found


def _without_stretches(run: Run) -> str:
    """Describe what a timeline of the run lacks, with the command for a complete one."""
    made_by = run.manifest.command
    again = made_by if made_by.startswith("pipeline replay ") else "pipeline replay ..."
    return (
        f"{run.directory}: this run has no stretches, so the tracks of CPUs lack the use of mappings and the "
        "maps that slept; to include them, use\n"
        f"{again} --events stretches"
    )


def _window(
    session: Session, found: Run, from_ms: float | None, to_ms: float | None, around_op: int | None
) -> tuple[Window, bool]:
    """Return the window in ns, and whether it is the whole run."""
    if around_op is not None:
        if from_ms is not None or to_ms is not None:
            raise UsageError("give either --around-op or --from-ms and --to-ms, not both")
        return _surroundings(session, found, around_op), False
    first, last = _log_span(session, found)
    if from_ms is None and to_ms is None:
        return (first, last), True
    begin = first if from_ms is None else round(from_ms * 1e6)
    end = last if to_ms is None else round(to_ms * 1e6)
    if begin >= end:
        raise UsageError(f"expected a window that ends after it begins, found {_span_text(begin, end)}")
    if begin >= last or end <= first:
        raise _nothing_in((begin, end), found)
    return (max(begin, first), min(end, last)), False


def _surroundings(session: Session, found: Run, op: int) -> Window:
    rows = session.query("SELECT asked_ns, done_ns FROM operations WHERE op = $op", {"op": op}).rows()
    if not rows:
        span = session.query("SELECT min(op), max(op) FROM operations").row(0)
        has = f"its operations are {span[0]} to {span[1]}" if span[0] is not None else "it has none"
        raise UsageError(f"{found.directory}: no operation {op}; {has}")
    ((asked, done),) = rows
    around = max(AROUND_NS, done - asked)
    return max(0, asked - around), done + around


def _log_span(session: Session, found: Run) -> Window:
    """Return the first and last nanosecond of the log; answers to interrupts may come after the last map."""
    last = session.query("SELECT max(time_ns + duration_ns) FROM events").item() or 0
    return 0, max(found.manifest.totals.wall_ns, last, 1)


def _span_text(begin_ns: int, end_ns: int) -> str:
    return f"{format_exact(begin_ns, 'ms')} to {format_exact(end_ns, 'ms')} ms"


def _nothing_in(window: Window, found: Run) -> UsageError:
    return UsageError(
        f"nothing happened from {_span_text(*window)}; "
        f"the run lasts from {_span_text(0, found.manifest.totals.wall_ns)}"
    )


def _write_timeline(
    form: str, batches: Iterable[pa.RecordBatch], window: Window, file: IO[bytes], metadata: dict[str, Any]
) -> Size:
    from pipeline.export.chrome import ChromeWriter  # noqa: PLC0415
    from pipeline.export.perfetto import PerfettoWriter  # noqa: PLC0415

    writer = PerfettoWriter(file) if form == "perfetto" else ChromeWriter(file)
    name = f"{metadata['run']} on {metadata['machine']}: {metadata['trace']}"
    size = Timeline(writer, window).write(batches, name, metadata)
    writer.finish(metadata)
    return size


def _watch(
    batches: Iterable[pa.RecordBatch],
    time: str,
    window: Window,
    advance: Callable[[int], None],
    look: Callable[[int], None] = lambda _: None,
) -> Iterator[pa.RecordBatch]:
    """Pass on batches, whose rows come by the column `time`, and tell how far in time they are."""
    at = window[0]
    for batch in batches:
        yield batch
        if batch.num_rows:
            now = max(at, batch.column(time)[-1].as_py())
            advance((now - at) // 1000)
            at = now
            look(at)


def _warner(window: Window, file: IO[bytes], warn: Callable[[str], None]) -> Callable[[int], None]:
    """Return what looks at a moment of the window whether the file has grown large, and warns once."""
    first, last = window
    warned = False

    def look(at: int) -> None:
        nonlocal warned
        written = file.tell()
        if warned or written < LARGE_BYTES:
            return
        warned = True
        share = (at - first) / (last - first)
        fits_ms = (first + (at - first) * LARGE_BYTES / written) / 1e6
        warn(
            f"the file has {written / 1e6:,.0f} MB at {share:.0%} of the time, so about "
            f"{written / share / 1e6:,.0f} MB in total; the Perfetto UI slows down beyond "
            f"{LARGE_BYTES / 1e6:,.0f} MB; select a window with "
            f"--from-ms {first / 1e6:g} --to-ms {fits_ms:.3f} or --around-op N"
        )

    return look


@contextmanager
def _open_output(path: Path, compressed: bool) -> Iterator[IO[bytes]]:
    """Open a file for writing; its position is what a reader will have to hold."""
    with path.open("wb") as plain:
        if not compressed:
            yield plain
            return
        # No name and time in it: the same run gives the same file.
        with gzip.GzipFile("", "wb", compresslevel=5, fileobj=plain, mtime=0) as file:
            yield cast("IO[bytes]", file)


def _metadata(found: Run, window: Window) -> dict[str, Any]:
    """What was replayed on what, by which command, and which part of it is here."""
    m = found.manifest
    return {
        "run": m.label,
        "machine": m.machine.name,
        "cpus": m.machine.cpus,
        "trace": m.trace.name,
        "trace_sha256": m.trace.sha256,
        "loop": m.loop,
        "seed": m.seed,
        "command": m.command,
        "fingerprint": m.fingerprint,
        "findings": len(m.findings),
        "window_from_ns": window[0],
        "window_to_ns": window[1],
        "wall_ns": m.totals.wall_ns,
    }
