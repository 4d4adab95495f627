"""The hit rate of a cached pool under independent references, simulated and held against `irm`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pipeline.allocators.api.actions import MISS
from pipeline.allocators.registry import load_allocator
from pipeline.machine.engine.records import E_FLUSH
from pipeline.machine.in_memory import Outcome, free_machine, rows, simulate
from pipeline.studies.theory.check import Check, mean_and_error, statistical_tolerance
from pipeline.studies.theory.irm import characteristic_references, mean_references, zipf

PAGES = 1_000
REFERENCES = 400_000
# Slots and skew.
POOLS = ((16, 1.0), (64, 0.0), (64, 0.7), (64, 1.0), (64, 1.4), (256, 1.0))
IRM = "King 1971; Flajolet, Gardy, Thimonier 1992"
CHE = "Che, Tung, Wang 2002"


def independent_references(slots: int, skew: float) -> Outcome:
    """Replay one task that maps and unmaps pages drawn independently from a Zipf distribution."""
    random = np.random.default_rng(slots)
    page = random.choice(PAGES, REFERENCES, p=zipf(PAGES, skew))
    return simulate(
        load_allocator("global_pool"), free_machine(1), rows(REFERENCES, page=page),
        options={"slots": str(slots)}, compiled=True,
    )  # fmt: skip


def cycles(outcome: Outcome) -> np.ndarray:
    """References from each wrap to the next; what comes before the first and after the last is left out."""
    return np.diff(outcome.of_kind(E_FLUSH)["op"])


def hit_rate_checks() -> Iterator[Check]:
    """The hit rate over whole cycles against its exact value and the usual approximation of that."""
    for slots, skew in POOLS:
        parameters = f"N = {slots}, {PAGES:,} pages, skew {skew:g}"
        outcome = independent_references(slots, skew)
        references = cycles(outcome)
        mean, error = mean_and_error(references)
        simulated = 100 * (1 - slots / mean)
        error *= 100 * slots / mean**2
        probability = zipf(PAGES, skew)
        exact = 100 * (1 - slots / mean_references(probability, slots))
        yield Check(
            "hit rate, independent references", IRM, f"1 - N/E[T], {parameters}", "%", exact, simulated,
            error, statistical_tolerance(exact, error),
        )  # fmt: skip
        near = 100 * (1 - slots / characteristic_references(probability, slots))
        yield Check(
            "hit rate, characteristic time", CHE, f"1 - N/t with E[D(t)] = N, {parameters}", "%", near,
            simulated, error, 0.05 * near,
        )  # fmt: skip
        flushes = outcome.of_kind(E_FLUSH)["op"]
        missed = np.cumsum(outcome.operations["served"] == MISS)
        per_cycle = np.diff(missed[flushes])
        yield Check(
            "misses from wrap to wrap", "the design's own rule", f"cycles of exactly N misses, {parameters}",
            "", len(per_cycle), int((per_cycle == slots).sum()), None, 0,
        )  # fmt: skip
