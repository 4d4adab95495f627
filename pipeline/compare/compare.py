"""Comparing two sides: every metric in every setting, and what changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.compare.causes import Cause, find_causes
from pipeline.compare.judge import Judgement, Pairs, Verdict, judge, least_pairs
from pipeline.compare.pairing import Pairing, Setting, pair
from pipeline.runs.metrics import Metric
from pipeline.schema.manifest import Manifest

WORSE_STATUS = 6
UNDECIDED_STATUS = 7
MARGIN = 0.01


@dataclass(frozen=True)
class Compared:
    """One setting: a judgement for each metric, and what changed between the sides."""

    name: str
    pairs: int
    """Number of distinct pairs of runs."""
    again: int
    """Number of ignored pairs that repeat another pair exactly."""
    judgements: Mapping[str, Judgement]
    causes: Sequence[Cause]

    @property
    def least_pairs(self) -> int:
        """The number of pairs below which no difference in any metric can be found."""
        return least_pairs(max(sum(j.p_value is not None for j in self.judgements.values()), 1))


@dataclass(frozen=True)
class Comparison:
    """A and B compared."""

    a: str
    b: str
    pairing: Pairing
    metrics: Sequence[Metric]
    settings: Sequence[Compared]
    margin: float

    @property
    def verdict(self) -> Verdict:
        """The verdict on all metrics and settings: worse if any is worse, else undecided if any is."""
        verdicts = {j.verdict for setting in self.settings for j in setting.judgements.values()}
        order: tuple[Verdict, ...] = ("worse", "undecided", "better", "same", "identical")
        return next(verdict for verdict in order if verdict in verdicts)

    def exit_status(self, undecided_passes: bool = False) -> int:
        """Return the exit status: 6 if B is worse, 7 if undecided, else 0."""
        if self.verdict == "worse":
            return WORSE_STATUS
        return UNDECIDED_STATUS if self.verdict == "undecided" and not undecided_passes else 0


def compare(
    a: tuple[str, Sequence[Manifest]],
    b: tuple[str, Sequence[Manifest]],
    metrics: Sequence[Metric],
    margin: float = MARGIN,
) -> Comparison:
    """Compare two sides, each a name and its runs. Raises InputError for runs that cannot be compared."""
    pairing = pair(a[1], b[1])
    compared = [_compare_setting(setting, metrics, margin) for setting in pairing.settings]
    return Comparison(a[0], b[0], pairing, metrics, compared, margin)


def _compare_setting(setting: Setting, metrics: Sequence[Metric], margin: float) -> Compared:
    pairs = list(_different(setting.pairs))
    identical = all(a.fingerprint == b.fingerprint for a, b in pairs)
    values = [
        Pairs(
            [metric.measure(a.totals) for a, _ in pairs], [metric.measure(b.totals) for _, b in pairs],
            metric.more_is_better, identical,
        )
        for metric in metrics
    ]  # fmt: skip
    judgements = dict(zip((metric.name for metric in metrics), judge(values, margin), strict=True))
    return Compared(
        setting.name, len(pairs), len(setting.pairs) - len(pairs), judgements,
        [] if identical else find_causes(pairs),
    )  # fmt: skip


def _different(pairs: Sequence[tuple[Manifest, Manifest]]) -> Iterator[tuple[Manifest, Manifest]]:
    """Yield the pairs that do not repeat another pair exactly."""
    seen: set[tuple[Any, Any]] = set()
    for a, b in pairs:
        if (a.fingerprint, b.fingerprint) not in seen:
            seen.add((a.fingerprint, b.fingerprint))
            yield a, b
