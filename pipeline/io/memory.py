"""How much memory this process may have, by its own limits and by those of its control groups."""

from __future__ import annotations

import resource
from contextlib import suppress
from pathlib import Path


def address_space_limit() -> int | None:
    """Bytes of address space that this process may have (`ulimit -v`); None without a limit."""
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if soft == resource.RLIM_INFINITY else soft


_GROUPS, _OWN_GROUP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def group_limit(group: Path = _GROUPS, process: Path = _OWN_GROUP) -> int | None:
    """Bytes of memory that the control groups of this process may have together; None without a limit.

    Reads `memory.max` of version 2 for the process's group and those above it, by cgroups(7).
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
    """Bytes that this process may have by the least of all limits; None without any."""
    return min((limit for limit in (address_space_limit(), group_limit()) if limit is not None), default=None)
