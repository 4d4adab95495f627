"""Recording with strace: only system calls, on any Linux where a process may trace its children."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.capture.recorder import Obstacle, Recording, find_failure, run_command
from pipeline.errors import InputError

# System calls that copy file data, move a descriptor's position, or create and end tasks. strace ignores
# names that this machine lacks (`?`).
_CALLS = (
    "read", "readv", "pread64", "preadv", "preadv2", "write", "writev", "pwrite64", "pwritev", "pwritev2",
    "sendfile", "copy_file_range", "splice", "tee", "vmsplice", "getdents64", "getdents", "lseek", "open",
    "openat", "openat2", "creat", "close", "dup", "dup2", "dup3", "execve", "execveat", "clone", "clone3",
    "fork", "vfork", "fcntl", "fcntl64", "_llseek", "close_range", "ftruncate", "io_submit", "io_uring_enter",
    "process_vm_readv", "process_vm_writev",
)  # fmt: skip


@dataclass
class Strace:
    """strace of the relevant calls, including those of children."""

    name: str = "strace"

    def find_obstacles(self, scratch: Path) -> list[Obstacle]:
        """See `Recorder`."""
        if not shutil.which("strace"):
            return [
                Obstacle("strace is not installed", "'sudo apt-get install strace' (dnf, pacman likewise)")
            ]
        failure = find_failure([*_arguments(scratch / "tried.txt"), "--", "true"])
        if failure is None:
            return []
        return [
            Obstacle(
                f"strace may not trace here (it says: {failure})",
                "a container needs --cap-add=SYS_PTRACE; else see 'sysctl kernel.yama.ptrace_scope', which "
                "is 2 if only root may trace",
            )
        ]

    def record(self, command: Sequence[str], scratch: Path) -> Recording:
        """See `Recorder`; strace loses no events, as the command waits for it."""
        text = scratch / "recording.strace.txt"
        status = run_command([*_arguments(text), "--", *command])
        if not text.exists() or not text.stat().st_size:
            raise InputError(f"strace ended with status {status} and left no recording")
        return Recording(text, "strace", status)


def _arguments(text: Path) -> list[str]:
    calls = ",".join(f"?{call}" for call in _CALLS)
    return ["strace", "-f", "-ttt", "-T", "-y", "--seccomp-bpf", "-e", f"trace={calls}", "-o", str(text)]
