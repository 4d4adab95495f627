"""Free-running: replay a kernel's recording as a trace, with the simulator's own interleaving.

In lock-step the recording determines the order. Here it determines only what each task does and how long it
takes, and the simulated machine determines the order. A different order leads to a different history, so only
counts and mean durations are compared. The machine's costs are measured in the recording unless a machine is
named.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.importing.import_trace import import_trace
from pipeline.importing.kmap_pool.durations import flush_times
from pipeline.importing.kmap_pool.events import ENTER, FLUSH, MAPPED, SCAN, SLEEP, UNMAPPED, PoolEvents
from pipeline.importing.kmap_pool.lock_schedule import schedule_holds
from pipeline.importing.kmap_pool.recordings import read_pool_events
from pipeline.io.scratch import ScratchDirectory
from pipeline.machine.profile import load_profile
from pipeline.runs.execute import replay
from pipeline.schema.manifest import Manifest
from pipeline.studies.conformance.machine_fit import BASE, MachineFit, measure_prices
from pipeline.studies.table import Table

_WHY = (
    "the simulated machine determines order and durations; near exhaustion the counts depend on them, see "
    "docs/validation.md\n"
)


@dataclass(frozen=True)
class Count:
    """A count or a duration in the kernel and in the simulation."""

    what: str
    kernel: int
    simulated: int

    @property
    def ratio(self) -> float | None:
        """Simulated / kernel; None if the kernel's is 0."""
        return self.simulated / self.kernel if self.kernel else None


@dataclass(frozen=True)
class Comparison:
    """Counts and durations of a free-running replay and of the kernel."""

    recording: Path
    manifest: Manifest
    counts: list[Count]
    fit: MachineFit | None = None
    """Costs measured in the recording; None if a machine was named."""

    def count(self, what: str) -> Count:
        """Return a count by name."""
        return next(count for count in self.counts if count.what == what)

    def text(self) -> str:
        """Tabulate the counts and durations, with the configuration of the replay."""
        columns = {
            "": "what", "kernel": "kernel:,", "simulated": "simulated:,", "simulated / kernel": "ratio:.3f",
        }  # fmt: skip
        m = self.manifest
        head = (
            f"{self.recording.name} as a trace: {m.label} on {m.machine.name}, {m.machine.cpus} CPUs, "
            f"{m.loop} loop, seed {m.seed}\n"
        )
        if self.fit is not None:
            head += self._describe_prices(self.fit)
        return head + Table.of(self.counts, columns).text() + _WHY

    def _describe_prices(self, fit: MachineFit) -> str:
        if not fit.measured:
            return f"costs of {fit.base.name}: none could be measured, see `pipeline fit-machine`\n"
        names = ", ".join(fit.measured)
        return f"costs measured in the recording: {names}; all others are those of {fit.base.name}\n"


def verify_free(
    recording: Path,
    *,
    allocator: str,
    machine: str | None = None,
    options: Mapping[str, str] | None = None,
    tsc_ghz: float | None = None,
    seed: int = 0,
    scale_block: float = 1.0,
) -> Comparison:
    """Replay a recording of the kernel's pool in a closed loop, and compare counts with the kernel.

    The machine has as many CPUs as the recording. The default machine has the costs that `fit_machine`
    measures in the recording. `tsc_ghz` is the rate of the time-stamp counter, which raw tracefs text
    requires. `scale_block` scales the time that tasks block while mapped. Raises the errors of importing and
    replaying.
    """
    path = Path(recording)
    events = read_pool_events(path, with_scheduler=True)
    fit = None
    with ScratchDirectory() as name:
        folder = Path(name)
        trace = folder / "recording.parquet"
        import_trace(path, trace, threads=True, tsc_ghz=tsc_ghz)
        if scale_block != 1.0:
            _scale_block(trace, scale_block)
        if machine is None:
            fit = measure_prices(events, load_profile(BASE), tsc_ghz)
            profile = folder / f"{path.name.split('.')[0]}-machine.toml"
            fit.write(profile)
            machine = str(profile)
        run = replay(
            trace,
            allocator=allocator,
            machine=machine,
            options=options,
            cpus=int(events.cpu.max()) + 1,
            seed=seed,
            events="none",
            output=folder,
        )
    ticks_per_ns = tsc_ghz if events.in_ticks and tsc_ghz else 1.0
    return Comparison(path, run.manifest, _count(events, run.manifest, ticks_per_ns), fit)


def _count(events: PoolEvents, manifest: Manifest, ticks_per_ns: float) -> list[Count]:
    totals = manifest.totals
    simulated_flush_ns = sum(cpu.flush_ns for cpu in totals.cpu_time) / max(totals.flushes, 1)
    simulated_map_ns = totals.map_ns / max(totals.operations, 1)
    counts = [
        Count("maps", _number(events, MAPPED), totals.operations),
        Count("misses", int(schedule_holds(events).takes.sum()), totals.misses),
        Count("scans", _number(events, SCAN), totals.scans),
        Count("TLB flushes", _number(events, FLUSH), totals.flushes),
        Count("sleeps", _number(events, SLEEP), totals.sleeps),
        Count("simultaneous mappings", _most_held(events), totals.max_mapped),
    ]
    for what, ticks, simulated_ns in (
        ("flush, mean us", flush_ns(events), simulated_flush_ns),
        ("request to mapped, mean us", _map_ns(events), simulated_map_ns),
    ):
        counts.append(Count(what, round(ticks / ticks_per_ns / 1000), round(simulated_ns / 1000)))
    return counts


def flush_ns(events: PoolEvents) -> float:
    """Mean time that a flush held the lock, in units of `time`; 0 if there was no flush."""
    times = flush_times(events)
    return float(times.mean()) if len(times) else 0.0


def _map_ns(events: PoolEvents) -> float:
    """Mean time from request to mapped, in units of `time`."""
    after = events.next_of_task(MAPPED)
    asked = np.flatnonzero((events.code == ENTER) & (after < len(events.code)))
    times = events.time[after[asked]] - events.time[asked]
    return float(times.mean()) if len(times) else 0.0


def _scale_block(trace: Path, factor: float) -> None:
    """Scale the time off CPU while mapped, in place."""
    metadata = pq.read_metadata(trace).metadata
    table = pq.read_table(trace)
    at = table.schema.get_field_index("block_ns")
    scaled = np.rint(table.column(at).to_numpy() * factor).astype(np.int64)
    table = table.set_column(at, table.schema.field(at), pa.array(scaled))
    pq.write_table(table.replace_schema_metadata(metadata), trace)


def _number(events: PoolEvents, code: int) -> int:
    return int((events.code == code).sum())


def _most_held(events: PoolEvents) -> int:
    """Most simultaneous mappings, counting only those whose map was recorded."""
    change = np.select([events.code == MAPPED, events.code == UNMAPPED], [1, -1], 0)
    running = np.cumsum(change)
    return int(running.max() - min(int(running.min()), 0))
