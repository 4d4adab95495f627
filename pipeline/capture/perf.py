"""Recording with perf: page faults, system calls, looked-up file pages and the scheduler, by tracepoints."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.capture.recorder import Obstacle, Recording, find_failure
from pipeline.capture.tracefs import find_tracefs, has_event, no_tracefs
from pipeline.errors import InputError

_COPIES = ("read", "write")
_OTHER_CALLS = (
    "pread64", "readv", "pwrite64", "writev", "openat", "close", "lseek", "dup", "dup2", "dup3", "fcntl",
    "close_range", "io_submit", "io_uring_enter",
)  # fmt: skip
NEEDED = (
    "exceptions:page_fault_user",
    "exceptions:page_fault_kernel",
    "sched:sched_switch",
    *(f"syscalls:sys_{side}_{call}" for call in _COPIES for side in ("enter", "exit")),
)
# Optional events that improve the trace; older kernels lack filemap:mm_filemap_get_pages.
WANTED = (
    "filemap:mm_filemap_get_pages",
    "ext4:ext4_da_write_begin",
    "ext4:ext4_da_write_end",
    "task:task_newtask",
    "sched:sched_process_exec",
    "sched:sched_process_exit",
    *(f"syscalls:sys_{side}_{call}" for call in _OTHER_CALLS for side in ("enter", "exit")),
)
PARANOID = Path("/proc/sys/kernel/perf_event_paranoid")
_FIELDS = "comm,pid,tid,cpu,time,event,trace"
_PAGES_PER_MIB = 256


@dataclass
class Perf:
    """perf with a buffer of `buffer_mib` MiB for each CPU, halved until perf is allowed to allocate it."""

    buffer_mib: int = 32
    name: str = "perf"
    _events: list[str] = field(default_factory=list)

    def find_obstacles(self, scratch: Path) -> list[Obstacle]:
        """See `Recorder`."""
        if not shutil.which("perf"):
            return [
                Obstacle(
                    "perf is not installed",
                    "'sudo apt-get install linux-perf' (Debian), linux-tools-generic (Ubuntu), perf (Fedora)",
                )
            ]
        tracefs = find_tracefs()
        if tracefs is None:
            return [no_tracefs()]
        missing = [event for event in NEEDED if not has_event(tracefs, event)]
        if missing:
            return [
                Obstacle(
                    f"the kernel has no event {', '.join(missing)}",
                    "take one built with CONFIG_FTRACE_SYSCALLS and CONFIG_EVENT_TRACING",
                )
            ]
        self._events = [event for event in (*NEEDED, *WANTED) if has_event(tracefs, event)]
        failure = self._try_recording(scratch)
        return [self._explain_refusal(failure)] if failure else []

    def missing_events(self) -> list[str]:
        """Return the events of WANTED that this kernel lacks; valid after `find_obstacles`."""
        return [event for event in WANTED if event not in self._events]

    def record(self, command: Sequence[str], scratch: Path) -> Recording:
        """See `Recorder`; the command's output is not redirected."""
        data, text = scratch / "perf.data", scratch / "recording.perf-script.txt"
        done = subprocess.run([*self._record_arguments(data), "--", *command], check=False)
        if not data.exists():
            raise InputError(f"perf record ended with status {done.returncode} and left no recording")
        with text.open("wb") as sink:
            script = subprocess.run(
                ["perf", "script", "-i", str(data), "--ns", "--show-lost-events", "-F", _FIELDS],
                stdout=sink, stderr=subprocess.PIPE, text=True, check=False,
            )  # fmt: skip
        data.unlink()
        if script.returncode:
            raise InputError(f"perf script failed: {script.stderr.strip().splitlines()[-1:]}")
        return Recording(text, "perf-script", done.returncode)

    def _record_arguments(self, data: Path) -> list[str]:
        pages = str(self.buffer_mib * _PAGES_PER_MIB)
        return ["perf", "record", "-q", "-m", pages, "-e", ",".join(self._events), "-o", str(data)]

    def _try_recording(self, scratch: Path) -> str | None:
        """Record `true`, with a smaller buffer if a large one is refused."""
        failure: str | None = None
        while self.buffer_mib:
            failure = find_failure([*self._record_arguments(scratch / "tried.data"), "--", "true"])
            if failure is None:
                return None
            self.buffer_mib //= 2
        return failure

    def _explain_refusal(self, failure: str) -> Obstacle:
        paranoid = PARANOID.read_text().strip() if PARANOID.exists() else "unknown"
        return Obstacle(
            f"perf may not record here (kernel.perf_event_paranoid is {paranoid}; perf says: {failure})",
            "'sudo sysctl kernel.perf_event_paranoid=-1', or record as root; a container needs "
            "--cap-add=PERFMON",
        )
