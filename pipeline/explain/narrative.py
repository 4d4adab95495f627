"""An explained operation as text. Durations are exact, so the parts add up."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from functools import partial

from pipeline.explain.attribution import (
    Behind,
    Interrupt,
    LockHold,
    LockWait,
    Nested,
    Phase,
    PinWait,
    Sleep,
    Stretch,
    Switch,
)
from pipeline.explain.explain import Explanation, Unfinished
from pipeline.io.numbers import format_count, format_exact, format_number

FORMATS = ("text", "json")

# If a phase has more stretches than this, only the longest have lines of their own.
_MOST_LINES = 24
_LONGEST = 6
_NAMED = 3
# If a wait has more causes than this, each has a line of its own.
_IN_ONE_LINE = 3

_SERVED = {
    "hit": "a hit: the page was already mapped",
    "miss": "a miss",
    "direct": "direct: no temporary mapping was needed",
    "fallback": "served by the design's fallback",
}
_count = partial(format_count, zero="no")

_MANY = {
    "lock_wait": "waits for the lock",
    "lock_hold": "lock holds",
    "pin_wait": "waits for the pinned CPU",
    "asleep": "sleeps",
    "switch": "switches",
    "ready": "waits for a CPU",
    "flush": "flushes",
    "scan": "scans",
    "nested": "nested operations",
}


def format_explanations(operations: Sequence[Explanation | Unfinished], form: str) -> str:
    """Write explanations as `text` or as `json`: a list of objects, each with its `sentences`."""
    if form == "text":
        return "\n".join(narrate(operation) for operation in operations)
    objects = [
        {
            "finished": isinstance(operation, Explanation),
            **asdict(operation),
            "sentences": [line.strip() for line in narrate(operation).splitlines()],
        }
        for operation in operations
    ]
    return json.dumps(objects, indent=2) + "\n"


def narrate(operation: Explanation | Unfinished) -> str:
    """Describe an operation, one sentence per line, ending in a newline."""
    if isinstance(operation, Unfinished):
        return "\n".join(_narrate_unfinished(operation)) + "\n"
    return "\n".join(_narrate_finished(operation)) + "\n"


def microseconds(ns: int) -> str:
    """Write nanoseconds as microseconds, exactly."""
    return format_exact(ns, "us") + " us"


def format_instant(ns: int) -> str:
    """Write a time of the run in a suitable unit, rounded; it locates an event and is not to be added."""
    if ns < 1_000_000:
        return microseconds(ns)
    return f"{format_number(ns / 1e6, 6)} ms" if ns < 1_000_000_000 else f"{format_number(ns / 1e9, 6)} s"


def _narrate_finished(op: Explanation) -> list[str]:
    nested = f", nested in operation {op.within}" if op.within is not None else ""
    lines = [
        f"operation {op.op}: {op.kind} of page {op.page}, requested by task {op.task} "
        f"(process {op.process}) at {format_instant(op.asked_ns)}{nested}"
    ]
    for phase in op.phases:
        lines.append(f"  {_HEADS[phase.name](op, phase)}")
        lines += [f"    {line}" for line in _phase(op, phase)]
    end = "done" if op.unmap_task is not None else "the end of the run"
    lines.append(f"  {microseconds(op.done_ns - op.asked_ns)} from request to {end}")
    lines += [f"  finding: {finding}" for finding in op.findings]
    return lines


def _map_head(op: Explanation, phase: Phase) -> str:
    slot = "" if op.slot is None else f", slot {op.slot}"
    probed = f", {_count(op.probed, 'slot')} probed" if op.probed else ""
    return f"mapped on cpu {op.cpu_map} after {microseconds(phase.ns)}, {_SERVED[op.served]}{slot}{probed}"


def _unmap_head(op: Explanation, phase: Phase) -> str:
    if op.unmap_task is None:
        return "was not unmapped"
    by = "" if op.unmap_task == op.task else f"by task {op.unmap_task} "
    return f"unmapped {by}on cpu {op.cpu_unmap} in {microseconds(phase.ns)}"


_HEADS: dict[str, Callable[[Explanation, Phase], str]] = {
    "map": _map_head,
    "use": lambda op, phase: f"kept the mapping {microseconds(phase.ns)}",
    "unmap": _unmap_head,
}


def _phase(op: Explanation, phase: Phase) -> list[str]:
    """Yield lines whose times add up to the phase, then its other events."""
    rest = [stretch for stretch in phase.stretches if stretch.what == "rest"]
    known = [stretch for stretch in phase.stretches if stretch.what != "rest"]
    lines, indent = [], ""
    if len(known) > _MOST_LINES:
        lines, indent = [f"{_sum_up(known)}; the longest of them:"], "  "
        longest = sorted(known, key=lambda stretch: -stretch.ns)[:_LONGEST]
        known = sorted(longest, key=lambda stretch: stretch.begin_ns)
    lines += [indent + line for stretch in known for line in _sentences(op, phase, stretch)]
    if rest and phase.name == "use" and op.unmap_task != op.task:
        lines.append(f"{microseconds(sum(s.ns for s in rest))} mapped, while task {op.task} went on")
    elif rest:
        lines.append(_rest(phase, sum(stretch.ns for stretch in rest)))
    if phase.woken:
        lines.append(f"it woke {_count(phase.woken, 'task')}")
    if phase.interrupts:
        lines.append(_interrupts(phase.interrupts))
    return lines


def _sentences(op: Explanation, phase: Phase, stretch: Stretch) -> list[str]:
    """Yield one line, or several for a wait with many causes."""
    if not isinstance(stretch.detail, LockWait):
        return [_sentence(stretch)]
    wait = stretch.detail
    again = " again" if wait.relock else ""
    by = op.unmap_task if phase.name == "unmap" else op.task
    task = f"task {by} on cpu {_cpu(op, phase, stretch)}"
    head = f"{task} waited {microseconds(stretch.ns)} for the lock{again}:"
    causes = _causes(wait, op.whole_log)
    if len(causes) <= _IN_ONE_LINE:
        return [f"{head} {', '.join(causes)}"]
    return [head, *(f"  {cause}" for cause in causes)]


def _sentence(stretch: Stretch) -> str:
    time, detail = microseconds(stretch.ns), stretch.detail
    match detail:
        case LockHold():
            return f"it held the lock {time}{_describe_parts(detail)}"
        case Sleep():
            queue = "" if detail.queue is None else f" on queue {detail.queue}"
            by = "" if detail.woken_by is None else f" until task {detail.woken_by} woke it"
            return (
                f"it slept {time}{queue}{by}{', a futile wake-up, as it slept again' if detail.again else ''}"
            )
        case PinWait():
            idle = "" if detail.idle_cpus is None else f", while {_count(detail.idle_cpus, 'CPU')} were idle"
            return f"it was ready for {time}, but pinned to cpu {detail.cpu}, which ran another task{idle}"
        case Switch() if stretch.what == "ready":
            after = "" if detail.after is None else f", which had been running task {detail.after}"
            return f"it was ready for {time} before it ran on cpu {detail.cpu}{after}"
        case Switch():
            return f"the switch to it on cpu {detail.cpu} took {time}"
        case Nested():
            return f"operation {detail.op}, nested in it, took {time}"
        case _ if stretch.what == "flush":
            return f"it flushed {_count(_value(detail), 'other CPU')} in {time}, without the lock"
        case _:
            return f"it scanned {_count(_value(detail), 'slot')} in {time}, without the lock"


def _value(detail: object) -> int:
    return getattr(detail, "value", None) or 0


def _cpu(op: Explanation, phase: Phase, stretch: Stretch) -> int:
    """Return the CPU of the task during a stretch: that of its next sleep, else that of the phase's end."""
    for later in phase.stretches:
        if later.begin_ns >= stretch.begin_ns and isinstance(later.detail, Sleep):
            return later.detail.cpu
    return op.cpu_unmap if phase.name == "unmap" else op.cpu_map


