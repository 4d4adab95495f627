"""Recording the kernel's areas of vmalloc with tracefs, of all tasks of the machine while a command runs.

The events are recorded in an instance of their own, so other users of tracing are not disturbed. The instance
is removed when the recording ends. If the process is killed, the next recording removes it.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.capture.recorder import Obstacle, Recording, run_command
from pipeline.capture.tracefs import find_event_obstacles, find_tracefs, no_tracefs
from pipeline.capture.vmalloc import CLOCK, EVENTS, REMEDY, areas_recording
from pipeline.errors import InputError
from pipeline.io.process import Process

_PREFIX = "pipeline@"
_KIB_PER_MIB = 1024


@dataclass
class TracefsAreas:
    """tracefs with a buffer of `buffer_mib` MiB for each CPU, halved until the kernel can allocate it."""

    buffer_mib: int = 32
    name: str = "tracefs"

    def find_obstacles(self, scratch: Path) -> list[Obstacle]:
        """See `Recorder`; nothing is written into `scratch`."""
        del scratch
        if obstacles := find_event_obstacles(EVENTS, REMEDY):
            return obstacles
        try:
            with _instance() as instance:
                self._set_up(instance)
        except OSError as error:
            return [
                Obstacle(
                    f"cannot set up an instance in {_instances()} ({error.strerror})",
                    "record as root; a container needs a writable mount of tracefs",
                )
            ]
        return []

    def record(self, command: Sequence[str], scratch: Path) -> Recording:
        """See `Recorder`; the events are those of all tasks."""
        text = scratch / "recording.tracefs.txt"
        with _instance() as instance:
            self._set_up(instance)
            (instance / "tracing_on").write_text("1")
            status = run_command(command)
            (instance / "tracing_on").write_text("0")
            with (instance / "trace").open("rb") as source, text.open("wb") as sink:
                shutil.copyfileobj(source, sink)
        return areas_recording(text, status)

    def _set_up(self, instance: Path) -> None:
        """Enable the events in an instance that does not record yet."""
        (instance / "tracing_on").write_text("0")
        (instance / "trace_clock").write_text(CLOCK)
        while True:
            try:
                (instance / "buffer_size_kb").write_text(str(self.buffer_mib * _KIB_PER_MIB))
                break
            except OSError as error:
                if error.errno != errno.ENOMEM or self.buffer_mib == 1:
                    raise
                self.buffer_mib //= 2
        for event in EVENTS:
            (instance / "events" / event.replace(":", "/") / "enable").write_text("1")


def _instances() -> Path:
    tracefs = find_tracefs()
    if tracefs is None:
        raise InputError(str(no_tracefs()))
    return tracefs / "instances"


@contextmanager
def _instance() -> Iterator[Path]:
    """Make an instance of tracefs, and remove it at the end of the block. Raises OSError if refused."""
    instances = _instances()
    for other in instances.glob(f"{_PREFIX}*"):
        process = Process.parse(other.name.removeprefix(_PREFIX))
        if process is not None and process.is_known_dead():
            with suppress(OSError):
                other.rmdir()
    instance = instances / f"{_PREFIX}{Process.current().name}"
    try:
        instance.mkdir()
        yield instance
    finally:
        with suppress(FileNotFoundError):
            instance.rmdir()
