"""What a campaign found: counts of what was tried, and each failure with the input that shows it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Failure:
    """One broken promise: `what` in one line, and the file or directory with the input, if one was kept."""

    what: str
    kept: Path | None = None

    def __str__(self) -> str:
        return f"{self.what}; kept in {self.kept}" if self.kept else self.what


@dataclass
class CampaignResult:
    """Counts of tries by a short label each ("SIGKILL of replay"), and the failures among them."""

    campaign: str
    seed: int
    tries: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    elapsed_s: float = 0.0

    def fail(self, what: str, kept: Path | None = None) -> None:
        """Add a failure, in one line."""
        self.failures.append(Failure(" ".join(what.split()), kept))

    def add(self, other: CampaignResult) -> None:
        """Add what another process tried of the same campaign."""
        self.tries += other.tries
        self.failures += other.failures
