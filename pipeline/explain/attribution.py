"""Attribution of an operation's time, as data: stretches of its phases, and the causes of its waits.

Everything is derived from the run's log. The stretches of a phase do not overlap and add up to it exactly, as
do the causes of a wait for a lock. Time that the log does not explain is a separate stretch or remainder.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

# The kinds of stretches. Where rows of the log overlap, the first kind in this order applies.
What = Literal[
    "lock_wait",  # spinning for a lock
    "lock_hold",  # holding it
    "pin_wait",   # ready, but pinned to a CPU that ran another task
    "asleep",     # asleep for a slot, from leaving the CPU to being woken
    "switch",     # switched to
    "ready",      # woken and not yet switched to
    "flush",      # a global or directed flush without the lock
    "scan",       # a scan of the slots without the lock
    "nested",     # an operation nested in this one, from request to done
    "rest",       # map and unmap: code outside the lock; in between: the mapping in use, or blocked
]  # fmt: skip


class _Span:
    """A time from `begin_ns` that lasts `ns`."""

    begin_ns: int
    ns: int

    @property
    def end_ns(self) -> int:
        """End of the time, ns."""
        return self.begin_ns + self.ns

    def overlap(self, other: _Span) -> int:
        """Return the length of the overlap, ns."""
        return max(0, min(self.end_ns, other.end_ns) - max(self.begin_ns, other.begin_ns))


@dataclass(frozen=True)
class Hold(_Span):
    """One hold of a lock, a row of `lock_holds`."""

    site: str
    op: int
    task: int
    cpu: int
    begin_ns: int
    ns: int
    # Number of the lock; None: not in the log.
    lock: int | None = None
    relock: bool = False


@dataclass(frozen=True)
class Pass(_Span):
    """A scan (`value`: slots passed, `other`: slots freed) or a flush (`value`: CPUs interrupted)."""

    event: str
    op: int
    task: int
    begin_ns: int
    ns: int
    value: int | None
    other: int | None


@dataclass(frozen=True)
class Passes:
    """Scans and flushes by operation, in order of time.

    `wraps` gives the number of a scan within the run, by operation and time.
    """

    by_op: Mapping[int, Sequence[Pass]] = field(default_factory=dict)
    wraps: Mapping[tuple[int, int], int] = field(default_factory=dict)

    def within(self, hold: Hold) -> list[Pass]:
        """Return those that the holder started during the hold, in order of time."""
        return [p for p in self.by_op.get(hold.op, ()) if hold.begin_ns <= p.begin_ns < hold.end_ns]

    def wrap(self, passes: Sequence[Pass]) -> int | None:
        """Return the number of the last scan before the last flush of a hold, if it flushed."""
        flushed = max((p.begin_ns for p in passes if p.event == "flush"), default=None)
        if flushed is None:
            return None
        scans = [p for p in passes if p.event == "scan" and p.begin_ns <= flushed]
        return self.wraps.get((scans[-1].op, scans[-1].begin_ns)) if scans else None


@dataclass(frozen=True)
class Behind:
    """The part of a wait that one hold caused.

    `flush_ns` and `scan_ns` are the parts of `ns` taken by the holder's flushes and scans. `wrap` is the
    number, within the run, of the last scan before the flush of the hold; None without a scan or flush.
    """

    site: str
    op: int
    task: int
    cpu: int
    ns: int
    scan_ns: int
    flush_ns: int
    scanned: int
    cpus_interrupted: int
    wrap: int | None


@dataclass(frozen=True)
class LockWait:
    """A wait for a lock and its causes: behind + unheld_ns + untold_ns = ns.

    `unheld_ns`: time without a hold in the log. The lock was being transferred or, in a run that ended with a
    finding, held by an operation that never finished. `untold_ns`: time in which a lock was held, but the log
    does not record which.
    """

    site: str
    relock: bool
    ns: int
    behind: tuple[Behind, ...]
    unheld_ns: int
    untold_ns: int


@dataclass(frozen=True)
class LockHold:
    """A hold by the operation itself, with the time of its scans and flushes."""

    site: str
    relock: bool
    ns: int
    scans: int
    scan_ns: int
    scanned: int
    freed: int
    flushes: int
    flush_ns: int
    cpus_interrupted: int
    wrap: int | None


@dataclass(frozen=True)
class Sleep:
    """A sleep for a slot. `again`: the operation slept again afterwards, so the wake-up was futile."""

    queue: int | None
    woken_by: int | None
    cpu: int
    again: bool


@dataclass(frozen=True)
class PinWait:
    """A wait for the CPU to which the task was pinned. `idle_cpus`: CPUs idle when it became ready."""

    cpu: int
    idle_cpus: int | None


@dataclass(frozen=True)
class Switch:
    """The CPU that took the task, and the task that left it (None: it was idle)."""

    cpu: int
    after: int | None


@dataclass(frozen=True)
class Nested:
    """An operation that began and ended within this one."""

    op: int


Detail = LockWait | LockHold | Sleep | PinWait | Switch | Nested | Pass


@dataclass(frozen=True)
class Stretch(_Span):
    """A part of a phase: its kind, begin, length and details."""

    what: What
    begin_ns: int
    ns: int
    detail: Detail | None = None


@dataclass(frozen=True)
class Interrupt:
    """An IPI to the task's CPU. `op` and `task` are those of the flush that sent it, if it is in the log."""

    begin_ns: int
    ns: int
    cpu: int
    from_cpu: int | None
    op: int | None
    task: int | None
    during: What


