"""What happened to one operation, as data: stretches of its time, and behind whom it waited.

All of it is derived from the run's log. The stretches of a phase never overlap and add up to it exactly; so
do the causes of a wait for a lock. What the log cannot tell is a stretch or a remainder of its own, never
part of something that it could tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
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


@dataclass(frozen=True)
class Hold:
    """One hold of a lock, as `lock_holds` has it."""

    site: str
    op: int
    task: int
    cpu: int
    begin_ns: int
    ns: int
    # What asked for the mapping; None: the operation is not in the log, as it never finished.
    kind: str | None = None

    @property
    def end_ns(self) -> int:
        """When the lock was released."""
        return self.begin_ns + self.ns


@dataclass(frozen=True)
class Pass:
    """A scan (`value`: slots passed, `other`: slots freed) or a flush (`value`: CPUs interrupted)."""

    event: str
    op: int
    task: int
    begin_ns: int
    ns: int
    value: int | None
    other: int | None

    @property
    def end_ns(self) -> int:
        """When it was over."""
        return self.begin_ns + self.ns


# Scans and flushes by the operation that made them, in order of time.
Passes = Mapping[int, Sequence[Pass]]


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
    well, held by an operation that never finished. `untold_ns`: several locks were held at once, and the log
    does not say which of them it was.
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
class Switched:
    """The CPU that took the task, and the task that left it (None: it was idle)."""

    cpu: int
    after: int | None


@dataclass(frozen=True)
class Nested:
    """An operation that began and ended inside this one."""

    op: int


Detail = LockWait | LockHold | Sleep | PinWait | Switched | Nested | Pass


@dataclass(frozen=True)
class Stretch:
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


@dataclass(frozen=True)
class Claim:
    """A row of the log that says what the time from `begin_ns` to `end_ns` went to."""

    what: What
    begin_ns: int
    end_ns: int
    detail: Detail | None = None


def stretches(begin_ns: int, end_ns: int, claims: Iterable[Claim]) -> tuple[Stretch, ...]:
    """Divide the time between `begin_ns` and `end_ns` among claims, the first one first; the rest is `rest`.

    The stretches come in order of time and add up to the whole.
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


def wait_causes(
    wait: Claim,
    holds: Sequence[Hold],
    passes: Passes,
    wraps: dict[tuple[int, int], int],
    site: str,
    relock: bool,
    holder: int | None,
    one_lock: bool | None,
) -> LockWait:
    """Say behind whom the wait from `wait.begin_ns` to `wait.end_ns` lay.

    `holds` are the holds that overlap it, of this lock or of others beside it; `passes` the scans and flushes
    made in those; `wraps` numbers scans by operation and time; `holder` is the task that the simulator noted
    as the longest holder of this lock meanwhile, if it did. `one_lock` says whether there is only this lock;
    None: that is not known, and it is taken to be so if no two of the holds overlap. Of several locks, the
    longest hold of `holder` is this one's; which other holds are, the log does not tell.
    """
    ns = wait.end_ns - wait.begin_ns
    over = sorted((h for h in holds if _overlap(h, wait) > 0), key=lambda h: h.begin_ns)
    mine = over
    if one_lock is False or (one_lock is None and not _disjoint(over)):
        of_holder = [h for h in over if h.task == holder]
        mine = [max(of_holder, key=lambda h: _overlap(h, wait))] if of_holder else []
    covered = sum(_overlap(h, wait) for h in mine)
    anybody = _union(over, wait)
    return LockWait(
        site,
        relock,
        ns,
        tuple(_behind(h, wait, passes, wraps) for h in mine),
        unheld_ns=ns - anybody,
        untold_ns=anybody - covered,
    )


def _disjoint(holds: Sequence[Hold]) -> bool:
    return all(after.begin_ns >= before.end_ns for before, after in pairwise(holds))


def _overlap(row: Hold | Pass, wait: Claim) -> int:
    return max(0, min(row.end_ns, wait.end_ns) - max(row.begin_ns, wait.begin_ns))


def _union(holds: Sequence[Hold], wait: Claim) -> int:
    """Time of the wait in which anybody held a lock."""
    total, until = 0, wait.begin_ns
    for hold in holds:
        begin, end = max(hold.begin_ns, until), min(hold.end_ns, wait.end_ns)
        total += max(0, end - begin)
        until = max(until, end)
    return total


def passes_of(hold: Hold, passes: Passes) -> list[Pass]:
    """Scans and flushes that the holder began while it held the lock, in order of time."""
    return [p for p in passes.get(hold.op, ()) if hold.begin_ns <= p.begin_ns < hold.end_ns]


def wrap_of(passes: Sequence[Pass], wraps: dict[tuple[int, int], int]) -> int | None:
    """Return the number of the last scan before the last flush of a hold, if it flushed."""
    flushed = max((p.begin_ns for p in passes if p.event == "flush"), default=None)
    if flushed is None:
        return None
    scans = [p for p in passes if p.event == "scan" and p.begin_ns <= flushed]
    return wraps.get((scans[-1].op, scans[-1].begin_ns)) if scans else None


def _behind(hold: Hold, wait: Claim, passes: Passes, wraps: dict[tuple[int, int], int]) -> Behind:
    own = passes_of(hold, passes)
    # Whoever came when the flush was over did not wait for it.
    met = [p for p in own if _overlap(p, wait) > 0]
    scans, flushes = ([p for p in met if p.event == event] for event in ("scan", "flush"))
    return Behind(
        hold.site,
        hold.op,
        hold.task,
        hold.cpu,
        _overlap(hold, wait),
        sum(_within(p, hold, wait) for p in scans),
        sum(_within(p, hold, wait) for p in flushes),
        sum(p.value or 0 for p in scans),
        sum(p.value or 0 for p in flushes),
        wrap_of(own, wraps) if flushes else None,
    )


def _within(row: Pass, hold: Hold, wait: Claim) -> int:
    """Time of the wait that lay behind a scan or flush of the hold."""
    begin = max(row.begin_ns, hold.begin_ns, wait.begin_ns)
    return max(0, min(row.end_ns, hold.end_ns, wait.end_ns) - begin)


def own_hold(hold: Hold, relock: bool, passes: Passes, wraps: dict[tuple[int, int], int]) -> LockHold:
    """Say what an operation's own hold was made of."""
    own = passes_of(hold, passes)
    whole = Claim("lock_hold", hold.begin_ns, hold.end_ns)
    scans, flushes = ([p for p in own if p.event == event] for event in ("scan", "flush"))
    return LockHold(
        hold.site,
        relock,
        hold.ns,
        len(scans),
        sum(_overlap(p, whole) for p in scans),
        sum(p.value or 0 for p in scans),
        sum(p.other or 0 for p in scans),
        len(flushes),
        sum(_overlap(p, whole) for p in flushes),
        sum(p.value or 0 for p in flushes),
        wrap_of(own, wraps),
    )
