"""Fit the values of a spec to an observed trace."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from pipeline.schema.names import KINDS
from pipeline.workload.fit.observed import Observed
from pipeline.workload.fit.popularity import fit_popularity
from pipeline.workload.fit.sharing import fit_page_sets
from pipeline.workload.fit.times import FittedTime, fit_time
from pipeline.workload.spec import MAX_NESTING, Workload

_MOST_SIZES = 256
# Tasks that live for this fraction of the trace are assumed to live for all of it.
_WHOLE_LIFE = 0.8
# Below this probability of a longer run, kinds are drawn independently.
_LEAST_RUN = 0.02
# Minimum ratio of waits between bursts to other waits.
_APART = 10.0


@dataclass
class Fitted:
    """The keys of a spec, comments by dotted key, and the features that the spec cannot express."""

    table: dict[str, Any]
    comments: dict[str, str] = field(default_factory=dict)
    not_expressed: list[str] = field(default_factory=list)


def fit_parameters(observed: Observed, description: str) -> Fitted:
    """Fit a spec to a trace."""
    tasks, alive = _tasks_alive(observed)
    processes = len(np.unique(observed.process))
    per_process = max(round(tasks / processes), 1)
    fitted = Fitted(
        {"description": description, "tasks": alive, "threads_per_process": min(per_process, alive)}
    )
    fitted.table["operations"] = observed.trace.rows
    fitted.table["seed"] = 0
    if alive < tasks:
        fitted.comments["tasks"] = f"{tasks:,} tasks in the trace, on average {alive:,} at a time"
        fitted.not_expressed.append(
            f"the {tasks:,} tasks of the trace start and end at different times; in the spec, each task runs "
            "without end and replaces several"
        )
    threads = np.bincount(np.unique(np.stack([observed.process, observed.task], 1), axis=0)[:, 0])
    if threads[threads > 0].max() != threads[threads > 0].min():
        fitted.not_expressed.append(
            f"processes have {threads[threads > 0].min():,} to {threads.max():,} threads; in the spec, all "
            "have the mean number"
        )
    first = observed.begins_task & (observed.time_ns < observed.span_ns // 10 + 1)
    begins = observed.time_ns[first]
    fitted.table["start"] = _dump(fit_time(begins)) if alive == tasks else _dump(fit_time(np.array([0])))
    _page_sets(observed, fitted)
    idle_ns = _bursts(observed, fitted)
    _kind_runs(observed, fitted)
    _kinds(observed, fitted, idle_ns, _find_expressible(observed, fitted))
    Workload.model_validate(fitted.table)
    return fitted


def _tasks_alive(observed: Observed) -> tuple[int, int]:
    """Return the number of tasks, and the mean number of tasks at a time.

    A task with n operations lives from its first begin for n times its mean interval; a task with one
    operation, for the mean interval of all tasks.
    """
    first = np.flatnonzero(observed.begins_task)
    last = np.concatenate([first[1:], [len(observed)]]) - 1
    count = np.add.reduceat(observed.outermost.astype(np.int64), first)
    between_ns = (observed.time_ns[last] - observed.time_ns[first]).astype(np.float64)
    several = count > 1
    interval_ns = between_ns[several].sum() / max((count[several] - 1).sum(), 1)
    life_ns = np.where(several, between_ns * count / np.maximum(count - 1, 1), interval_ns)
    alive = float(np.minimum(life_ns, observed.span_ns).sum()) / observed.span_ns
    tasks = len(first)
    return tasks, tasks if alive >= _WHOLE_LIFE * tasks else max(round(alive), 1)


def _page_sets(observed: Observed, fitted: Fitted) -> None:
    table = fitted.table
    owners = {"all": 1, "task": table["tasks"]}
    owners["process"] = math.ceil(table["tasks"] / table["threads_per_process"])
    table["page_sets"] = {}
    several_processes = len(np.unique(observed.process)) > 1
    for found in fit_page_sets(observed):
        sharing = found.sharing
        popularity = fit_popularity(found.counts, owners[sharing])
        table["page_sets"][found.name] = {**asdict(popularity), "sharing": sharing}
        comment = f"the trace has {len(found.counts):,} pages of this set"
        if several_processes:
            users = "several processes map" if sharing == "all" else f"only one {sharing} maps"
            comment += f"; {found.private:.1%} of the operations are on pages that {users}"
        fitted.comments[f"page_sets.{found.name}"] = comment


def _bursts(observed: Observed, fitted: Fitted) -> int | None:
    """Separate idle times from waits if there are two groups; return the shortest idle time in ns."""
    outer = observed.outermost
    waits = observed.wait_ns[outer & (observed.wait_ns > 0) & ~observed.begins_task]
    if len(waits) < 100 or fit_time(waits).distribution.dist != "quantiles":
        return None
    idle_ns = _split_waits(waits)
    if idle_ns is None:
        return None
    idle = observed.wait_ns[outer & (observed.wait_ns >= idle_ns) & ~observed.begins_task]
    mean = int(outer.sum()) / len(idle)
    fitted.table["bursts"] = {"mean_operations": round(mean, 3), "idle": _dump(fit_time(idle))}
    fitted.comments["bursts"] = (
        f"waits of {idle_ns:,} ns or more are `idle` times between bursts, and shorter ones are `wait`"
    )
    return idle_ns


def _split_waits(waits: np.ndarray) -> int | None:
    """Return the threshold that divides `waits` into two groups by their logarithms; None if they are close.

    The threshold is Otsu's, which maximises the variance between the groups (IEEE Trans. SMC 9, 1979).
    """
    logs = np.sort(np.log(waits.astype(np.float64)))
    below = np.arange(1, len(logs))
    total = np.cumsum(logs)
    lower, upper = total[:-1] / below, (total[-1] - total[:-1]) / (len(logs) - below)
    between = below * (len(logs) - below) * (upper - lower) ** 2
    at = int(np.argmax(between))
    if upper[at] - lower[at] < math.log(_APART):
        return None
    return math.ceil(math.exp((logs[at] + logs[at + 1]) / 2.0))


def _kind_runs(observed: Observed, fitted: Fitted) -> None:
    """Fit runs of one kind: the probability of the same kind next, beyond that of independent draws."""
    outer = np.flatnonzero(observed.outermost)
    task, kind = observed.task[outer], observed.kind[outer]
    follows = task[1:] == task[:-1]
    by_chance = float(((np.bincount(kind) / len(kind)) ** 2).sum())
    if not follows.any() or by_chance > 1.0 - 1e-6:
        return
    same = float((kind[1:] == kind[:-1])[follows].mean())
    longer = (same - by_chance) / (1.0 - by_chance)
    if longer > _LEAST_RUN:
        fitted.table["kind_runs"] = {"mean_operations": round(1.0 / max(1.0 - longer, 1e-6), 3)}


def _find_expressible(observed: Observed, fitted: Fitted) -> np.ndarray:
    """Return which nested operations a spec can have: the first in each, without cycles of kinds.

    The time of the other nested operations is part of the hold of the enclosing operation.
    """
    inside = np.flatnonzero(observed.parent >= 0)
    expressed = np.zeros(len(observed), np.bool_)
    if not len(inside):
        return expressed
    outer, inner = observed.kind[observed.parent[inside]], observed.kind[inside]
    pairs, counts = np.unique(np.stack([outer, inner], 1), axis=0, return_counts=True)
    contained: dict[int, set[int]] = {kind: set() for kind in range(len(KINDS))}
    for at in np.argsort(-counts, kind="stable"):
        above, below = (int(kind) for kind in pairs[at])
        if not _closes_a_circle(contained, above, below):
            contained[above].add(below)
            expressed[inside[(outer == above) & (inner == below)]] = True
    here = np.flatnonzero(expressed)
    _, first = np.unique(observed.parent[here], return_index=True)
    expressed[:] = False
    expressed[here[first]] = True
    lost = len(inside) - int(expressed.sum())
    if lost:
        fitted.not_expressed.append(
            f"{lost:,} of {len(inside):,} nested operations are missing, because a spec allows at most one "
            "nested operation, of another kind; their time is part of the enclosing operation's hold"
        )
    if (observed.wait_ns[inside] > 0).any():
        fitted.not_expressed.append(
            "time off CPU before a nested operation is part of the enclosing operation's block"
        )
    return expressed


def _closes_a_circle(contained: dict[int, set[int]], above: int, below: int) -> bool:
    """Return whether a kind would contain itself, or nesting be too deep, if `above` contained `below`."""

    def depth(kind: int) -> int:
        return max((1 + depth(inner) for inner in contained[kind]), default=0)

    def reaches(kind: int) -> bool:
        return kind == above or any(reaches(inner) for inner in contained[kind])

    def height(kind: int) -> int:
        return max((1 + height(outer) for outer, inner in contained.items() if kind in inner), default=0)

    return reaches(below) or height(above) + 1 + depth(below) > MAX_NESTING


def _kinds(observed: Observed, fitted: Fitted, idle_ns: int | None, expressed: np.ndarray) -> None:
    outer = observed.outermost
    own_hold_ns = observed.without("hold_ns", expressed)
    own_block_ns = observed.without("block_ns", expressed)
    set_of = {kind: name for name in fitted.table["page_sets"] for kind in name.split("_and_")}
    kinds: dict[str, Any] = {}
    codes = [int(kind) for kind in np.unique(observed.kind)]
    shares = _shares([int((observed.kind[outer] == kind).sum()) for kind in codes])
    for kind, share in zip(codes, shares, strict=True):
        mine = observed.kind == kind
        # A task's first think and wait are its start time, or unknown.
        thinking = mine & outer & ~observed.begins_task
        if not thinking.any():
            thinking = mine
        table: dict[str, Any] = {"share": share, "page_set": set_of[KINDS[kind]]}
        table["think"] = _dump(fit_time(observed.think_ns[thinking]))
        waits = observed.wait_ns[thinking]
        if idle_ns is not None:
            waits = np.where(waits >= idle_ns, 0, waits)
        _sometimes(table, "wait", waits)
        table["hold"] = _dump(fit_time(own_hold_ns[mine]))
        _sometimes(table, "block", own_block_ns[mine])
        sizes = observed.bytes[mine]
        if (sizes >= 0).any():
            table["bytes"] = _sizes(sizes[sizes >= 0])
            if (sizes < 0).any():
                fitted.not_expressed.append(
                    f"bytes are unknown in {(sizes < 0).mean():.1%} of the {KINDS[kind]} operations"
                )
        _nested(observed, expressed, kind, table)
        kinds[KINDS[kind]] = table
    fitted.table["kinds"] = kinds


def _nested(observed: Observed, expressed: np.ndarray, kind: int, table: dict[str, Any]) -> None:
    """Set the probabilities that operations of other kinds are nested in this kind."""
    inside = np.flatnonzero(expressed)
    inside = inside[observed.kind[observed.parent[inside]] == kind]
    of_kind = int((observed.kind == kind).sum())
    counts = np.bincount(observed.kind[inside], minlength=len(KINDS)).tolist()
    # Round down, so that the sum is at most 1.
    chances = {
        KINDS[inner]: math.floor(1e6 * count / of_kind) / 1e6 for inner, count in enumerate(counts) if count
    }
    if chances:
        table["nested"] = chances


def _sometimes(table: dict[str, Any], key: str, times_ns: np.ndarray) -> None:
    positive = times_ns[times_ns > 0]
    if len(positive):
        probability = round(len(positive) / len(times_ns), 6)
        table[key] = {"probability": probability, "time": _dump(fit_time(positive))}


def _sizes(sizes: np.ndarray) -> Any:
    """Return sizes with their frequencies; quantiles if there are more than _MOST_SIZES."""
    values, counts = np.unique(sizes, return_counts=True)
    if len(values) == 1:
        return int(values[0])
    if len(values) > _MOST_SIZES:
        middles = (np.arange(_MOST_SIZES) + 0.5) / _MOST_SIZES
        values, counts = np.unique(np.quantile(sizes, middles, method="nearest"), return_counts=True)
    return {"values": [int(value) for value in values], "weights": [float(count) for count in counts]}


def _shares(counts: list[int]) -> list[float]:
    """Return shares with six decimals that sum to 1; the largest absorbs the rounding error."""
    shares = [round(count / sum(counts), 6) for count in counts]
    largest = shares.index(max(shares))
    shares[largest] = round(shares[largest] + 1.0 - sum(shares), 6)
    return shares


def _dump(found: FittedTime) -> dict[str, Any]:
    return found.distribution.model_dump(exclude_none=True)
