"""The mechanisms of the machine: the price of each, and what of an allocator's step it is the price of.

One table. From it follow the record of prices that the engine reads, the pricing of a step, what a profile
must name, and the documentation of the prices. A new mechanism is one entry, and where steps use it, the
function of `pipeline.allocators.api.counts` that they count it with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipeline.allocators.api.protocols import StepRecord, StepSpecials


@dataclass(frozen=True)
class CostKind:
    """One cost: its name in profiles, its meaning and its limits.

    `per` is the function of `counts` that counts what it is the price of, and `booked` the sort of CPU time
    that this takes; the engine itself applies the prices of all else. A profile need not name a cost that has
    a `default`: a value, or the name of the cost whose value it has.
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
    CostKind("shared_entry_ns", "read or change one entry that all CPUs share (a slot's count)",
             per="shared_entries"),
    CostKind("recent_entry_ns", "the same, for one this CPU touched shortly before", per="recent_entries"),
    CostKind("local_entry_ns", "read or change one entry that only this CPU uses", per="local_entries"),
    CostKind("probe_ns", "look at one slot in search of a free one", per="probes"),
    CostKind("scan_slot_ns", "look at one slot in a scan: its count, in a row with others",
             per="scanned", booked="scan"),
    CostKind("free_slot_ns", "make one slot free in a scan: its count, its PTE and the page that it mapped",
             per="freed", booked="scan"),
    CostKind("pte_write_ns", "write or clear one page-table entry", per="pte_writes"),
    CostKind("invalidate_ns", "invalidate one address in the own TLB (invlpg)",
             per="invalidations", booked="flush"),
    CostKind("walk_ns", "page-table walk at the first touch of a mapping on a CPU"),
    CostKind("walks_always", "1: every use of a mapping walks the page table, as if TLBs kept nothing",
             unit="0 | 1", maximum=1, default=0),
    CostKind("tlb_flush_ns", "flush the own TLB"),
    CostKind("tlb_refill_ns", "refill after a whole-TLB flush, on every CPU flushed"),
    CostKind("broadcast", "1: TLB maintenance is broadcast by hardware, no IPI is sent",
             unit="0 | 1", maximum=1),
    CostKind("broadcast_ns", "broadcast invalidation and barrier, until every CPU has done it"),
    CostKind("flush_range_slots", "a flush of so many addresses in a row, at most, invalidates one after "
             "another; a longer one, the whole TLB; 0: always that", unit="slots", default=0),
    CostKind("flushes_queue", "1: a flush that interrupts CPUs waits until another is over",
             unit="0 | 1", maximum=1, default=0),
    CostKind("switch_empties_tlb", "1: a switch of address spaces empties the TLB of entries not global",
             unit="0 | 1", maximum=1, default=1),
    CostKind("ipi_send_ns", "send one IPI; a flush sends them one after another"),
    CostKind("ipi_latency_ns", "from sending an IPI to its handler's start"),
    CostKind("ipi_handler_ns", "the handler, from start to acknowledgement; stolen from its CPU"),
    CostKind("hold_per_spinner_ns", "delay of a release for each spinning CPU; part of the hold"),
    CostKind("handoff_local_ns", "from a release to the next acquisition by a spinner on the same node"),
    CostKind("handoff_remote_ns", "the same for a spinner on another node"),
    CostKind("handoff_per_spinner_ns", "added to a hand-off for each spinner beyond the first"),
    CostKind("handoff_spread_percent", "unfair arbitration: each hand-off varies by this much, +-",
             unit="%", maximum=100),
    CostKind("barging_percent", "unfair arbitration: newcomers that overtake a hand-off under way",
             unit="%", maximum=100),
    CostKind("starvation_passes", "a waiter passed over more often is a finding; 0: not looked for",
             unit="times"),
    CostKind("interrupt_gap_ns", "mean time between two device or timer interrupts of one CPU, at least "
             "1,000; 0: none"),
    CostKind("interrupt_ns", "the shortest of them; one longer than x has probability shortest / x"),
    CostKind("interrupt_max_ns", "the longest of them"),
    CostKind("switch_ns", "context switch"),
    CostKind("wake_ns", "wake one task, paid by the waker"),
    CostKind("timeslice_ns", "how long a computing task keeps its CPU while others wait", minimum=1),
    CostKind("preempt_after_ns", "a task that becomes ready takes the CPU it last ran on from one that has "
             "computed there for so long; 0: never", default=0),
    CostKind("track_switch_ns", "added to a switch of address spaces if a design must know of it", default=0),
    CostKind("atomic_ns", "one atomic operation on a line of memory that the CPU has to itself; "
             "taking a lock is one",
             default="recent_entry_ns"),
    CostKind("line_transfer_ns", "until a line that another CPU changed last has come",
             default="shared_entry_ns"),
)  # fmt: skip

COST_KINDS = {kind.name: kind for kind in _COST_KINDS}


MOST_WORK_NS = 1 << 54
"""Most that the work, the scans or the flushes of one step take: long after the end of simulated time."""

# More than any table has entries. Its product with the highest price has less than 2**61, so that a step may
# count so many three times; the engine then cuts what the step takes to MOST_WORK_NS.
_MOST_COUNTED = 1 << 31

PRICES_OF_STEPS = tuple(name for name, kind in COST_KINDS.items() if kind.per)
"""The prices that are kept in the record of a step, where counting finds them."""

_MODULE = '''"""{doc}; written from `pipeline.machine.costs`."""

from __future__ import annotations

from pipeline.jit.marks import inline
'''


def step_record_source() -> str:
    """Source of the module that stands in the place of `engine.step_record`."""
    often, seldom = (
        [f"d.{name} = {getattr(fields, name, 0)}\n" for name in fields.__annotations__]
        for fields in (StepRecord, StepSpecials)
    )
    text = _MODULE.format(doc="Begins a step") + "\n\n@inline\ndef reset(d):\n    if d.special != 0:\n"
    return text + "        ".join(["", *seldom]) + "    ".join(["", *often])


def counts_source() -> str:
    """Source of the module that stands in the place of `allocators.api.counts`: it prices what it counts."""
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
