"""What a timeline shows: every kind of slice, on which track it lies and from which rows of the log it comes.

A slice is a stretch of time on a track. Slices on one track nest: each begins and ends within the one that it
began in. Where a map ran that slept, and when a mapping was in use on a CPU, only the table of stretches
tells: of a run without it, the CPUs' tracks lack these.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pipeline.io.tables import markdown_table
from pipeline.schema.names import FINDINGS

Group = Literal["run", "lock", "cpu", "interrupts", "task"]

# Tracks in the order in which they are shown: the group's heading, then how one of its tracks is called.
GROUPS: dict[Group, tuple[str, str]] = {
    "run": ("Run", "run"),
    "lock": ("Lock", "lock holder"),
    "cpu": ("CPUs", "cpu {}"),
    "interrupts": ("CPUs interrupted", "cpu {} interrupted"),
    "task": ("Tasks", "task {}"),
}

# Counters: how many slices of the kinds that name it are open.
COUNTERS = ("CPUs spinning", "tasks asleep", "mappings in force")


@dataclass(frozen=True)
class Kind:
    """One kind of slice: SQL expressions over the rows of `source`, which follows FROM, and what they mean.

    `lane` numbers the track in its group. `level` is how deep slices of this kind lie in others that begin at
    the same moment. `numbers` and `texts` become arguments, by name; `named_by` is the text that is the
    slice's name instead of `name`. `leads_to` is a list of flow ids that start here, `comes_from` the one
    that ends here. An instant has no `end`.
    """

    name: str
    group: Group
    doc: str
    source: str
    lane: str
    begin: str
    end: str | None
    level: int
    numbers: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    named_by: str | None = None
    counter: str | None = None
    leads_to: str | None = None
    comes_from: str | None = None
    op: str = "op"

    @property
    def title(self) -> str:
        """What the slice is called, or what its name says."""
        return f"(its {self.named_by})" if self.named_by else self.name


# Where a design has nothing to do, as for a direct map, there is nothing to show.
_MAPPING, _USING, _UNMAPPING = (
    "mapped_ns > asked_ns",
    "unmap_asked_ns > mapped_ns",
    "done_ns > unmap_asked_ns",
)

_FINDING = f"list_value({str(list(FINDINGS))[1:-1]})[value + 1]"

KINDS: tuple[Kind, ...] = (
    Kind(
        "hold", "lock", "who held the lock, by the side of the operation: map or unmap", "cpu_holds",
        "0", "time_ns", "time_ns + hold_ns", 0,
        {"task": "task", "cpu": "cpu", "lock": "lock"}, {"site": "site"}, named_by="site",
    ),
    Kind(
        "map", "cpu", "map code, from asking to mapped, as far as it ran here; that of maps that slept, in "
        "runs with stretches only", "map_stretches",
        "cpu", "begin_ns", "end_ns", 0, {"task": "task"},
        {"served": "served"},
    ),
    Kind(
        "use", "cpu", "the mapping was in use here, without interruption; runs with stretches only",
        "use_stretches", "cpu", "begin_ns", "end_ns", 0, {"task": "task"},
    ),
    Kind(
        "unmap", "cpu", "unmap code", f"operations WHERE {_UNMAPPING}",
        "cpu_unmap", "unmap_asked_ns", "done_ns", 0, {"task": "task"},
    ),
    Kind(
        "switch", "cpu", "context switch to a task", "switches",
        "cpu", "time_ns", "time_ns + duration_ns", 0, {"task": "task", "from_task": "other"},
    ),
    Kind(
        "lock wait", "cpu", "spinning for the lock", "cpu_waits WHERE cpu IS NOT NULL",
        "cpu", "time_ns", "time_ns + wait_ns", 1,
        {"task": "task", "lock": "lock", "holder": "holder", "flush_op": "flush_op"},
    ),
    Kind(
        "hold", "cpu", "holding the lock", "cpu_holds WHERE cpu IS NOT NULL",
        "cpu", "time_ns", "time_ns + hold_ns", 1, {"task": "task", "lock": "lock"},
    ),
    Kind(
        "scan", "cpu", "a pass over the slots", "scans",
        "cpu", "time_ns", "time_ns + duration_ns", 2,
        {"task": "task", "scanned": "scanned", "freed": "freed"},
    ),
    Kind(
        "flush", "cpu", "global or directed TLB flush, until the slowest CPU has answered; "
        "arrows lead to the CPUs that it interrupted", "flushes LEFT JOIN flushed USING (op, cpu, time_ns)",
        "cpu", "time_ns", "time_ns + duration_ns", 2,
        {"task": "task", "cpus_interrupted": "cpus_interrupted"}, leads_to="arrows",
    ),
    Kind(
        "local flush", "cpu", "this CPU's whole TLB flushed by itself", "local_flushes",
        "cpu", "time_ns", "time_ns + duration_ns", 2, {"task": "task"},
    ),
    Kind(
        "wake", "cpu", "waking sleepers; arrows lead to them",
        "wakes LEFT JOIN woken USING (time_ns, task, queue)",
        "cpu", "time_ns", "time_ns + duration_ns", 2,
        {"task": "task", "queue": "queue", "woken": "woken_tasks"}, leads_to="arrows",
    ),
    Kind(
        "finding", "cpu", "a hazard was met", "hazards",
        "cpu", "time_ns", None, 9, {"task": "task", "slot": "slot"}, {"finding": _FINDING},
        named_by="finding",
    ),
    Kind(
        "ipi", "interrupts", "answering another CPU's flush: the time stolen from whatever ran", "ipis",
        "cpu", "time_ns", "time_ns + duration_ns", 0, {"task": "task", "from_cpu": "other"},
        comes_from="arrow",
    ),
    Kind(
        "operation", "task", "one mapping operation, from asking to map to unmapped", "operations",
        "task", "asked_ns", "done_ns", 0,
        {
            "page": "page", "slot": "slot", "process": "process", "depth": "depth", "probed": "probed",
            "scanned": "scanned", "map_wait_ns": "map_wait_ns", "map_hold_ns": "map_hold_ns",
            "unmap_wait_ns": "unmap_wait_ns", "unmap_hold_ns": "unmap_hold_ns", "asleep_ns": "asleep_ns",
        },
        {"kind": "kind", "served": "served"}, named_by="kind",
    ),
    Kind(
        "map", "task", "from asking to mapped", f"operations WHERE {_MAPPING}",
        "task", "asked_ns", "mapped_ns", 1,
    ),
    Kind(
        "use", "task", "mapped; time off CPU and nested operations are within it",
        f"operations WHERE {_USING}",
        "task", "mapped_ns", "unmap_asked_ns", 1, counter="mappings in force",
    ),
    Kind(
        "unmap", "task", "from asking to unmap to done", f"operations WHERE {_UNMAPPING}",
        "task", "unmap_asked_ns", "done_ns", 1, counter="mappings in force",
    ),
    Kind(
        "lock wait", "task", "spinning for the lock", "cpu_waits",
        "task", "time_ns", "time_ns + wait_ns", 2,
        {"cpu": "cpu", "lock": "lock", "holder": "holder", "flush_op": "flush_op"}, counter="CPUs spinning",
    ),
    Kind(
        "asleep", "task", "asleep for a slot", "sleeps",
        "task", "time_ns", "time_ns + duration_ns", 2,
        {"queue": "queue", "woken_by": "woken_by"}, counter="tasks asleep",
    ),
    Kind(
        "woken", "task", "a sleep has ended; an arrow leads here from the wake-up", "sleepers",
        "task", "time_ns + duration_ns", None, 9, {"woken_by": "woken_by"}, comes_from="arrow",
    ),
    Kind(
        "pin wait", "task", "ready, but pinned to a CPU that ran another task", "pin_waits",
        "task", "time_ns", "time_ns + duration_ns", 2, {"cpu": "cpu", "idle_cpus": "idle_cpus"},
    ),
)  # fmt: skip


def describe_slices() -> str:
    """Return every kind of slice as a Markdown table, by track."""
    return markdown_table(
        ("track", "slice", "what", "arguments"),
        (
            (
                GROUPS[k.group][0],
                k.title,
                k.doc,
                ", ".join(("op", *k.numbers, *(text for text in k.texts if text != k.named_by))),
            )
            for group in GROUPS
            for k in KINDS
            if k.group == group
        ),
    )
