"""Events of the kernel's kmap pool as tracefs text; sched_switch events, if present, give CPU times."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline.errors import UsageError
from pipeline.importing.importer import ImportedRows, Importer, ReadOptions
from pipeline.importing.kmap_pool.events import ENTER, MAPPED, UNMAPPED
from pipeline.importing.kmap_pool.missing_fields import fill_missing
from pipeline.importing.kmap_pool.operations import import_events
from pipeline.importing.kmap_pool.tracefs import read_tracefs
from pipeline.importing.text.blocks import read_head
from pipeline.io.files import readable_file

_SNIFFED_BYTES = 1 << 20
_POOL_EVENT = re.compile(rb": (?:ke|km|ku): \(k(?:un)?map_high\+")


def _sniff(path: Path) -> bool:
    """Return whether the file at `path` looks like this format."""
    return _POOL_EVENT.search(read_head(path, _SNIFFED_BYTES)) is not None


def _read_recording(path: Path, options: ReadOptions) -> ImportedRows:
    """Read the recording at `path`; times in ticks require `options.tsc_ghz`, their frequency.

    If the scheduler was recorded, a task is on a CPU from the switch to it until the switch away. Interrupts
    count as CPU time, and waiting for a CPU as time off CPU. Raises UsageError if the frequency is missing
    and InputError if the file does not have this format.
    """
    events = read_tracefs(readable_file(path, "tracefs text"), with_scheduler=True)
    ghz = options.tsc_ghz if events.in_ticks else 1.0
    if ghz is None:
        raise UsageError(
            f"{path}: the times are ticks of the time-stamp counter; give its frequency with --tsc-ghz"
        )
    # Relative to the first event, so that doubles have nanosecond precision.
    first = events.time[np.isin(events.code, (ENTER, MAPPED, UNMAPPED))][:1].sum()
    cpu_time, since = events.cpu_time, events.on_cpu_since
    events = replace(
        events,
        time=np.rint((events.time - first) / ghz).astype(np.int64),
        cpu_time=None if cpu_time is None else np.rint(cpu_time / ghz).astype(np.int64),
        on_cpu_since=None if since is None else np.rint((since - first) / ghz).astype(np.int64),
    )
    imported = import_events(fill_missing(events), options.threads)
    imported.lost_events = events.lost
    if events.in_ticks:
        imported.clock = f"x86 time-stamp counter at {ghz} GHz"
    else:
        imported.clock = "the tracer's clock, as printed, cut to microseconds"
    if cpu_time is not None:
        imported.recorder = "kprobes in kmap_high and kunmap_high and sched_switch, tracefs"
    return imported


IMPORTER = Importer(
    "kernel-pool-tracefs",
    "events of the kernel's kmap pool as tracefs text (*.txt, *.txt.zst); times in ticks require --tsc-ghz",
    _sniff,
    _read_recording,
)
