"""A process of a host, told from a later one of the same number by when it started."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A process; `started` is its start in ticks since the host's."""

    host: str
    pid: int
    started: int

    @property
    def name(self) -> str:
        """A name for files, which `parse` reads."""
        return f"{self.host}-{self.pid}-{self.started}"

    @classmethod
    def parse(cls, name: str) -> Process | None:
        """Read what `name` wrote; None for anything else."""
        host, pid, started = [*name.rsplit("-", 2), "", ""][:3]
        return cls(host, int(pid), int(started)) if pid.isdecimal() and started.isdecimal() else None

    @classmethod
    def current(cls) -> Process:
        """This process."""
        return cls.of_this_host(os.getpid())

    @classmethod
    def of_this_host(cls, pid: int) -> Process:
        """The process that has this number now."""
        return cls(_host(), pid, _start_of(pid) or 0)

    def is_known_dead(self) -> bool:
        """Return whether the process ran on this host and has ended; False for other hosts."""
        return self.host == _host() and _start_of(self.pid) != self.started


@cache
def _host() -> str:
    return socket.gethostname()


def _start_of(pid: int) -> int | None:
    """Start of a process in ticks since boot, by proc(5); None if it is gone or waits to be collected."""
    try:
        fields = (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        )
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])
