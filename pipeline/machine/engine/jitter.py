"""Jitter: think and wait times of the trace are scaled slightly, so one trace gives many different runs.

A multiprocessor amplifies small differences in timing: the order in which tasks reach a lock affects
everything that follows. One run shows one of many possible paths; runs with slightly different times show
others. (A. R. Alameldeen and D. A. Wood, Variability in architectural simulations of multi-threaded
workloads, HPCA 2003, add to each cache miss a latency that is uniform from zero to a few per cent of the miss
latency.) Here a time is multiplied by a factor that is uniform within 1 +- the jitter. Its mean is 1, so the
load remains that of the trace. It is bounded, so no time becomes negative or an outlier. Zero stays zero.

The factor depends only on seed, purpose and row. All allocators replayed with the same seed get the same
times.
"""

from __future__ import annotations

import math

from pipeline.jit.marks import entry, inline
from pipeline.machine.engine import accounting
from pipeline.machine.engine.tables import MachineState


@inline
def _change_ns(w: MachineState, ns: int, purpose: int, op: int, share: float) -> int:
    """Return the change of `ns`: uniform within +- `share` of it, rounded."""
    luck = accounting.draw(w.machine[0].seed, purpose, op, 0)
    return math.floor(ns * (share * (2 * luck + 1 - 65536) / 65536) + 0.5)


@entry
def scale_times(w: MachineState, slot: int, rows: int, share: float) -> None:
    """Scale the think and wait times of the `rows` rows in `slot`, which are arranged and not yet admitted.

    `share` is the jitter, 0 to 1. The recorded time changes with them: the time before the row's wait stays
    the same. In a timed loop, a row is therefore earlier or later by the change of its own think and wait
    times, and the changes do not add up along the trace.

    The times of a nested row are parts of the use and the blocks of the mapping around it, which are not
    scaled. They are not scaled either, and the row is earlier or later with its outermost row.
    """
    first = slot * w.machine[0].chunk_rows
    end = first + rows
    while first < end:
        run = w.runs[first]
        tk = w.tasks[run.task]
        for at in range(first, first + run.rows):
            row = w.rows[at]
            if row.depth == 0:
                think_ns = _change_ns(w, row.think_ns, accounting.DRAW_THINK, row.op, share)
                wait_ns = _change_ns(w, row.wait_ns, accounting.DRAW_WAIT, row.op, share)
                row.think_ns += think_ns
                row.wait_ns += wait_ns
                tk.jitter_ns = max(think_ns + wait_ns, -row.time_ns)
            row.time_ns += tk.jitter_ns
        first += run.rows