def _causes(wait: LockWait, whole_log: bool) -> list[str]:
    """Describe the causes of a wait; their times add up to it."""
    busy = sorted((b for b in wait.behind if b.flush_ns or b.scan_ns), key=lambda b: -b.ns)
    plain = [b for b in wait.behind if not b.flush_ns and not b.scan_ns]
    parts = [_holders(plain)] if plain else []
    parts += [_busy_holder(b) for b in busy[:_NAMED]]
    if busy[_NAMED:]:
        rest = busy[_NAMED:]
        what = "flush" if all(b.flush_ns for b in rest) else "scan or flush"
        parts.append(f"{microseconds(sum(b.ns for b in rest))} behind {_count(len(rest), f'more {what}')}")
    if wait.unheld_ns:
        missing = "" if whole_log else ", or while it was held by an operation that never finished"
        parts.append(f"{microseconds(wait.unheld_ns)} while the lock was transferred{missing}")
    if wait.untold_ns:
        parts.append(
            f"{microseconds(wait.untold_ns)} behind holders of this or other locks, which a log of run "
            "format 1 does not distinguish; replay the trace again for details"
        )
    return parts


def _holders(holders: Sequence[Behind]) -> str:
    time = microseconds(sum(b.ns for b in holders))
    longest = max(holders, key=lambda b: b.ns)
    if len(holders) == 1:
        return f"{time} behind task {longest.task} ({longest.site} of operation {longest.op})"
    return (
        f"{time} behind {_count(len(holders), 'holder')} "
        f"(longest: task {longest.task}, {microseconds(longest.ns)})"
    )


