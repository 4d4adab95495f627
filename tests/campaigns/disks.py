"""File systems that are too small or read-only, and limits on files, sizes, open files and memory.

Whatever runs out: a status of its own, a message of a few lines without a traceback, and nothing left of it.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.cli._limited import LEAST_BYTES
from tests.campaigns.house import (
    COMMANDS,
    Command,
    Ended,
    House,
    clear,
    finish,
    is_told_in_a_line,
    left_over,
)
from tests.campaigns.result import CampaignResult

# Of an hour for all campaigns.
MINUTES = 6
# Without a cache, some compile, which takes minutes on a busy machine.
_TIMEOUT_S = 300
_CACHED = ("warm", "replay", "report")


@dataclass(frozen=True)
class Trouble:
    """What is too small: where the outputs go, variables of the environment, or a limit of the process."""

    name: str
    out: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    limit: Callable[[], None] | None = None


def run(budget_s: float, seed: int, keep: Path) -> CampaignResult:
    """Run commands in trouble until the time is up; see the module."""
    end_s = time.monotonic() + budget_s
    result = CampaignResult("disks", seed)
    commands = [command for command in COMMANDS if not command.endless]
    with tempfile.TemporaryDirectory() as name:
        house = House(Path(name) / "house")
        number = 0
        while time.monotonic() < end_s:
            drawn = random.Random(f"{seed} {number}")
            command = commands[number % len(commands)]
            with drawn_trouble(drawn, Path(name), command) as trouble:
                ended = finish(
                    house.start(command, trouble.out, trouble.environment, trouble.limit), _TIMEOUT_S
                )
                result.tries[trouble.name.rpartition(" of ")[0]] += 1
                for what in broken(ended, trouble):
                    text = f"try {number}: '{command.words}' with {trouble.name}: {what}"
                    result.fail(text, _kept(keep, seed, number, ended, command))
            number += 1
    return result


def broken(ended: Ended, trouble: Trouble) -> list[str]:
    """What was promised of a command in trouble and is not so, in a line each."""
    found = []
    if not is_told_in_a_line(ended):
        found.append(f"ended with status {ended.status} and said {ended.err[-400:]!r}")
    if left := left_over(trouble.out):
        found.append(f"left {', '.join(left)}")
    return found


@contextmanager
def drawn_trouble(drawn: random.Random, path: Path, command: Command) -> Iterator[Trouble]:
    """Make one trouble for a command, which is over when the block ends."""
    out, small = path / "out", path / "small"
    clear(out)
    size = round(2 ** drawn.uniform(16, 22.3))
    sorts = ["size of files", "open files", "memory"]
    if can_mount():
        sorts += ["small output", "small TMPDIR", "read-only output"]
        # To compile, for want of a cache, takes ten times as long as all else.
        sorts += ["small cache", "read-only cache"] if command.name in _CACHED else []
    sort = drawn.choice(sorts)
    if sort == "size of files":
        yield Trouble(f"{sort} of {size:,} bytes", out, limit=_limiting(resource.RLIMIT_FSIZE, size))
    elif sort == "open files":
        most = drawn.randint(8, 60)
        yield Trouble(f"{sort} of at most {most}", out, limit=_limiting(resource.RLIMIT_NOFILE, most))
    elif sort == "memory":
        most = round(drawn.uniform(0.2, 2.0) * LEAST_BYTES)
        yield Trouble(f"{sort} of {most:,} bytes", out, limit=_limiting(resource.RLIMIT_AS, most))
    else:
        with _mounted(small, size, read_only=sort.startswith("read-only")):
            name = f"{sort} of {size:,} bytes"
            if sort.endswith("output"):
                yield Trouble(name, small)
            elif sort.endswith("TMPDIR"):
                yield Trouble(name, out, {"TMPDIR": str(small)})
            else:
                yield Trouble(name, out, {"KMAP_PIPELINE_CACHE": str(small / "cache")})


def can_mount() -> bool:
    """Whether this process may mount small file systems."""
    return os.geteuid() == 0 and shutil.which("mount") is not None


@contextmanager
def _mounted(place: Path, size: int, read_only: bool = False) -> Iterator[None]:
    place.mkdir(exist_ok=True)
    options = f"size={size},mode=777" + (",ro" if read_only else "")
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def _limiting(what: int, most: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(what, (most, most))


def _kept(keep: Path, seed: int, number: int, ended: Ended, command: Command) -> Path:
    place = keep / f"seed-{seed}-try-{number}.txt"
    with suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"{command.words}\nstatus {ended.status}\n{ended.err}")
    return place
