"""Free-running: a kernel's recording replayed as a trace, with the simulator's own interleaving.

In lock-step the recording gives the order; here it gives only what each task did and how long it took, and
the simulated machine decides who comes first. No equality is possible, because a different order makes a
different history: what is compared is how often each thing happened.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.listing import listing
from pipeline.runs.replay import replay
from pipeline.runs.schema import Manifest
from pipeline.trace.import_trace import import_trace
from pipeline.verify.recording import FLUSH, MAPPED, SCAN, SLEEP, UNMAPPED, PoolEvents, read_pool_events
from pipeline.verify.turns import turns_of


@dataclass(frozen=True)
class Count:
    """How often one thing happened in the kernel and in the simulation."""

    what: str
    kernel: int
    simulated: int

    @property
    def ratio(self) -> float | None:
        """Simulated / kernel; None where the kernel had none."""
        return self.simulated / self.kernel if self.kernel else None


@dataclass(frozen=True)
class Comparison:
    """A free-running replay beside the kernel's own answer."""

    recording: Path
    manifest: Manifest
    counts: list[Count]

    def text(self) -> str:
        """The counts as a table, with what was replayed on what."""
        rows = [("", "kernel", "simulated", "simulated / kernel")]
        rows += [
            (c.what, f"{c.kernel:,}", f"{c.simulated:,}", "-" if c.ratio is None else f"{c.ratio:.3f}")
            for c in self.counts
        ]
        m = self.manifest
        head = (
            f"{self.recording.name} as a trace: {m.label} on {m.machine.name}, {m.machine.cpus} CPUs, "
            f"{m.loop} loop, seed {m.seed}\n"
        )
        return head + listing(rows)


def verify_free(
    recording: Path,
    *,
    allocator: str,
    machine: str,
    options: Mapping[str, str] | None = None,
    tsc_ghz: float | None = None,
) -> Comparison:
    """Import a recording of the kernel's pool, replay it in a closed loop, and count beside the kernel.

    The machine gets as many CPUs as the recording shows. `tsc_ghz` is the rate of the time-stamp counter,
    which raw tracefs text needs. Raises what importing and replaying raise.
    """
    events = read_pool_events(Path(recording))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        trace = folder / "recording.parquet"
        import_trace(Path(recording), trace, threads=True, tsc_ghz=tsc_ghz)
        run = replay(
            trace,
            allocator=allocator,
            machine=machine,
            options=options,
            cpus=int(events.cpu.max()) + 1,
            events="none",
            output=folder,
        )
    totals = run.manifest.totals
    counts = [
        Count("maps", _number(events, MAPPED), totals.operations),
        Count("misses", int(turns_of(events).takes.sum()), totals.misses),
        Count("scans", _number(events, SCAN), totals.scans),
        Count("TLB flushes", _number(events, FLUSH), totals.flushes),
        Count("sleeps", _number(events, SLEEP), totals.sleeps),
        Count("most mappings held at once", _most_held(events), totals.max_mapped),
    ]
    return Comparison(Path(recording), run.manifest, counts)


def _number(events: PoolEvents, code: int) -> int:
    return int((events.code == code).sum())


def _most_held(events: PoolEvents) -> int:
    """Most mappings in force at once, of those that the recording saw being made."""
    change = np.select([events.code == MAPPED, events.code == UNMAPPED], [1, -1], 0)
    running = np.cumsum(change)
    return int(running.max() - min(int(running.min()), 0))
