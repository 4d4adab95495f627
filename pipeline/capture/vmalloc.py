"""Recording the kernel's areas of vmalloc: the events, and what is common to all recorders of areas."""

from __future__ import annotations

from pathlib import Path

from pipeline.capture.recorder import Recording
from pipeline.errors import InputError
from pipeline.importing.vmalloc.recording import is_recording

EVENTS = ("vmalloc:alloc_vmap_area", "vmalloc:free_vmap_area_noflush", "vmalloc:purge_vmap_area_lazy")
REMEDY = "take Linux 6.3 or later, built with CONFIG_EVENT_TRACING"
# A clock that all CPUs share, as the events of different CPUs are merged by time.
CLOCK = "mono"


def areas_recording(text: Path, exit_status: int) -> Recording:
    """Return the recording of areas in `text`; raises InputError if it has none of the events.

    The events are those of all tasks, as areas are often freed by kernel threads.
    """
    if not is_recording(text):
        raise InputError(
            "the kernel allocated and freed no area of vmalloc while the command ran; record a command "
            "that runs longer or starts many threads"
        )
    return Recording(text, "vmalloc", exit_status, scope="recorded on the whole machine during")
