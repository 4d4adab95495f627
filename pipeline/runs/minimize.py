"""The shortest prefix of a trace that still shows what a replay found: the case to look at by hand.

A prefix shows a finding if its own replay, under the same conditions, ends with one of the same kind. It is
looked for from below, as a replay of few rows takes no time: prefixes of growing length until one shows it,
then halving between that and the longest that did not, then a few more below.

Whether a prefix shows it is not monotone in its length: a row that is left out changes when others get their
turn, so that a longer one may escape and a much shorter one may not. What is certain: the prefix that is
returned shows the finding, and the WALK prefixes next below it do not; fewer of them, at least one, if they
have more than WALK_ROWS rows together. Where it has no more rows than that, every shorter one was tried and
it is the shortest there is.
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

# The first length that is tried, what it grows by, how many lengths below the result are, and how many rows
# these may have together: those of a minute, or less.
FIRST = 64
GROWTH = 4
WALK = 64
WALK_ROWS = 40_000_000


@dataclass(frozen=True)
class Minimal:
    """A prefix that shows a finding: the trace, its run, and how far it is known to be the shortest."""

    path: Path
    rows: int
    of_rows: int
    run: RunResult
    finding: Finding
    below: int
    """How many of the prefixes next below it were tried too; `rows` - 1: all of them."""


def minimize(found: RunResult, config: RunConfig, say: Callable[[str], None]) -> Minimal | None:
    """Cut the trace of a run down to the rows that its first finding needs; None if it has no finding.

    `found` is the run that `config` makes. The prefix is written beside it, as RUN-minimal.parquet with a
    note of where it came from, and replayed there into a run of its own. `say` is called with each length
    that was tried and what came of it. Raises PipelineError as `execute` does; nothing but the run is kept
    then.
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
    assert finding is not None, "the same rows in the same conditions always end in the same way"
    return Minimal(path, rows, whole.rows, run, finding, _below(rows))


@contextmanager
def _scratch(found: RunResult) -> Iterator[Path]:
    """Yield a place beside the run for what is tried; it is gone afterwards."""
    directory = found.path.parent
    try:
        with ScratchDirectory(directory) as name:
            yield Path(name)
    except OSError as error:
        raise output_error(directory, error) from error
    except (KeyboardInterrupt, Interrupted):
        raise Interrupted(
            f"interrupted before the trace was minimal; the run is kept: {found.path}"
        ) from None


def _fewest(shows: Callable[[int], bool], most: int, report: Callable[[int, bool], None]) -> int:
    """The least length found to show it, of 1 to `most`, which does; none of the `_below` next to it does.

    `report` is called with what was tried; of what was tried below a result only with what was better.
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
        assert length < most, "the same rows in the same conditions always end in the same way"
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
    """How many lengths below `length` are tried."""
    return min(length - 1, WALK, max(WALK_ROWS // length, 1))


def _first(manifest: Manifest, kind: str) -> Finding | None:
    """The first finding of that kind."""
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
    """Say what the prefix is, which tasks and slots are in the finding, and how to replay it."""
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
            "replayed too, and none ends so",
            f"  {tasks}, {slots}: {finding.message}",
            f"  trace:  {minimal.path}",
            f"  run:    {minimal.run.path}",
            f"  replay: {minimal.run.manifest.command}",
        ]
    )
