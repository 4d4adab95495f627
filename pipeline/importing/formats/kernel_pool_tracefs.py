"""The kernel's kmap pool as tracefs text with the scheduler's switches: CPU time and sleep told apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.errors import UsageError
from pipeline.importing.importer import ImportedRows, Importer, ReadOptions
from pipeline.importing.kmap_pool.events import ENTER, MAPPED, UNMAPPED
from pipeline.importing.kmap_pool.operations import import_events
from pipeline.importing.kmap_pool.tracefs import open_by_name, read_tracefs
from pipeline.io.files import readable_file

_SNIFFED_BYTES = 1 << 20


def _sniff(path: Path) -> bool:
    """Whether the file at `path` looks like this format."""
    try:
        with open_by_name(path) as stream:
            head = stream.read(_SNIFFED_BYTES)
    except (OSError, pa.ArrowException):
        return False
    return head.startswith(b"# tracer:") and b": ke: (kmap_high" in head and b": sched_switch: " in head


def _read_recording(path: Path, options: ReadOptions) -> ImportedRows:
    """Read the recording at `path`, made with the trace clock x86-tsc, whose rate `options.tsc_ghz` is.

    A task is on a CPU from the switch to it until the switch away; interrupts count as its own time, and
    waiting for a CPU as time off. Raises UsageError without the rate and InputError when the file is not of
    this format.
    """
    ghz = options.tsc_ghz
    if ghz is None:
        raise UsageError(
            f"{path}: its times count the time-stamp counter's ticks; give its rate with --tsc-ghz"
        )
    events = read_tracefs(readable_file(path, "tracefs text"), with_scheduler=True)
    assert events.cpu_time is not None
    # Counted from the first event, so that doubles keep the nanosecond.
    first = events.time[np.isin(events.code, (ENTER, MAPPED, UNMAPPED))][:1].sum()
    events = replace(
        events,
        time=np.rint((events.time - first) / ghz).astype(np.int64),
        cpu_time=np.rint(events.cpu_time / ghz).astype(np.int64),
    )
    imported = import_events(events, options.threads)
    imported.lost_events = events.lost
    imported.clock = f"x86 time-stamp counter at {ghz} GHz"
    imported.recorder = "kprobes in kmap_high and kunmap_high and sched_switch, tracefs"
    return imported


IMPORTER = Importer(
    "kernel-pool-tracefs",
    "the kernel's kmap pool with sched_switch, tracefs text (*.txt, *.txt.zst), needs --tsc-ghz",
    _sniff,
    _read_recording,
)
