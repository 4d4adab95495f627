"""docs/claims.md: every claim replayed anew and written down."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.io.files import complete_file
from pipeline.io.tables import markdown_table
from pipeline.machine.profile import load_profile, shipped_profiles
from pipeline.studies.claims.registry import judge_claims
from pipeline.studies.experiment import assumed_costs
from pipeline.studies.verdict import Verdict

_HEAD = """# Claims of 2002

What A. Arcangeli, R. van Riel, M. J. Bligh and others said of the designs on linux-kernel in March 2002 and
soon after, put to the replay; [designs.md](designs.md) judges all designs, later ones too. Written by
`pipeline study claims --document docs/claims.md`, which makes every run anew; texts and numbers are those of
the runs that wrote it, and the same on every machine. Loop and seed are the same everywhere: closed, 0.
`pipeline study claims e` replays one claim; `pipeline study claims --keep DIR` keeps the workload, profile,
trace and run of every experiment, each run with its command in `manifest.json`.

A claim *holds* or *does not hold* in everything that was tried, or it *depends*; then its text says on what.
Costs that nobody measured are named with the word "assumed" where they decide.
"""


def claims_document(verdicts: Sequence[Verdict]) -> str:
    """Text of the document: an overview, the verdicts, and what profiles assume."""
    overview = markdown_table(("claim", "outcome"), [(v.claim, f"**{v.outcome}**") for v in verdicts])
    parts = [
        _HEAD.rstrip(),
        overview.rstrip(),
        "## The claims",
        *(v.markdown().rstrip() for v in verdicts),
        "## What the profiles assume",
        assumptions().rstrip(),
    ]
    return "\n\n".join(parts) + "\n"


def assumptions() -> str:
    """Table of the shipped profiles: how many of their costs have a source, and which are assumed."""
    rows = []
    for name in shipped_profiles():
        costs, assumed = load_profile(name).costs, assumed_costs(name)
        named = ", ".join(f"`{cost}`" for cost in assumed)
        rows.append((name, str(len(costs)), str(len(costs) - len(assumed)), named))
    note = "`pipeline machines NAME` prints every cost with its value and source."
    return markdown_table(("profile", "costs", "with a source", "assumed"), rows) + f"\n{note}\n"


def write_claims(path: Path, letters: Sequence[str], keep: Path | None = None) -> Path:
    """Replay the claims of these letters and write the document; takes about two minutes for all of them.

    Raises OutputError if it cannot be written.
    """
    with complete_file(Path(path)) as temporary:
        temporary.write_text(claims_document(list(judge_claims(letters, keep))), encoding="utf-8")
    return Path(path)
