"""Which sleepers an unmap wakes when it frees a slot, and the steps of an unmap under a lock."""

from __future__ import annotations

from pipeline.allocators.api.actions import DONE, LOCK, WAKE_ALL, WAKE_ONE
from pipeline.allocators.api.contract import Option
from pipeline.allocators.api.protocols import Request, State, StepCost
from pipeline.jit.marks import inline

WAKE_OPTION = Option("wake", "all", choices=("all", "one"), help="sleepers that an unmap wakes (kernel: all)")

# Steps of an unmap under a lock. The allocator performs DROP itself: it drops one use, sets the step to WAKE
# or END, and returns UNLOCK.
ASK = 0
DROP = 1
WAKE = 2
END = 3


@inline
def wake(a: State) -> int:
    """Return the wake action for the option `wake`, which the allocator must have."""
    return WAKE_ONE if a.options[0].wake == 1 else WAKE_ALL


@inline
def unmap_around_drop(r: Request, d: StepCost, queue: int, waking: int) -> int:
    """Take any step other than DROP; WAKE returns the action `waking` for a queue."""
    if r.step == ASK:
        r.step = DROP
        return LOCK
    if r.step == WAKE:
        r.step = END
        d.queue = queue
        return waking
    return DONE