@dataclass(frozen=True)
class Phase:
    """One of: request to mapped, mapped to unmap request, unmap request to done."""

    name: Literal["map", "use", "unmap"]
    begin_ns: int
    ns: int
    stretches: tuple[Stretch, ...]
    interrupts: tuple[Interrupt, ...]
    woken: int = 0


def divide(begin_ns: int, end_ns: int, claims: Iterable[Stretch]) -> tuple[Stretch, ...]:
    """Divide the time between `begin_ns` and `end_ns` among the claims; the first claim takes precedence.

    Unclaimed time is `rest`. The stretches are in order of time and add up to the whole.
    """
    taken: list[Stretch] = []
    free = [(begin_ns, end_ns)] if end_ns > begin_ns else []
    for claim in claims:
        left: list[tuple[int, int]] = []
        for begin, end in free:
            first, last = max(begin, claim.begin_ns), min(end, claim.end_ns)
            if last <= first:
                left.append((begin, end))
                continue
            taken.append(Stretch(claim.what, first, last - first, claim.detail))
            left += [piece for piece in ((begin, first), (last, end)) if piece[1] > piece[0]]
        free = left
    taken += [Stretch("rest", begin, end - begin) for begin, end in free]
    return tuple(sorted(taken, key=lambda stretch: stretch.begin_ns))


def attribute_wait(
    wait: Stretch,
    holds: Sequence[Hold],
    passes: Passes,
    site: str,
    relock: bool,
    holder: int | None,
    lock: int | None,
) -> LockWait:
    """Attribute a wait for `lock` to holds.

    `holds` are the overlapping holds, of any lock. `passes` are the scans and flushes in these holds.
    `holder` is the task recorded by the simulator as the longest holder of this lock during the wait, if any.
    If the log does not number locks, `lock` is None. Then only the longest hold of `holder` is attributed to
    this lock.
    """
    over = sorted((h for h in holds if h.overlap(wait) > 0 and h.lock == lock), key=lambda h: h.begin_ns)
    mine = over
    if lock is None:
        of_holder = [h for h in over if h.task == holder]
        mine = [max(of_holder, key=lambda h: h.overlap(wait))] if of_holder else []
    held = sum(
        min(end, wait.end_ns) - max(begin, wait.begin_ns)
        for begin, end in merge((h.begin_ns, h.end_ns) for h in over)
    )
    return LockWait(
        site,
        relock,
        wait.ns,
        tuple(_behind(h, wait, passes) for h in mine),
        unheld_ns=wait.ns - held,
        untold_ns=held - sum(h.overlap(wait) for h in mine),
    )


def merge(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Sort spans of time and merge those that overlap."""
    merged: list[tuple[int, int]] = []
    for begin, end in sorted(spans):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged


def _behind(hold: Hold, wait: Stretch, passes: Passes) -> Behind:
    own = passes.within(hold)
    # An operation that arrived after the flush did not wait for it.
    met = [p for p in own if p.overlap(wait) > 0]
    part = Stretch("lock_wait", max(hold.begin_ns, wait.begin_ns), hold.overlap(wait))
    wrap = passes.wrap(own) if any(p.event == "flush" for p in met) else None
    return Behind(hold.site, hold.op, hold.task, hold.cpu, part.ns, **_work(met, part), wrap=wrap)


def describe_hold(hold: Hold, passes: Passes) -> LockHold:
    """Break down a hold of the operation itself."""
    own = passes.within(hold)
    scans = [p for p in own if p.event == "scan"]
    return LockHold(
        hold.site,
        hold.relock,
        hold.ns,
        **_work(own, hold),
        scans=len(scans),
        freed=sum(p.other or 0 for p in scans),
        flushes=len(own) - len(scans),
        wrap=passes.wrap(own),
    )


def _work(passes: Sequence[Pass], part: _Span) -> dict[str, int]:
    """Return the time of scans and flushes within part of a hold, and their counts."""
    scans, flushes = ([p for p in passes if p.event == event] for event in ("scan", "flush"))
    return {
        "scan_ns": sum(p.overlap(part) for p in scans),
        "scanned": sum(p.value or 0 for p in scans),
        "flush_ns": sum(p.overlap(part) for p in flushes),
        "cpus_interrupted": sum(p.value or 0 for p in flushes),
    }
