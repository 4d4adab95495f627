"""Memory limits of this process: its own, and those of its control groups."""

from __future__ import annotations

import resource
from contextlib import suppress
from pathlib import Path


def address_space_limit() -> int | None:
    """Return the limit on this process's address space (`ulimit -v`) in bytes; None without a limit."""
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if soft == resource.RLIM_INFINITY else soft


_GROUPS, _OWN_GROUP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def group_limit(group: Path = _GROUPS, process: Path = _OWN_GROUP) -> int | None:
    """Return the lowest memory limit of this process's control groups in bytes; None without a limit.

    Reads `memory.max` (cgroups version 2) of the process's group and all groups above it, see cgroups(7).
    """
    limits = []
    with suppress(OSError, ValueError):
        named = process.read_text(encoding="utf-8").splitlines()
        own = next(line[3:] for line in [*named, "0::/"] if line.startswith("0::"))
        inner = group / own.lstrip("/")
        for directory in (inner, *inner.parents):
            if not directory.is_relative_to(group):
                break
            with suppress(OSError, ValueError):
                limits.append(int((directory / "memory.max").read_text(encoding="ascii")))
    return min(limits, default=None)


def memory_limit() -> int | None:
    """Return the lowest of all memory limits of this process in bytes; None without a limit."""
    return min((limit for limit in (address_space_limit(), group_limit()) if limit is not None), default=None)
