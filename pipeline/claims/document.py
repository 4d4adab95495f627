"""docs/claims.md: every claim replayed anew and written down."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.allocators.registry import shipped_designs
from pipeline.claims.registry import judged
from pipeline.files import complete_file
from pipeline.machine.profile import load_profile, shipped_profiles
from pipeline.markdown import table
from pipeline.validation.verdict import Verdict

_HEAD = """# Claims of March 2002

What A. Arcangeli, R. van Riel, M. J. Bligh and others said of the designs on linux-kernel in March 2002, put
to the replay. Written by `pipeline claims --document docs/claims.md`, which makes every run anew; texts and
numbers are those of the runs that wrote it, and the same on every machine. Loop and seed are the same
everywhere: closed, 0. `pipeline claims e` replays one claim; `pipeline claims --keep DIR` keeps the workload,
profile, trace and run of every experiment, each run with its command in `manifest.json`.

A claim *holds* or *does not hold* in everything that was tried, or it *depends*; then its text says on what.
Costs that nobody measured are named with the word "assumed" where they decide.
"""

# What was said of designs that are not among the shipped ones, by design.
UNBUILT = {
    "per_process": "A pool in the process's own page tables needs no pinning and no global flush (R. van "
    "Riel; M. J. Bligh's UKVA)",
    "split_pool": "Flushing one half of the pool while slots are taken from the other keeps the flush out of "
    "the lock (M. J. Bligh)",
    "deferred_flush": "The global flush need not be made with the lock held (H. Dickins)",
    "percpu_cached": "A cache for each CPU needs only local flushes, for 4 bytes per CPU in every struct "
    "page (`page->virtual[NR_CPUS]`)",
    "epoch_pool": "A slot can be used again without a flush where the address space has been switched since "
    "(M. J. Bligh, July 2002)",
}


def claims_document(verdicts: Sequence[Verdict]) -> str:
    """Text of the document: an overview, the verdicts, what was not asked, and what profiles assume."""
    overview = table(("claim", "outcome"), [(v.claim, f"**{v.outcome}**") for v in verdicts])
    parts = [
        _HEAD.rstrip(),
        overview.rstrip(),
        "## The claims",
        *(v.markdown().rstrip() for v in verdicts),
        "## Not yet asked",
        unbuilt(),
        "## What the profiles assume",
        assumptions().rstrip(),
    ]
    return "\n\n".join(parts) + "\n"


def unbuilt() -> str:
    """Claims about designs that cannot be replayed yet; they are taken up when the design is there."""
    known = shipped_designs()
    missing = [f"- `{name}`: {claim}." for name, claim in UNBUILT.items() if name not in known]
    built = [f"- `{name}`: {claim}. Built, not yet put to the replay." for name, claim in UNBUILT.items()]
    present = [line for name, line in zip(UNBUILT, built, strict=True) if name in known]
    lead = "These claims need designs that are not built yet, and are taken up when they are:"
    return "\n".join([*([lead, "", *missing] if missing else []), *present])


def assumptions() -> str:
    """Table of the shipped profiles: how many of their costs have a source, and which are assumed."""
    rows = []
    for name in shipped_profiles():
        costs = load_profile(name).costs
        assumed = [f"`{cost}`" for cost, priced in costs.items() if priced.source.startswith("assumed")]
        rows.append((name, str(len(costs)), str(len(costs) - len(assumed)), ", ".join(assumed)))
    note = "`pipeline machines NAME` prints every cost with its value and source."
    return table(("profile", "costs", "with a source", "assumed"), rows) + f"\n{note}\n"


def write_claims(path: Path, letters: Sequence[str], keep: Path | None = None) -> Path:
    """Replay the claims of these letters and write the document; takes about a minute for all of them.

    Raises OutputError if it cannot be written.
    """
    with complete_file(Path(path)) as temporary:
        temporary.write_text(claims_document(list(judged(letters, keep))), encoding="utf-8")
    return Path(path)
