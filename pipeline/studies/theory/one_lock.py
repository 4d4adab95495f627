"""A minimal queue: a map takes the lock, touches shared entries, and releases the lock.

With `hold=fixed` it touches one entry, so a run is a single server with a constant service time. With
`hold=page` the page number is the number of entries. If an entry costs 1 ns, the page column of the trace
contains the holds in ns, and service times have the distribution of that column.
"""

from __future__ import annotations

from pipeline.allocators.api.actions import DONE, LOCK, UNLOCK
from pipeline.allocators.api.contract import Option
from pipeline.allocators.api.effects import touch
from pipeline.allocators.api.protocols import Request, State, StepCost
from pipeline.jit.marks import inline
from pipeline.schema.codes import DIRECT

SUMMARY = "one lock with a hold that is fixed or given by the page"
OPTIONS = (
    Option(
        "hold", "fixed", choices=("fixed", "page"), help="number of entries touched: 1, or the page number"
    ),
)


@inline
def map_step(a: State, r: Request, d: StepCost) -> int:
    """Take the lock, touch entries, release the lock."""
    r.step += 1
    if r.step == 1:
        return LOCK
    if r.step == 2:
        touch(d, r.page if a.options[0].hold == 1 else 1)
        return UNLOCK
    r.slot = -1
    r.served = DIRECT
    return DONE


@inline
def unmap_step(a: State, r: Request, d: StepCost) -> int:
    """Nothing to undo."""
    return DONE
