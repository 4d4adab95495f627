"""`python -m tests.campaigns`: run campaigns for a given time, print what they tried and found.

Exit status 1 means that a promise was broken; inputs that show it are kept in `--keep`.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import secrets
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import tests.campaigns
from tests.campaigns.document import write_counts
from tests.campaigns.result import CampaignResult


@dataclass(frozen=True)
class Campaign:
    """A campaign's function, and how many minutes of an hour it needs for its usual number of tries."""

    run: Callable[[float, int, Path], CampaignResult]
    minutes: float


def campaigns() -> dict[str, Campaign]:
    """All campaigns by name: the modules of this package with a function `run` and a number `MINUTES`."""
    names = [found.name for found in pkgutil.iter_modules(tests.campaigns.__path__)]
    names = [name for name in names if not name.startswith(("_", "test_"))]
    modules = {name: importlib.import_module(f"tests.campaigns.{name}") for name in names}
    return {
        name: Campaign(module.run, module.MINUTES)
        for name, module in modules.items()
        if hasattr(module, "run")
    }


def run_all(chosen: dict[str, Campaign], budget_s: float, seed: int, keep: Path) -> list[CampaignResult]:
    """Run campaigns one after another; the time that is left is divided in proportion to their `minutes`."""
    end_s = time.monotonic() + budget_s
    results: list[CampaignResult] = []
    wanted = sum(campaign.minutes for campaign in chosen.values())
    for name, campaign in chosen.items():
        share_s = max(0.0, end_s - time.monotonic()) * campaign.minutes / wanted
        wanted -= campaign.minutes
        print(f"{name}: seed {seed}, {share_s:.0f} s", flush=True)
        begun_s = time.monotonic()
        result = campaign.run(share_s, seed, keep / name)
        result.elapsed_s = time.monotonic() - begun_s
        results.append(result)
        _show(result)
    return results


def _show(result: CampaignResult) -> None:
    for label, count in sorted(result.tries.items()):
        print(f"  {count:>9,}  {label}")
    for failure in result.failures:
        print(f"  FAILED: {failure}")
    print(
        f"{result.campaign}: {result.tries.total():,} tries in {result.elapsed_s:.0f} s, "
        f"{len(result.failures)} failures",
        flush=True,
    )


def _arguments(words: Sequence[str], known: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns", description=__doc__)
    parser.add_argument("campaigns", nargs="*", metavar="CAMPAIGN", help=f"all if absent: {', '.join(known)}")
    parser.add_argument("--minutes", type=float, default=60.0, help="time of all of them together")
    parser.add_argument("--seed", type=int, help="drawn and printed if absent")
    parser.add_argument("--keep", type=Path, default=Path("campaigns"), help="where failing inputs are kept")
    parser.add_argument("--document", type=Path, help="Markdown page whose table of counts is written again")
    arguments = parser.parse_args(words)
    if unknown := sorted({*arguments.campaigns} - {*known}):
        parser.error(f"unknown campaign '{unknown[0]}'; known: {', '.join(known)}")
    return arguments


def main(words: Sequence[str]) -> int:
    """Run the campaigns that the command line names."""
    known = campaigns()
    arguments = _arguments(words, list(known))
    seed = secrets.randbelow(1_000_000) if arguments.seed is None else arguments.seed
    chosen = {name: known[name] for name in arguments.campaigns or known}
    results = run_all(chosen, 60 * arguments.minutes, seed, arguments.keep.absolute())
    if arguments.document is not None:
        write_counts(results, arguments.document)
    return int(any(result.failures for result in results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
