"""The smallest queue there is: a map takes the lock, touches one shared entry, and releases it.

The hold is the price of one shared entry, so a run is a single server with a constant service time.
"""

from __future__ import annotations

from typing import Any

from pipeline.machine.simulator.actions import DIRECT, DONE, LOCK, UNLOCK, touch
from pipeline.machine.simulator.kernel import kernel

SUMMARY = "one lock with a fixed hold"


@kernel
def map_step(a: Any, r: Any, d: Any) -> int:
    """Lock, touch, release."""
    r.step += 1
    if r.step == 1:
        return LOCK
    if r.step == 2:
        touch(d, 1)
        return UNLOCK
    r.slot = -1
    r.served = DIRECT
    return DONE


@kernel
def unmap_step(a: Any, r: Any, d: Any) -> int:
    """Nothing to undo."""
    return DONE
