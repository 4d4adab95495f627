"""The claims by letter, judging some of them, and docs/claims.md."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.errors import unknown_name
from pipeline.io.files import complete_file
from pipeline.machine.profile import load_profile, shipped_profiles
from pipeline.studies.claims import (
    beside_pool,
    caching,
    mermap,
    one_cpu,
    per_cpu,
    pinned_slots,
    pool_size,
    simultaneous,
)
from pipeline.studies.experiment import assumed_costs
from pipeline.studies.runner import Runner, open_runner
from pipeline.studies.verdict import Table, Verdict

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
    "l": mermap.few_mappings_verdict,
    "m": mermap.own_flushes_verdict,
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


_HEAD = """# Claims

What A. Arcangeli, R. van Riel, M. J. Bligh and others said of the designs on linux-kernel in March 2002 and
soon after, and what is said of the mermap of 2026, put to the replay; [designs.md](designs.md) judges all
designs, later ones too. Written by `pipeline study claims --document docs/claims.md`, which makes every run
anew; texts and numbers are those of the runs that wrote it, and the same on every machine. The loop is closed
everywhere, and the seed 0, with more for replications where a claim says so. `pipeline study claims e`
replays one claim; `pipeline study claims --keep DIR` keeps the workload, profile, trace and run of every
experiment, each run with its command in `manifest.json`.

A claim *holds* or *does not hold* in everything that was tried, or it *depends*; then its text says on what.
Costs that nobody measured are named with the word "assumed" where they decide.
"""


def render_claims(verdicts: Sequence[Verdict]) -> str:
    """Text of the document: an overview, the verdicts, and what profiles assume."""
    parts = [
        _HEAD.rstrip(),
        Table.of(verdicts, {"claim": "claim", "outcome": lambda v: f"**{v.outcome}**"}).markdown(),
        "## The claims",
        *(v.markdown().rstrip() for v in verdicts),
        "## What the profiles assume",
        _tabulate_assumptions(),
        "`pipeline machines NAME` prints every cost with its value and source.",
    ]
    return "\n\n".join(parts) + "\n"


def _tabulate_assumptions() -> str:
    """The shipped profiles: how many of their costs have a source, and which are assumed."""
    return Table.of(
        shipped_profiles(),
        {
            "profile": str,
            "costs": lambda name: str(len(load_profile(name).costs)),
            "with a source": lambda name: str(len(load_profile(name).costs) - len(assumed_costs(name))),
            "assumed": lambda name: ", ".join(f"`{cost}`" for cost in assumed_costs(name)),
        },
    ).markdown()


def write_claims(path: Path, letters: Sequence[str], keep: Path | None = None) -> Path:
    """Replay the claims of these letters and write the document; takes some three minutes for all of them.

    Raises OutputError if it cannot be written.
    """
    with complete_file(Path(path)) as temporary:
        temporary.write_text(render_claims(list(judge_claims(letters, keep))), encoding="utf-8")
    return Path(path)
