"""What a design must define. A composed simulator has a design's own file in this module's place.

`a` holds the design's state and what it may look at:

    a.options      one record of the options' values
    a.pool         the design's own scalars (fields: POOL), in one record unless it asks for more
    a.slots        one record per slot (fields: SLOT)
    a.pages        one record per page of the trace (fields: PAGE)
    a.percpu       one record per CPU (fields: PERCPU)
    a.queues       one record per wait queue; `a.queues[q].sleepers` tasks sleep in it
    a.spaces       one record per CPU: the `process` whose address space it is in, and when it `entered` that,
                   as a `d.moment`; for designs with NON_GLOBAL, see `traits`
    a.lines        lines of shared memory, for `change_atomically`
    a.tlb          what each CPU's TLB holds, for `invalidate`
    a.evicted      the pages that this step evicted, for `evict`
    a.invalidated  the slots that it invalidated on every CPU, for `invalidate_everywhere`

All of it starts as zeros unless `prepare` says otherwise. `r` is the request: `r.op` (its row of the trace),
`r.page`, `r.task`, `r.process`, `r.kind`, `r.depth` and `r.cpu_map` as the machine set them; `r.step` (0 at
first), `r.budget` and `r.mark` for the design to remember where it is; `r.slot` and `r.served` for it to
answer. `d` is the deed, see `actions`; `d.cpu` is the CPU that runs the step and `d.cpus` their number. With
NON_GLOBAL, `d.moment` is how many switches to other address spaces there were on all CPUs.

This one needs no mapping at all; it stands here so that the engine can be read and checked by itself.
"""

from __future__ import annotations

from typing import Any

from pipeline.allocators.api.actions import DIRECT, DONE
from pipeline.jit.marks import inline


@inline
def map_step(a: Any, r: Any, d: Any) -> int:
    """Do the next step of mapping `r.page`; return an action. On DONE, `r.slot` and `r.served` are set."""
    r.slot = -1
    r.served = DIRECT
    return DONE


@inline
def unmap_step(a: Any, r: Any, d: Any) -> int:
    """Do the next step of unmapping `r.slot`; return an action."""
    return DONE
