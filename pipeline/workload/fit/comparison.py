"""Statistics for the comparison of a trace with a trace generated from its fitted spec."""

from __future__ import annotations

import numpy as np

from pipeline.schema.names import KINDS
from pipeline.workload.fit.observed import Observed

_LONG_WAIT_NS = 10_000_000
_NEAR = (16, 512, 4096)
_HOT = (64, 512)
# Number of slots of the kernel's pool without PAE.
_POOL = 1024


def figures(observed: Observed) -> dict[str, float]:
    """Return statistics by name, with units in names; shares are from 0 to 1, and missing features are 0."""
    outermost = observed.outermost
    found = {"operations per second": len(observed) / observed.span_ns * 1e9}
    for kind, name in enumerate(KINDS):
        mine = observed.kind == kind
        if mine.any():
            found[f"share of {name}"] = float(mine.mean())
    found["share of nested operations"] = float((~outermost).mean())
    if observed.pages is not None:
        found["pages of a mapping: mean"] = float(observed.pages.mean())
    found |= _same_kind_next(observed)
    for name, times in (
        ("think", observed.think_ns[outermost]), ("wait", observed.wait_ns[outermost]),
        ("hold", observed.without("hold_ns", ~outermost)),
        ("block", observed.without("block_ns", ~outermost)),
    ):  # fmt: skip
        found[f"{name}: mean us"] = float(times.mean()) / 1e3
        if name in ("wait", "block"):
            found[f"{name}: share above 0"] = float((times > 0).mean())
        else:
            found[f"{name}: median us"] = float(np.median(times)) / 1e3
        found[f"{name}: 99 % us"] = float(np.quantile(times, 0.99)) / 1e3
    found |= _bursts(observed)
    found |= _popularity(observed)
    return found


def _same_kind_next(observed: Observed) -> dict[str, float]:
    """Return how often a task's next outermost operation has the same kind."""
    outer = np.flatnonzero(observed.outermost)
    task, kind = observed.task[outer], observed.kind[outer]
    follows = task[1:] == task[:-1]
    same = kind[1:] == kind[:-1]
    return {"next operation of the same kind": float(same[follows].mean()) if follows.any() else 0.0}


def _bursts(observed: Observed) -> dict[str, float]:
    """Return statistics of runs between waits of 10 ms or more, without each task's first and last run."""
    outer = np.flatnonzero(observed.outermost)
    long = np.flatnonzero(observed.wait_ns[outer] >= _LONG_WAIT_NS)
    task = observed.task[outer][long]
    runs = np.diff(long)[task[1:] == task[:-1]]
    mean = float(runs.mean()) if len(runs) else 0.0
    return {
        "burst (between waits of 10 ms): mean operations": mean,
        "burst: deviation / mean": float(runs.std()) / mean if mean else 0.0,
    }


def _popularity(observed: Observed) -> dict[str, float]:
    in_order = np.argsort(observed.row)
    page, process = observed.page[in_order], observed.process[in_order]
    _, number, counts = np.unique(page, return_inverse=True, return_counts=True)
    found: dict[str, float] = {"pages mapped": float(len(counts))}
    hottest = np.sort(counts)[::-1]
    for pages in _HOT:
        found[f"on the {pages} most popular pages"] = float(hottest[:pages].sum()) / len(page)
    distance = _reuse_distances(number)
    found["on pages mapped before"] = float((distance > 0).mean())
    for near in _NEAR:
        found[f"on pages mapped within {near:,} operations"] = float(
            ((distance > 0) & (distance <= near)).mean()
        )
    found[f"hits in a pool of {_POOL:,} slots"] = pool_hit_rate(distance, _POOL)
    pairs = np.unique(number * (int(process.max()) + 1) + process)
    owners = np.bincount(pairs // (int(process.max()) + 1))
    found["on pages of several processes"] = float((owners[number] > 1).mean())
    return found


def _reuse_distances(number: np.ndarray) -> np.ndarray:
    """Return how many operations ago each page was last mapped, 0 if never; int64 [n]."""
    order = np.argsort(number, kind="stable")
    distance = np.zeros(len(number), np.int64)
    again = number[order][1:] == number[order][:-1]
    distance[order[1:]] = np.where(again, np.diff(order), 0)
    return distance


def pool_hit_rate(distance: np.ndarray, slots: int) -> float:
    """Return the fraction of operations that hit in a pool that is emptied whenever it is full.

    `distance` is from `_reuse_distances`. The result is the hit rate of the kernel's pool, except that slots
    in use are emptied too.
    """
    position = np.arange(len(distance))
    previous = np.where(distance > 0, position - distance, -1)
    start = new = 0
    length = 2 * slots
    while start < len(distance):
        is_new = previous[start : start + length] < start
        filled = np.flatnonzero(is_new)
        if len(filled) <= slots and start + length < len(distance):
            length *= 2
            continue
        new += min(len(filled), slots)
        start = start + int(filled[slots]) if len(filled) > slots else len(distance)
        length = 2 * slots
    return 1 - new / len(distance)