def _busy_holder(b: Behind) -> str:
    wrap = "" if b.wrap is None else f" at wrap {b.wrap}"
    rest = b.ns - b.scan_ns - b.flush_ns
    made = [f"scan {microseconds(b.scan_ns)}"] if b.scan_ns else []
    made += [f"flush {microseconds(b.flush_ns)}"] if b.flush_ns else []
    made += [f"rest of its hold {microseconds(rest)}"] if rest else []
    what = f"flush by task {b.task}" if b.flush_ns else f"scan by task {b.task}"
    return f"{microseconds(b.ns)} behind the {what}{wrap} (operation {b.op}: {', '.join(made)})"


def _describe_parts(hold: LockHold) -> str:
    parts = []
    if hold.scans:
        parts.append(
            f"{microseconds(hold.scan_ns)} {_times('scan', hold.scans)} of {_count(hold.scanned, 'slot')}, "
            f"{hold.freed:,} freed"
        )
    if hold.flushes:
        wrap = "" if hold.wrap is None else f" at wrap {hold.wrap}"
        parts.append(
            f"{microseconds(hold.flush_ns)} {_times('flush', hold.flushes)}{wrap}, "
            f"{_count(hold.cpus_interrupted, 'CPU')} interrupted"
        )
    rest = hold.ns - hold.scan_ns - hold.flush_ns
    if parts and rest:
        parts.append(f"{microseconds(rest)} other work")
    return f": {'; '.join(parts)}" if parts else ""


def _rest(phase: Phase, ns: int) -> str:
    if phase.name == "use":
        return f"{microseconds(ns)} in use or blocked (not distinguished in the log)"
    return f"{microseconds(ns)} other code outside the lock, including interrupts"


def _sum_up(parts: Sequence[Stretch]) -> str:
    """Summarise many stretches: count and total time of each kind."""
    said = []
    for what, count in Counter(part.what for part in parts).items():
        ns = sum(part.ns for part in parts if part.what == what)
        again = sum(isinstance(part.detail, Sleep) and part.detail.again for part in parts)
        futile = f" ({again:,} futile)" if what == "asleep" and again else ""
        said.append(f"{microseconds(ns)} in {count:,} {_MANY[what]}{futile}")
    return ", ".join(said)


def _interrupts(hits: Sequence[Interrupt]) -> str:
    time = microseconds(sum(hit.ns for hit in hits))
    spinning = sum(hit.during == "lock_wait" for hit in hits)
    which = "" if spinning == len(hits) else f"{spinning:,} of them "
    harmless = f", {which}while it waited for the lock anyway" if spinning else ""
    senders = list(dict.fromkeys(_sender(hit) for hit in hits))
    more = f" and {len(senders) - _NAMED:,} more" if len(senders) > _NAMED else ""
    cpus = ", ".join(str(cpu) for cpu in sorted({hit.cpu for hit in hits}))
    return (
        f"{_count(len(hits), 'IPI')} took {time} of cpu {cpus}'s time{harmless}: "
        f"from {', '.join(senders[:_NAMED])}{more}"
    )


def _sender(hit: Interrupt) -> str:
    if hit.task is None:
        return "an unknown CPU" if hit.from_cpu is None else f"cpu {hit.from_cpu}"
    return f"the flush of task {hit.task} (operation {hit.op})"


def _narrate_unfinished(op: Unfinished) -> list[str]:
    if op.areas and not op.findings:
        return [
            f"operation {op.op}: has no row in the log; its row of the trace unmaps what another row mapped, "
            f"or the run ended before it, at {format_instant(op.ended_ns)}"
        ]
    why = "; ".join(op.findings) or "the reason is not recorded"
    lines = [
        f"operation {op.op}: never finished, so it has no row in the log; the run ended at "
        f"{format_instant(op.ended_ns)}: {why}"
    ]
    if op.events:
        task = "" if op.task is None else f" of task {op.task}"
        lines.append(f"  events in the log{task}:")
        lines += [f"    {line}" for line in _event_lines(op.events)]
    else:
        lines.append("  the log has no events of this operation; it may not have started")
    return lines


def _event_lines(events: Iterable[dict]) -> list[str]:
    lines = [
        f"at {format_instant(e['time_ns'])}: {e['event']}"
        + (f" for {microseconds(e['duration_ns'])}" if e["duration_ns"] else "")
        + f", cpu {e['cpu']}"
        for e in events
    ]
    if len(lines) > _MOST_LINES:
        lines[_MOST_LINES:] = [f"and {len(lines) - _MOST_LINES:,} more events"]
    return lines


def _times(noun: str, count: int) -> str:
    return noun if count == 1 else _count(count, noun)
