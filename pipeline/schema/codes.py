"""Integer codes of names in memory and in compiled code: the position of a name in its list.

`pipeline.schema.names` defines each list with the meanings of its names.
"""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.schema.names import CPU_CATEGORIES, EVENT_KINDS, FINDINGS, PARTS, SERVED, SITES


def _positions(listed: Iterable[str], names: str) -> list[int]:
    """Return the positions of `names`, which must be all listed names, in any order."""
    names_in_order = list(listed)
    assert sorted(names_in_order) == sorted(names.split()), f"codes of {names_in_order}"
    return [names_in_order.index(name) for name in names.split()]


HIT, MISS, DIRECT, FALLBACK = _positions(SERVED, "hit miss direct fallback")

MAP, UNMAP, WORK = _positions(SITES, "map unmap worker")

PART_WHOLE, PART_MAP, PART_UNMAP = _positions(PARTS, "whole map unmap")

CATEGORIES = len(CPU_CATEGORIES)
(C_IDLE, C_COMPUTE, C_IN_USE, C_CRITICAL, C_SCAN, C_SPIN, C_FLUSH, C_INTERRUPTED, C_SWITCH) = _positions(
    CPU_CATEGORIES, "idle compute in_use critical scan spin flush interrupted switch"
)

(E_SCAN, E_FLUSH, E_IPI, E_LOCAL_FLUSH, E_SLEEP, E_WAKE, E_PIN_WAIT, E_SWITCH, E_RELOCK, E_FALLBACK,
 E_FINDING, E_WORK) = _positions(
    EVENT_KINDS, "scan flush ipi local_flush sleep wake pin_wait switch relock fallback finding work"
)  # fmt: skip

(DEADLOCK, STALE_TRANSLATION, COUNT_UNDERFLOW, LOST_WAKEUP, STARVATION, NESTING_OVERFLOW, UNMAP_OUT_OF_ORDER,
 SLEEP_WHILE_ATOMIC, INVARIANT) = _positions(
    FINDINGS,
    "deadlock stale_translation count_underflow lost_wakeup starvation nesting_overflow unmap_out_of_order "
    "sleep_while_atomic invariant",
)  # fmt: skip
