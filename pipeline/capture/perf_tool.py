"""The tool perf: what it requires to record events, its arguments, and its recording as text."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.capture.recorder import Obstacle, find_failure
from pipeline.capture.tracefs import find_event_obstacles, find_events
from pipeline.errors import InputError

PARANOID = Path("/proc/sys/kernel/perf_event_paranoid")
_FIELDS = "comm,pid,tid,cpu,time,event,trace"
_PAGES_PER_MIB = 256
_STATED = re.compile(rb"PERF_RECORD_LOST lost ([0-9]+)$")
_BEFORE_EVENT = re.compile(rb".*? [0-9]+\.[0-9]{9}: +")


@dataclass
class PerfTool:
    """perf with a buffer of `buffer_mib` MiB for each CPU, halved until perf is allowed to allocate it.

    needed, wanted: the events to record, as system:name; those of `wanted` only if the kernel has them.
    remedy: what gives a kernel the needed events.
    options: further options of `perf record`.
    events: the events of both that the kernel has; valid after `find_obstacles`.
    """

    needed: Sequence[str]
    remedy: str
    wanted: Sequence[str] = ()
    options: Sequence[str] = ()
    buffer_mib: int = 32
    events: list[str] = field(default_factory=list)

    def find_obstacles(self, scratch: Path) -> list[Obstacle]:
        """See `Recorder`."""
        if not shutil.which("perf"):
            return [
                Obstacle(
                    "perf is not installed",
                    "'sudo apt-get install linux-perf' (Debian), linux-tools-generic (Ubuntu), perf (Fedora)",
                )
            ]
        if obstacles := find_event_obstacles(self.needed, self.remedy):
            return obstacles
        self.events = find_events((*self.needed, *self.wanted))
        failure = self._try_recording(scratch)
        return [_explain_refusal(failure)] if failure else []

    def record_arguments(self, data: Path, command: Sequence[str]) -> list[str]:
        """Return the arguments that record `command` into file `data`."""
        # Without -B, perf copies the kernel's symbols and the programs that ran into ~/.debug.
        quiet = ("perf", "record", "-q", "-B")
        pages = str(self.buffer_mib * _PAGES_PER_MIB)
        chosen = (*self.options, "-m", pages, "-e", ",".join(self.events), "-o", str(data))
        return [*quiet, *chosen, "--", *command]

    def _try_recording(self, scratch: Path) -> str | None:
        """Record `true`, with a smaller buffer if a large one is refused."""
        failure: str | None = None
        while self.buffer_mib:
            failure = find_failure(self.record_arguments(scratch / "tried.data", ["true"]))
            if failure is None:
                return None
            self.buffer_mib //= 2
        return failure


def write_text(data: Path, text: Path) -> None:
    """Write the recording `data` of perf into file `text` as perf script prints it, and remove `data`.

    Its last line completes the number of lost events, if perf counts them, as perf 6.1 does. Raises
    InputError if perf left no recording, or one that it cannot read.
    """
    if not data.exists():
        raise InputError("perf record left no recording; check that the command can be run")
    with text.open("wb") as sink:
        script = subprocess.run(
            ["perf", "script", "-i", str(data), "--ns", "--show-lost-events", "-F", _FIELDS],
            stdout=sink, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    if script.returncode:
        said = script.stderr.strip().splitlines() or [f"it ended with status {script.returncode}"]
        raise InputError(
            f"perf script cannot read the recording of perf record ({said[-1]}); check that the command can "
            "be run"
        )
    lost = _count_lost(data)
    if lost is not None:
        _complete_losses(text, lost)
    data.unlink()


def _count_lost(data: Path) -> int | None:
    """Return how many records perf had lost at the end of the recording; None if it does not count them."""
    if not re.search(r"read_format: [A-Z|]*LOST", _ask(["perf", "evlist", "-v", "-i", str(data)])):
        return None
    # The first part counts the records about losses, and each other part the losses of an event.
    parts = _ask(["perf", "report", "--stats", "-i", str(data)]).split(" stats:", 2)
    if len(parts) < 3:
        return None
    return sum(int(lost) for lost in re.findall(r" LOST_SAMPLES events: +([0-9]+)", parts[2]))


def _ask(arguments: Sequence[str]) -> str:
    return subprocess.run(arguments, capture_output=True, text=True, check=False).stdout


def _complete_losses(text: Path, lost: int) -> None:
    """Append a line to the text, with the number of the `lost` records that other lines do not state.

    perf script prints a loss before the next record of its CPU. It prints no loss after the last record.
    """
    stated, last = 0, b""
    with text.open("rb") as lines:
        for last in lines:
            if found := _STATED.search(last):
                stated += int(found[1])
    head = _BEFORE_EVENT.match(last)
    with text.open("ab") as sink:
        sink.write(head[0] if head else b"perf 0/0 [000] 0.000000000: ")
        sink.write(b"PERF_RECORD_LOST_SAMPLES lost %d\n" % max(lost - stated, 0))


def _explain_refusal(failure: str) -> Obstacle:
    paranoid = PARANOID.read_text().strip() if PARANOID.exists() else "unknown"
    return Obstacle(
        f"perf may not record here (kernel.perf_event_paranoid is {paranoid}; perf says: {failure})",
        "'sudo sysctl kernel.perf_event_paranoid=-1', or record as root; a container needs --cap-add=PERFMON",
    )
