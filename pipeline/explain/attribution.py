"""To what an operation's time is attributed, as data: stretches of its time, and behind whom it waited.

All of it is derived from the run's log. The stretches of a phase never overlap and add up to it exactly; so
do the causes of a wait for a lock. What the log cannot tell is a stretch or a remainder of its own, never
part of something that it could tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

# What a stretch of time went to, told apart in this order where the log's rows overlap.
What = Literal[
    "lock_wait",  # spinning for a lock
    "lock_hold",  # holding it
    "pin_wait",   # ready, but pinned to a CPU that ran another task
    "asleep",     # asleep for a slot, from leaving the CPU to being woken
    "switch",     # switched to
    "ready",      # woken and not yet switched to
    "flush",      # a global or directed flush without the lock
    "scan",       # a pass over the slots without the lock
    "nested",     # an operation nested in this one, from asking to done
    "rest",       # map and unmap: code outside the lock; in between: the mapping in use, or blocked
]  # fmt: skip


class _Span:
    """A time from `begin_ns` that lasts `ns`."""

    begin_ns: int
    ns: int

    @property
    def end_ns(self) -> int:
        """When it was over."""
        return self.begin_ns + self.ns

    def overlap(self, other: _Span) -> int:
        """How much time both have in common."""
        return max(0, min(self.end_ns, other.end_ns) - max(self.begin_ns, other.begin_ns))


@dataclass(frozen=True)
class Hold(_Span):
    """One hold of a lock, as `lock_holds` has it."""

    site: str
    op: int
    task: int
    cpu: int
    begin_ns: int
    ns: int
    # Number of the lock; None: the log does not tell.
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
    """Scans and flushes by the operation that made them, in order of time.

    `wraps` numbers the scans among all of the run, by operation and time.
    """

    by_op: Mapping[int, Sequence[Pass]] = field(default_factory=dict)
    wraps: Mapping[tuple[int, int], int] = field(default_factory=dict)

    def within(self, hold: Hold) -> list[Pass]:
        """Those that the holder began while it held the lock, in order of time."""
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
    """The part of a wait that lay behind one hold.

    `flush_ns` and `scan_ns` are what of `ns` the holder's flushes and scans took; `wrap` counts the run's
    scans up to the last one before that flush in the same hold, None: it made none, or did not flush.
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

    `unheld_ns`: no hold in the log covers it; the lock was changing hands, or, in a run that did not end
    well, held by an operation that never finished. `untold_ns`: some lock was held, and the log does not say
    which.
    """

    site: str
    relock: bool
    ns: int
    behind: tuple[Behind, ...]
    unheld_ns: int
    untold_ns: int


@dataclass(frozen=True)
class LockHold:
    """A hold of the operation's own, and what its scans and flushes took of it."""

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
    """A sleep for a slot; `again`: the same operation slept once more, so that it was woken for nothing."""

    queue: int | None
    woken_by: int | None
    cpu: int
    again: bool


@dataclass(frozen=True)
class PinWait:
    """A wait for the CPU that the task was pinned to, with the CPUs that were idle when it became ready."""

    cpu: int
    idle_cpus: int | None


@dataclass(frozen=True)
class Switch:
    """The CPU that took the task, and the task that left it (None: it was idle)."""

    cpu: int
    after: int | None


@dataclass(frozen=True)
class Nested:
    """An operation that began and ended inside this one."""

    op: int


Detail = LockWait | LockHold | Sleep | PinWait | Switch | Nested | Pass


@dataclass(frozen=True)
class Stretch(_Span):
    """A piece of a phase: what it went to, from when, how long, and what is known of it."""

    what: What
    begin_ns: int
    ns: int
    detail: Detail | None = None


@dataclass(frozen=True)
class Interrupt:
    """An IPI that hit the task's CPU; `op` and `task` are those of the flush that sent it, if in the log."""

    begin_ns: int
    ns: int
    cpu: int
    from_cpu: int | None
    op: int | None
    task: int | None
    during: What


@dataclass(frozen=True)
class Phase:
    """From asking to mapped, from there to asking to unmap, or from there to done."""

    name: Literal["map", "use", "unmap"]
    begin_ns: int
    ns: int
    stretches: tuple[Stretch, ...]
    interrupts: tuple[Interrupt, ...]
    woken: int = 0


def divide(begin_ns: int, end_ns: int, claims: Iterable[Stretch]) -> tuple[Stretch, ...]:
    """Divide the time between `begin_ns` and `end_ns` among what claims it, the first one first.

    What nothing claims is `rest`. The stretches come in order of time and add up to the whole.
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
    """Say behind whom a wait for `lock` lay.

    `holds` are the holds that overlap it, of this lock or of others beside it; `passes` the scans and flushes
    made in those; `holder` is the task that the simulator noted as the longest holder of this lock meanwhile,
    if it did. Where the log does not number locks, `lock` is None: the longest hold of `holder` is this
    lock's, and which others are is not told.
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
    """Put spans of time, each from begin to end, in order and make overlapping ones one."""
    merged: list[tuple[int, int]] = []
    for begin, end in sorted(spans):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged


def _behind(hold: Hold, wait: Stretch, passes: Passes) -> Behind:
    own = passes.within(hold)
    # An operation that came when the flush was over did not wait for it.
    met = [p for p in own if p.overlap(wait) > 0]
    part = Stretch("lock_wait", max(hold.begin_ns, wait.begin_ns), hold.overlap(wait))
    wrap = passes.wrap(own) if any(p.event == "flush" for p in met) else None
    return Behind(hold.site, hold.op, hold.task, hold.cpu, part.ns, **_work(met, part), wrap=wrap)


def describe_hold(hold: Hold, passes: Passes) -> LockHold:
    """Say what an operation's own hold was made of."""
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
    """What scans and flushes took of a part of a hold, and how much they did."""
    scans, flushes = ([p for p in passes if p.event == event] for event in ("scan", "flush"))
    return {
        "scan_ns": sum(p.overlap(part) for p in scans),
        "scanned": sum(p.value or 0 for p in scans),
        "flush_ns": sum(p.overlap(part) for p in flushes),
        "cpus_interrupted": sum(p.value or 0 for p in flushes),
    }
