"""The costs of the machine, and the work of an allocator's step to which each applies.

Everything about costs follows from one table: the cost record that the engine reads, the cost of a step, the
required keys of a profile, and the documentation of the costs. To add a mechanism, add an entry. If steps use
it, also add the function of `pipeline.allocators.api.counts` that counts it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipeline.allocators.api.protocols import StepRecord, StepSpecials


@dataclass(frozen=True)
class CostKind:
    """One cost: its name in profiles, its meaning and its limits.

    `per` is the function of `counts` for the work to which the cost applies, and `booked` is the category of
    that CPU time. The engine itself applies all costs without `per`. A cost with a `default` is optional in a
    profile; the default is a value, or the name of the cost whose value is used.
    """

    name: str
    doc: str
    per: str = ""
    booked: Literal["critical", "scan", "flush"] = "critical"
    unit: str = "ns"
    minimum: int = 0
    maximum: int = 1_000_000_000
    default: int | str | None = None


_COST_KINDS = (
    CostKind("shared_entry_ns", "read or change one entry shared by all CPUs (a slot's count)",
             per="shared_entries"),
    CostKind("recent_entry_ns", "read or change one shared entry that this CPU touched shortly before",
             per="recent_entries"),
    CostKind("local_entry_ns", "read or change one entry that only this CPU uses", per="local_entries"),
    CostKind("probe_ns", "examine one slot in search of a free one", per="probes"),
    CostKind("scan_slot_ns", "examine one slot's count in a scan of consecutive slots",
             per="scanned", booked="scan"),
    CostKind("free_slot_ns", "free one slot in a scan: its count, its PTE and its page's reference to it",
             per="freed", booked="scan"),
    CostKind("pte_write_ns", "write or clear one page-table entry", per="pte_writes"),
    CostKind("invalidate_ns", "invalidate one address in the local TLB (invlpg)",
             per="invalidations", booked="flush"),
    CostKind("walk_ns", "page-table walk at the first touch of a mapping on a CPU"),
    CostKind("walks_always", "1: every use of a mapping walks the page table, as if TLBs kept no entry",
             unit="0 | 1", maximum=1, default=0),
    CostKind("tlb_flush_ns", "flush the local TLB"),
    CostKind("tlb_refill_ns", "refill the TLB after a full flush, on every CPU flushed"),
    CostKind("broadcast", "1: hardware broadcasts TLB maintenance and no IPI is sent",
             unit="0 | 1", maximum=1),
    CostKind("broadcast_ns", "broadcast invalidation and barrier, until every CPU has completed it"),
    CostKind("flush_range_slots", "maximum number of consecutive addresses that a flush invalidates one by "
             "one; a longer flush is of the whole TLB; 0: always the whole TLB", unit="slots", default=0),
    CostKind("flushes_queue", "1: a flush that interrupts CPUs waits until the previous one has ended",
             unit="0 | 1", maximum=1, default=0),
    CostKind("switch_empties_tlb", "1: a switch of address spaces empties the TLB of non-global entries",
             unit="0 | 1", maximum=1, default=1),
    CostKind("ipi_send_ns", "send one IPI; a flush sends its IPIs one after another"),
    CostKind("ipi_latency_ns", "from sending an IPI to the start of its handler"),
    CostKind("ipi_handler_ns", "IPI handler, from start to acknowledgement; stolen from its CPU"),
    CostKind("hold_per_spinner_ns", "delay of a release for each spinning CPU; part of the hold time"),
    CostKind("handoff_local_ns", "release to next acquisition by a spinner on the same node"),
    CostKind("handoff_remote_ns", "release to next acquisition by a spinner on another node"),
    CostKind("handoff_per_spinner_ns", "added to a hand-off for each spinner beyond the first"),
    CostKind("handoff_spread_percent", "unfair arbitration: random variation of each hand-off, +-",
             unit="%", maximum=100),
    CostKind("barging_percent", "unfair arbitration: newcomers that overtake a hand-off in progress",
             unit="%", maximum=100),
    CostKind("starvation_passes", "a waiter passed over more often is a finding; 0: not checked",
             unit="times"),
    CostKind("interrupt_gap_ns", "mean time between two device or timer interrupts of one CPU, at least "
             "1,000; 0: none"),
    CostKind("interrupt_ns", "shortest device interrupt; one longer than x has probability shortest / x"),
    CostKind("interrupt_max_ns", "longest device interrupt"),
    CostKind("switch_ns", "context switch"),
    CostKind("wake_ns", "wake one task; paid by the waking task"),
    CostKind("timeslice_ns", "time for which a computing task keeps its CPU while others wait", minimum=1),
    CostKind("preempt_after_ns", "computing time after which a task gives way to one that becomes ready and "
             "last ran on its CPU; 0: never", default=0),
    CostKind("track_switch_ns", "added to a switch of address spaces that a design must track", default=0),
    CostKind("atomic_ns", "one atomic operation on a cache line that the CPU owns; taking a lock is one",
             default="recent_entry_ns"),
    CostKind("line_transfer_ns", "transfer of a cache line that another CPU changed last",
             default="shared_entry_ns"),
)  # fmt: skip

COST_KINDS = {kind.name: kind for kind in _COST_KINDS}


MOST_WORK_NS = 1 << 54
"""Maximum time of the work, the scans or the flushes of one step: far beyond the end of simulated time."""

# More entries than any table has. Its product with the highest cost is below 2**61, so a step may add this
# product three times. The engine then limits the time of the step to MOST_WORK_NS.
_MOST_COUNTED = 1 << 31

PRICES_OF_STEPS = tuple(name for name, kind in COST_KINDS.items() if kind.per)
"""Names of the costs in the record of a step, where the counting functions find them."""

_MODULE = '''"""{doc}; written from `pipeline.machine.costs`."""

from __future__ import annotations

from pipeline.jit.marks import inline
'''


def step_record_source() -> str:
    """Source of the module that replaces `engine.step_record`."""
    often, seldom = (
        [f"d.{name} = {getattr(fields, name, 0)}\n" for name in fields.__annotations__]
        for fields in (StepRecord, StepSpecials)
    )
    text = _MODULE.format(doc="Begins a step") + "\n\n@inline\ndef reset(d):\n    if d.special != 0:\n"
    return text + "        ".join(["", *seldom]) + "    ".join(["", *often])


def counts_source() -> str:
    """Source of the module that replaces `allocators.api.counts`: it adds the cost of the counted work."""
    text = _MODULE.format(doc="Prices what a step does")
    for kind in COST_KINDS.values():
        if kind.per:
            total = "work" if kind.booked == "critical" else kind.booked
            text += f"\n\n@inline\ndef {kind.per}(d, number):\n"
            text += f"    number = min(max(number, 0), {_MOST_COUNTED})\n"
            text += f"    d.{total}_ns += number * d.{kind.name}\n"
            if kind.per in StepRecord.__annotations__ | StepSpecials.__annotations__:
                text += f"    d.{kind.per} += number\n"
    return text
