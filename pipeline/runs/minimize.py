"""Finding the shortest prefix of a trace whose replay still ends with a finding, to examine it by hand.

A prefix shows a finding if its replay under the same conditions ends with a finding of the same kind. The
search starts with short prefixes, which replay quickly. It tries prefixes of growing length until one shows
the finding, bisects between that and the longest that did not, and then tries a few shorter ones.

Whether a prefix shows the finding is not monotone in its length, as leaving out a row changes the schedule of
others. The returned prefix shows the finding, and the WALK next shorter prefixes do not. These are fewer, but
at least one, if they have more than WALK_ROWS rows in total. If the prefix has at most WALK + 1 rows, every
shorter one was tried.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.errors import Interrupted
from pipeline.io.files import output_error
from pipeline.io.numbers import format_count
from pipeline.io.scratch import ScratchDirectory
from pipeline.runs.execute import execute
from pipeline.runs.finished import RunResult
from pipeline.runs.plan import RunConfig
from pipeline.schema.manifest import Finding, Manifest
from pipeline.trace.names import trace_path
from pipeline.trace.prefix import write_prefix
from pipeline.trace.reader import Trace, open_trace

# The first length, the growth factor, the number of lengths tried below the result, and their largest total
# number of rows, which take at most a minute.
FIRST = 64
GROWTH = 4
WALK = 64
WALK_ROWS = 40_000_000


@dataclass(frozen=True)
class Minimal:
    """A prefix that shows a finding: the trace, its run, and the number of shorter prefixes tried."""

    path: Path
    rows: int
    of_rows: int
    run: RunResult
    finding: Finding
    below: int
    """Number of next shorter prefixes that were tried; `rows` - 1 means all."""


def minimize(found: RunResult, config: RunConfig, say: Callable[[str], None]) -> Minimal | None:
    """Find the shortest prefix of a run's trace that shows its first finding; None without a finding.

    `found` is the run of `config`. The prefix is written next to it as RUN-minimal.parquet, with a note of
    its origin, and its replay becomes a run in the same place. `say` is called with each length tried and its
    result. Raises PipelineError as `execute` does; then only the run is kept.
    """
    if not found.manifest.findings:
        return None
    kind = found.manifest.findings[0].finding
    directory = found.path.parent
    whole = open_trace(trace_path(config.trace))
    again = replace(config, output=directory, command=None, fresh=False)
    with _scratch(found) as scratch:

        def shows(rows: int) -> bool:
            prefix = scratch / "prefix.parquet"
            write_prefix(whole, rows, prefix, "tried for its length")
            run = execute(replace(again, trace=prefix, events="none", output=scratch))
            return _first(run.manifest, kind) is not None

        def report(rows: int, met: bool) -> None:
            say(f"  first {rows:,} of {whole.rows:,} rows: {kind if met else f'no {kind}'}")

        rows = _fewest(shows, whole.rows, report)
    path = directory / f"{found.path.name}-minimal.parquet"
    write_prefix(whole, rows, path, _note(whole, rows, found.manifest, kind))
    run = execute(replace(again, trace=path))
    finding = _first(run.manifest, kind)
    assert finding is not None, "the same rows under the same conditions give the same result"
    return Minimal(path, rows, whole.rows, run, finding, _below(rows))


@contextmanager
def _scratch(found: RunResult) -> Iterator[Path]:
    """Yield a temporary directory next to the run."""
    directory = found.path.parent
    try:
        with ScratchDirectory(directory) as name:
            yield Path(name)
    except OSError as error:
        raise output_error(directory, error) from error
    except (KeyboardInterrupt, Interrupted):
        raise Interrupted(f"interrupted while minimizing the trace; the run is kept: {found.path}") from None


def _fewest(shows: Callable[[int], bool], most: int, report: Callable[[int, bool], None]) -> int:
    """Return the smallest length found that shows the finding, at most `most`, which must show it.

    None of the `_below` next shorter lengths shows it. `report` is called with each length tried; below a
    result, only with lengths that show the finding.
    """
    known: dict[int, bool] = {}

    def try_length(length: int, quiet: bool = False) -> bool:
        if length not in known:
            known[length] = shows(length)
            if known[length] or not quiet:
                report(length, known[length])
        return known[length]

    length = min(FIRST, most)
    while not try_length(length):
        assert length < most, "the same rows under the same conditions give the same result"
        length = min(length * GROWTH, most)
    while True:
        without = max((n for n, met in known.items() if not met and n < length), default=0)
        while length - without > 1:
            middle = (without + length) // 2
            if try_length(middle):
                length = middle
            else:
                without = middle
        below = range(length - 1, length - 1 - _below(length), -1)
        better = next((shorter for shorter in below if try_length(shorter, quiet=True)), None)
        if better is None:
            return length
        length = better


def _below(length: int) -> int:
    """Return the number of lengths below `length` to try."""
    return min(length - 1, WALK, max(WALK_ROWS // length, 1))


def _first(manifest: Manifest, kind: str) -> Finding | None:
    """Return the first finding of that kind."""
    return next((finding for finding in manifest.findings if finding.finding == kind), None)


def _note(whole: Trace, rows: int, manifest: Manifest, kind: str) -> str:
    machine = manifest.machine
    return (
        f"the first {rows:,} of {whole.rows:,} rows of {whole.path.name} (sha256 {manifest.trace.sha256}), "
        f"the fewest found that end with a finding of {kind}: {manifest.label} on {machine.name} with "
        f"{machine.cpus} CPUs, {manifest.loop} loop, seed {manifest.seed}"
        + (f", jitter {manifest.jitter_percent:g} %" if manifest.jitter_percent else "")
    )


def minimal_lines(minimal: Minimal) -> str:
    """Describe the prefix, the tasks and slots of its finding, and the command to replay it."""
    finding = minimal.finding
    tried = (
        "the shortest: every shorter prefix was"
        if minimal.below == minimal.rows - 1
        else f"the next shorter ones ({minimal.below}) were"
    )
    tasks, slots = format_count(len(finding.tasks), "task"), format_count(len(finding.slots), "slot")
    return "\n".join(
        [
            f"{finding.finding} in the first {minimal.rows:,} of {minimal.of_rows:,} rows; {tried} "
            "also replayed, and none shows it",
            f"  {tasks}, {slots}: {finding.message}",
            f"  trace:  {minimal.path}",
            f"  run:    {minimal.run.path}",
            f"  replay: {minimal.run.manifest.command}",
        ]
    )
