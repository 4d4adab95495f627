"""Whether a machine's interrupts leave its CPUs time for work."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

LEAST_GAP_NS = 1_000
MOST_PERCENT = 90
"""Maximum mean share of a CPU's time that its device and timer interrupts may take."""

# Number of random bits that determine the length of an interrupt.
_LUCK_BITS = 16


def mean_interrupt_ns(shortest_ns: int, longest_ns: int) -> float:
    """Mean length of the interrupts that `pipeline.machine.engine.interrupts` draws."""
    luck = np.arange(1, (1 << _LUCK_BITS) + 1)
    return float(np.minimum((shortest_ns << _LUCK_BITS) // luck, longest_ns).mean())


def explain_interrupt_load(costs: Mapping[str, int]) -> str:
    """Say why simulated work would make no progress with these costs, by name; "" if it would."""
    gap_ns = costs["interrupt_gap_ns"]
    if gap_ns == 0:
        return ""
    if gap_ns < LEAST_GAP_NS:
        return f"cost interrupt_gap_ns: expected 0 or at least {LEAST_GAP_NS:,} ns, found {gap_ns:,}"
    mean_ns = mean_interrupt_ns(costs["interrupt_ns"], costs["interrupt_max_ns"])
    if mean_ns * 100 <= gap_ns * MOST_PERCENT:
        return ""
    return (
        f"cost interrupt_gap_ns: expected interrupts to take at most {MOST_PERCENT}% of a CPU's time, found "
        f"one every {gap_ns:,} ns that takes {mean_ns:,.0f} ns on average; raise interrupt_gap_ns, or lower "
        "interrupt_ns or interrupt_max_ns"
    )
