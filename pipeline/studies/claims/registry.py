"""The claims by letter, and judging some of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.errors import unknown_name
from pipeline.studies.claims import (
    beside_pool,
    caching,
    one_cpu,
    per_cpu,
    pinned_slots,
    pool_size,
    simultaneous,
)
from pipeline.studies.runner import Runner, open_runner
from pipeline.studies.verdict import Verdict

CLAIMS: dict[str, Callable[[Runner], Verdict]] = {
    "a": simultaneous.verdict,
    "b": caching.verdict,
    "c": pinned_slots.verdict,
    "d": pool_size.verdict,
    "e": per_cpu.verdict,
    "f": one_cpu.verdict,
    "g": beside_pool.PROCESS_POOL.verdict,
    "h": beside_pool.SPLIT_POOL.verdict,
    "i": beside_pool.DEFERRED_FLUSH.verdict,
    "j": beside_pool.CPU_CACHE.verdict,
    "k": beside_pool.EPOCHS.verdict,
}


def select_claims(letters: Sequence[str]) -> tuple[str, ...]:
    """Return the claims of these letters, in order and each once; all of them if there are none.

    Raises UsageError for a letter that is no claim's.
    """
    for letter in letters:
        if letter.lower() not in CLAIMS:
            raise unknown_name("claim", letter, CLAIMS)
    wanted = {letter.lower() for letter in letters}
    return tuple(letter for letter in CLAIMS if not wanted or letter in wanted)


def judge_claims(letters: Sequence[str], keep: Path | None = None) -> Iterator[Verdict]:
    """Replay claims one after another; yield the verdict of each, its claim headed by its letter.

    Traces and runs are made in `keep`, where they stay, or in a directory that is removed at the end. Raises
    OutputError if `keep` is no directory and cannot be made one.
    """
    with open_runner("replaying claims", keep) as runner:
        for letter in letters:
            verdict = CLAIMS[letter](runner)
            yield replace(verdict, claim=f"({letter}) {verdict.claim}")
