"""`pipeline claims`: the claims of March 2002, each replayed and judged."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def claims(
    letters: Annotated[
        list[str] | None,
        typer.Argument(metavar="[LETTER]...", help="Claims to replay, a to k; without any, all of them."),
    ] = None,
    document: Annotated[
        Path | None,
        typer.Option("--document", metavar="FILE", help="Write the verdicts here, as docs/claims.md is."),
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option(
            "--keep",
            metavar="DIR",
            help="Keep every workload, profile, trace and run here, for `pipeline sql` and others.",
        ),
    ] = None,
) -> None:
    """Replay what was claimed of the designs in 2002 and say of each claim whether it holds.

    Outcomes are holds, does not hold, and depends (with what on). The exit status tells only whether it ran.
    """
    from pipeline.studies.claims.claims_page import write_claims
    from pipeline.studies.claims.registry import chosen, judged

    claims = chosen(letters or [])
    if document is not None:
        typer.echo(str(write_claims(document, claims, keep)))
        return
    for verdict in judged(claims, keep):
        typer.echo(verdict.text())
