"""The claims by letter, and judging some of them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from pipeline.errors import unknown_name
from pipeline.io.files import output_error
from pipeline.io.progress import progress
from pipeline.studies.claims import (
    caching,
    cpu_cache,
    epochs,
    flush_apart,
    one_cpu,
    per_cpu,
    pinned,
    pool_size,
    process_local,
    simultaneous,
)
from pipeline.studies.claims.bench import Bench
from pipeline.studies.claims.bench_verdict import Verdict

CLAIMS: dict[str, Callable[[Bench], Verdict]] = {
    "a": simultaneous.verdict,
    "b": caching.verdict,
    "c": pinned.verdict,
    "d": pool_size.verdict,
    "e": per_cpu.verdict,
    "f": one_cpu.verdict,
    "g": process_local.verdict,
    "h": flush_apart.verdict_split,
    "i": flush_apart.verdict_deferred,
    "j": cpu_cache.verdict,
    "k": epochs.verdict,
}


def chosen(letters: Sequence[str]) -> tuple[str, ...]:
    """Return the claims of these letters, in order and each once; all of them if there are none.

    Raises UsageError for a letter that is no claim's.
    """
    for letter in letters:
        if letter.lower() not in CLAIMS:
            raise unknown_name("claim", letter, CLAIMS)
    wanted = {letter.lower() for letter in letters}
    return tuple(letter for letter in CLAIMS if not wanted or letter in wanted)


def judged(letters: Sequence[str], keep: Path | None = None) -> Iterator[Verdict]:
    """Replay claims one after another; yield the verdict of each, its claim headed by its letter.

    Traces and runs are made in `keep`, where they stay, or in a directory that is removed at the end. Raises
    OutputError if `keep` is no directory and cannot be made one.
    """
    with ExitStack() as stack:
        advance = stack.enter_context(progress("replaying claims", None, "runs"))
        directory = _made(keep) if keep else Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for letter in letters:
            verdict = CLAIMS[letter](Bench(directory, advance))
            yield replace(verdict, claim=f"({letter}) {verdict.claim}")


def _made(directory: Path) -> Path:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(directory, error) from error
    return directory
