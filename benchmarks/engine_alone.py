"""Run only the compiled engine: rows and log are in memory, without files and other threads."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.allocators.api.contract import parse_options
from pipeline.allocators.registry import load_allocator
from pipeline.machine.compose import compose
from pipeline.machine.drive import build_simulation
from pipeline.machine.engine import records
from pipeline.machine.layout import RunSettings
from pipeline.machine.profile import load_profile
from pipeline.runs.feed import Feed, take_census
from pipeline.trace.reader import Trace, open_trace


class _InMemory(Trace):
    """A trace with all rows decoded before the measurement starts."""

    def __init__(self, trace: Trace) -> None:
        vars(self).update(vars(trace))
        self._decoded = list(trace.batches())

    def batches(
        self, columns: Sequence[str] | None = None, rows: int = 0, threads: bool = True
    ) -> Iterator[pa.RecordBatch]:
        assert columns is None
        del rows, threads
        return iter(self._decoded)


def engine_alone(path: Path, machine: str, cpus: int, allocator: str = "global_pool") -> dict[str, Any]:
    """Replay the trace at `path` in a closed loop; return the seconds in the engine and its counters.

    Rows are decoded before the measurement. They are sorted by task between calls of the engine, which is not
    measured. The log goes into buffers of the usual size, which are reused when they are full.
    """
    opened = open_trace(path)
    census = take_census(opened)
    loaded = load_allocator(allocator)
    options = parse_options(loaded.options, {}, loaded.name)
    profile = load_profile(machine).with_cpus(cpus)
    with Feed(_InMemory(opened), census, path.parent, threaded=False) as feed:
        settings = RunSettings(
            seed=0, loop=records.CLOSED, log=True, chunk_rows=feed.chunk_rows, chunk_slots=feed.chunks,
            levels=census.levels,
        )  # fmt: skip
        simulation = build_simulation(
            compose(loaded), loaded, options, profile, census, settings, feed.storage()
        )
        feed.start(simulation)
        counters = simulation.machine_state.machine[0]
        cpu_s = wall_s = 0.0
        while True:
            before = time.thread_time(), time.perf_counter()
            status = int(
                simulation.simulator.run(simulation.machine_state, simulation.allocator_state, 1 << 40)
            )
            cpu_s += time.thread_time() - before[0]
            wall_s += time.perf_counter() - before[1]
            if status == records.S_NEED_ROWS:
                feed.admit_next()
            elif status == records.S_LOG_FULL:
                counters.operations_logged = 0
                counters.events_logged = 0
            else:
                break
    assert status == records.S_FINISHED
    state = simulation.machine_state
    simulation.simulator.finish(state)
    return {
        **{name: int(counters[name]) for name in counters.dtype.names},
        "cpu_seconds": cpu_s,
        "wall_seconds": wall_s,
        "findings": int(state.findings.count.sum()),
        "sites": [[int(site[name]) for name in site.dtype.names] for site in state.sites],
        "spent": np.asarray(state.spent).tolist(),
    }
