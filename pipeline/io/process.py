"""A process of a host, distinguished by its start time from later processes with the same PID."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A process; `started` is its start time in clock ticks since boot."""

    host: str
    pid: int
    started: int

    @property
    def name(self) -> str:
        """Text for file names, which `parse` reads back."""
        return f"{self.host}-{self.pid}-{self.started}"

    @classmethod
    def parse(cls, name: str) -> Process | None:
        """Parse a process's `name`; None for any other text."""
        host, pid, started = [*name.rsplit("-", 2), "", ""][:3]
        return cls(host, int(pid), int(started)) if pid.isdecimal() and started.isdecimal() else None

    @classmethod
    def current(cls) -> Process:
        """Return this process."""
        return cls.of_this_host(os.getpid())

    @classmethod
    def of_this_host(cls, pid: int) -> Process:
        """Return the process that currently has this PID."""
        return cls(_host(), pid, _start_of(pid) or 0)

    def is_known_dead(self) -> bool:
        """Return whether the process ran on this host and has ended; False for other hosts."""
        return self.host == _host() and _start_of(self.pid) != self.started


@cache
def _host() -> str:
    return socket.gethostname()


def _start_of(pid: int) -> int | None:
    """Return the start time of a process in ticks since boot (proc(5)); None if gone or a zombie."""
    try:
        fields = (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        )
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])
