"""The kinds of slices of a timeline, with their tracks and the rows of the log that they show.

A slice is a span of time on a track. Slices on a track nest: each begins and ends within the slice that it
began in. The CPU of a map that slept, and the use of mappings on CPUs, are only in the table of stretches.
Without it, the tracks of CPUs lack them.
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


# Where a design has nothing to do, as for a direct map, there is nothing to show. A task whose mapping
# another task unmaps does other things meanwhile.
_MAPPING, _USING, _UNMAPPING = (
    "mapped_ns > asked_ns",
    "unmap_asked_ns > mapped_ns AND unmap_task = task",
    "done_ns > unmap_asked_ns",
)

_FINDING = f"list_value({str(list(FINDINGS))[1:-1]})[value + 1]"

KINDS: tuple[Kind, ...] = (
    Kind(
        "hold", "lock", "holder of the lock, by side of the operation: map or unmap", "cpu_holds",
        "0", "time_ns", "time_ns + hold_ns", 0,
        {"task": "task", "cpu": "cpu", "lock": "lock"}, {"site": "site"}, named_by="site",
    ),
    Kind(
        "map", "cpu", "map code on this CPU, from request to mapped; for maps that slept, in "
        "runs with stretches only", "map_stretches",
        "cpu", "begin_ns", "end_ns", 0, {"task": "task"},
        {"served": "served"},
    ),
    Kind(
        "use", "cpu", "uninterrupted use of the mapping on this CPU; runs with stretches only",
        "use_stretches", "cpu", "begin_ns", "end_ns", 0, {"task": "task"},
    ),
    Kind(
        "unmap", "cpu", "unmap code", f"operations WHERE {_UNMAPPING}",
        "cpu_unmap", "unmap_asked_ns", "done_ns", 0, {"task": "unmap_task"},
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
        "scan", "cpu", "scan of the slots", "scans",
        "cpu", "time_ns", "time_ns + duration_ns", 2,
        {"task": "task", "scanned": "scanned", "freed": "freed"},
    ),
    Kind(
        "flush", "cpu", "global or directed TLB flush, until the last CPU has responded; "
        "arrows lead to the interrupted CPUs", "flushes LEFT JOIN flushed USING (op, cpu, time_ns)",
        "cpu", "time_ns", "time_ns + duration_ns", 2,
        {"task": "task", "cpus_interrupted": "cpus_interrupted"}, leads_to="arrows",
    ),
    Kind(
        "local flush", "cpu", "flush of the whole TLB by this CPU itself", "local_flushes",
        "cpu", "time_ns", "time_ns + duration_ns", 2, {"task": "task"},
    ),
    Kind(
        "wake", "cpu", "wake-up of sleepers; arrows lead to them",
        "wakes LEFT JOIN woken USING (time_ns, task, queue)",
        "cpu", "time_ns", "time_ns + duration_ns", 2,
        {"task": "task", "queue": "queue", "woken": "woken_tasks"}, leads_to="arrows",
    ),
    Kind(
        "finding", "cpu", "hazard", "hazards",
        "cpu", "time_ns", None, 9, {"task": "task", "slot": "slot"}, {"finding": _FINDING},
        named_by="finding",
    ),
    Kind(
        "ipi", "interrupts", "interrupt for another CPU's flush, which delays the running task", "ipis",
        "cpu", "time_ns", "time_ns + duration_ns", 0, {"task": "task", "from_cpu": "other"},
        comes_from="arrow",
    ),
    Kind(
        "operation", "task", "one mapping operation, from request to unmapped, or to mapped if another task "
        "unmaps", "operations",
        "task", "asked_ns", "CASE WHEN unmap_task = task THEN done_ns ELSE mapped_ns END", 0,
        {
            "page": "page", "slot": "slot", "process": "process", "depth": "depth", "probed": "probed",
            "scanned": "scanned", "map_wait_ns": "map_wait_ns", "map_hold_ns": "map_hold_ns",
            "unmap_wait_ns": "unmap_wait_ns", "unmap_hold_ns": "unmap_hold_ns", "asleep_ns": "asleep_ns",
        },
        {"kind": "kind", "served": "served"}, named_by="kind",
    ),
    Kind(
        "map", "task", "from request to mapped", f"operations WHERE {_MAPPING}",
        "task", "asked_ns", "mapped_ns", 1,
    ),
    Kind(
        "use", "task", "mapped, including time off the CPU and nested operations",
        f"operations WHERE {_USING}",
        "task", "mapped_ns", "unmap_asked_ns", 1, counter="mappings in force",
    ),
    Kind(
        "unmap", "task", "from unmap request to done", f"operations WHERE {_UNMAPPING}",
        "unmap_task", "unmap_asked_ns", "done_ns", 1, counter="mappings in force",
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
        "woken", "task", "end of a sleep; an arrow leads here from the wake-up", "sleepers",
        "task", "time_ns + duration_ns", None, 9, {"woken_by": "woken_by"}, comes_from="arrow",
    ),
    Kind(
        "pin wait", "task", "ready, but pinned to a CPU that ran another task", "pin_waits",
        "task", "time_ns", "time_ns + duration_ns", 2, {"cpu": "cpu", "idle_cpus": "idle_cpus"},
    ),
)  # fmt: skip


def describe_slices() -> str:
    """Return all kinds of slices as a Markdown table, by track."""
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
