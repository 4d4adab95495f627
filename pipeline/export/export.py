"""What `pipeline export` does: one run's log, whole or a window of it, into a file for another tool."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa

from pipeline.errors import InputError, UsageError, unknown_name
from pipeline.export.log_table import write_csv, write_parquet
from pipeline.export.slices import slices
from pipeline.export.timeline import Timeline, Told
from pipeline.io.files import complete_file
from pipeline.io.numbers import format_exact
from pipeline.io.progress import progress
from pipeline.runs.store import Run, find_runs
from pipeline.sql.session import Session

TIMELINES = ("perfetto", "chrome")
FORMATS = (*TIMELINES, "csv", "parquet")

# The Perfetto UI keeps a trace in the browser's memory; beyond this it gets slow, then fails.
LARGE_BYTES = 200_000_000

# What DuckDB may take; the rows are sorted on disk where that ends.
MEMORY_LIMIT = "1GB"

# Round an operation, at least this much is shown on either side, and at least as long as it took.
AROUND_NS = 1_000_000


@dataclass(frozen=True)
class Exported:
    """What was written: `told` of a timeline, `rows` of a table; `window` is in ns."""

    path: Path
    window: tuple[int, int]
    told: Told | None
    rows: int
    size: int

    @property
    def text(self) -> str:
        """One line for people."""
        span = _span_text(*self.window)
        size = f"{self.size / 1e6:,.1f} MB" if self.size >= 1e5 else f"{self.size / 1e3:,.1f} kB"
        if self.told is None:
            return f"{self.path}: {self.rows:,} rows, {span}, {size}"
        cut = f", {self.told.cut:,} slices cut where they outlast what they lie in" if self.told.cut else ""
        return (
            f"{self.path}: {self.told.slices:,} slices on {self.told.tracks:,} tracks, "
            f"{self.told.arrows:,} arrows, {span}{cut}, {size}"
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

    A window is given by its ends in ms of simulated time, either of them, or by an operation, whose
    surroundings it is. What reaches into the window is in it. `warn` is called once if the file grows beyond
    LARGE_BYTES. Raises UsageError for an unknown format and an empty window, InputError for a run without a
    log, OutputError where `output` cannot be written.
    """
    if form not in FORMATS:
        raise unknown_name("format", form, FORMATS)
    if form == "parquet" and output.suffix == ".gz":
        raise UsageError(f"{output}: Parquet is compressed already; name the file without .gz")
    found = _one_run(run)
    with Session([found], MEMORY_LIMIT) as session:
        window, whole = _window(session, found, from_ms, to_ms, around_op)
        metadata = _metadata(found, window)
        with (
            progress("exporting", (window[1] - window[0]) // 1000, "us simulated") as advance,
            complete_file(output) as temporary,
        ):
            told, rows = None, 0
            if form == "parquet":
                rows = write_parquet(session, None if whole else window, temporary, metadata, advance)
            else:
                with _opened(temporary, compressed=output.suffix == ".gz") as (file, written):
                    watched = _Watch(window, written, form, advance, warn)
                    if form == "csv":
                        rows = write_csv(session, None if whole else window, file, advance)
                    else:
                        told = _timeline(form, session, window, whole, file, metadata, watched)
            # Of a timeline there is always the run's own slice.
            if (rows if told is None else told.slices + told.instants - 1) == 0:
                raise _nothing_in(window, found)
            size = temporary.stat().st_size
    return Exported(output, window, told, rows, size)


def _one_run(path: Path) -> Run:
    runs = find_runs([path])
    if len(runs) > 1:
        inside = ", ".join(found.directory.name for found in runs[:5])
        more = f" and {len(runs) - 5} more" if len(runs) > 5 else ""
        raise UsageError(f"{path}: wanted one run, found {len(runs)}: {inside}{more}; give the path of one")
    (found,) = runs
    if not found.has_log:
        raise InputError(
            f"{found.directory}: wanted a run with its log, found totals only; replay it with --events full"
        )
    return found


def _window(
    session: Session, found: Run, from_ms: float | None, to_ms: float | None, around_op: int | None
) -> tuple[tuple[int, int], bool]:
    """Return the window in ns, and whether it is the whole run."""
    if around_op is not None:
        if from_ms is not None or to_ms is not None:
            raise UsageError("wanted either --around-op or --from-ms and --to-ms, found both")
        return _surroundings(session, found, around_op), False
    first, last = _span(session, found)
    if from_ms is None and to_ms is None:
        return (first, last), True
    begin = first if from_ms is None else round(from_ms * 1e6)
    end = last if to_ms is None else round(to_ms * 1e6)
    if begin >= end:
        raise UsageError(f"wanted a window that ends after it begins, found {_span_text(begin, end)}")
    if begin >= last or end <= first:
        raise _nothing_in((begin, end), found)
    return (max(begin, first), min(end, last)), False


def _surroundings(session: Session, found: Run, op: int) -> tuple[int, int]:
    rows = session.query("SELECT asked_ns, done_ns FROM operations WHERE op = $op", {"op": op}).rows()
    if not rows:
        span = session.query("SELECT min(op), max(op) FROM operations").row(0)
        has = f"its operations are {span[0]} to {span[1]}" if span[0] is not None else "it has none"
        raise UsageError(f"{found.directory}: no operation {op}; {has}")
    ((asked, done),) = rows
    around = max(AROUND_NS, done - asked)
    return max(0, asked - around), done + around


def _span(session: Session, found: Run) -> tuple[int, int]:
    """Return the first and last nanosecond of the log; answers to interrupts may come after the last map."""
    last = session.query("SELECT max(time_ns + duration_ns) FROM events").item() or 0
    return 0, max(found.manifest.totals.wall_ns, last, 1)


def _span_text(begin_ns: int, end_ns: int) -> str:
    return f"{format_exact(begin_ns, 'ms')} to {format_exact(end_ns, 'ms')} ms"


def _nothing_in(window: tuple[int, int], found: Run) -> UsageError:
    return UsageError(
        f"nothing happened from {_span_text(*window)}; "
        f"the run lasts from {_span_text(0, found.manifest.totals.wall_ns)}"
    )


def _timeline(
    form: str,
    session: Session,
    window: tuple[int, int],
    whole: bool,
    file: IO[bytes],
    metadata: dict[str, Any],
    watched: _Watch,
) -> Told:
    from pipeline.export.chrome import ChromeWriter  # noqa: PLC0415
    from pipeline.export.perfetto import PerfettoWriter  # noqa: PLC0415

    writer = PerfettoWriter(file) if form == "perfetto" else ChromeWriter(file)
    name = f"{metadata['run']} on {metadata['machine']}: {metadata['trace']}"
    rows = watched(slices(session, None if whole else window))
    told = Timeline(writer, window).play(rows, name, metadata)
    writer.finish(metadata)
    return told


class _Watch:
    """Passes rows on, tells how far in time they are, and warns once when the file has grown large."""

    def __init__(
        self,
        window: tuple[int, int],
        written: Callable[[], int],
        form: str,
        advance: Callable[[int], None],
        warn: Callable[[str], None],
    ) -> None:
        self._window, self._written, self._form = window, written, form
        self._advance, self._warn = advance, warn
        self._warned = False

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield `batches`, whose rows come by begin."""
        at = self._window[0]
        for batch in batches:
            yield batch
            now = max(at, batch.column("begin_ns")[-1].as_py())
            self._advance((now - at) // 1000)
            at = now
            self._look(at)

    def _look(self, at: int) -> None:
        written = self._written()
        if self._warned or written < LARGE_BYTES:
            return
        self._warned = True
        first, last = self._window
        share = (at - first) / (last - first)
        fits_ms = (first + (at - first) * LARGE_BYTES / written) / 1e6
        self._warn(
            f"the file has {written / 1e6:,.0f} MB at {share:.0%} of the time, so about "
            f"{written / share / 1e6:,.0f} MB in all; the Perfetto UI slows down beyond "
            f"{LARGE_BYTES / 1e6:,.0f} MB: cut a window with "
            f"--from-ms {first / 1e6:g} --to-ms {fits_ms:.3f} or --around-op N"
        )


@contextmanager
def _opened(path: Path, compressed: bool) -> Iterator[tuple[IO[bytes], Callable[[], int]]]:
    """Open for writing; also what says how many bytes a reader will have to hold."""
    with path.open("wb") as plain:
        if not compressed:
            yield plain, plain.tell
            return
        # No name and time in it: the same run gives the same file.
        with gzip.GzipFile("", "wb", compresslevel=5, fileobj=plain, mtime=0) as file:
            yield cast("IO[bytes]", file), file.tell


def _metadata(found: Run, window: tuple[int, int]) -> dict[str, Any]:
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
