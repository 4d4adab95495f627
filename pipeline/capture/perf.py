"""Recording with perf: page faults, system calls, looked-up file pages and the scheduler, by tracepoints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.capture.perf_tool import PerfTool, write_text
from pipeline.capture.recorder import Obstacle, Recording, run_command

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


class Perf:
    """perf with a buffer of `buffer_mib` MiB for each CPU, or less if perf is not allowed to allocate it."""

    name = "perf"

    def __init__(self, buffer_mib: int = 32) -> None:
        remedy = "take one built with CONFIG_FTRACE_SYSCALLS and CONFIG_EVENT_TRACING"
        self._tool = PerfTool(NEEDED, remedy, WANTED, buffer_mib=buffer_mib)

    def find_obstacles(self, scratch: Path) -> list[Obstacle]:
        """See `Recorder`."""
        return self._tool.find_obstacles(scratch)

    def missing_events(self) -> list[str]:
        """Return the events of WANTED that this kernel lacks; valid after `find_obstacles`."""
        return [event for event in WANTED if event not in self._tool.events]

    def record(self, command: Sequence[str], scratch: Path) -> Recording:
        """See `Recorder`; the command's output is not redirected."""
        data, text = scratch / "perf.data", scratch / "recording.perf-script.txt"
        status = run_command(self._tool.record_arguments(data, command))
        write_text(data, text)
        return Recording(text, "perf-script", status)
