"""No temporary mapping at all: every page has its permanent kernel address, as on 64-bit kernels.

Nothing is locked, flushed or waited for, so this is the lower bound of every cost: what a run costs when
mapping is free.
"""

from __future__ import annotations

from typing import Any

from pipeline.allocators.api.actions import DIRECT, DONE
from pipeline.jit.marks import inline

SUMMARY = "lower bound: a 64-bit kernel's permanent map; nothing to do"
SOURCE = "what removing highmem would leave"
BOUND = "lower bound"


@inline
def map_step(a: Any, r: Any, d: Any) -> int:
    """The page's address is known."""
    r.slot = -1
    r.served = DIRECT
    return DONE


@inline
def unmap_step(a: Any, r: Any, d: Any) -> int:
    """Nothing to undo."""
    return DONE
