"""Where machine code is kept, and what besides its source decides what it is."""

from __future__ import annotations

import importlib.util
import os
import stat
import sys
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np

from pipeline.errors import OutputError
from pipeline.io.files import complete_file

_COMPILERS = ("numba", "llvmlite")

# Why something could not be kept by this process.
_problems: list[str] = []


def cache_directory() -> Path:
    """Where compiled code is kept: $KMAP_PIPELINE_CACHE, else the user's cache directory.

    Falls back to the user's own directory under the system's temporary one if that cannot be written, and to
    a new one each time if somebody else has made that: what is kept here is run.
    Where even that cannot be made, the first of these is named, in which nothing can be kept.
    """
    chosen = os.environ.get("KMAP_PIPELINE_CACHE")
    home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    wanted = Path(chosen) if chosen else home / "kmap-pipeline"
    try:
        wanted.mkdir(parents=True, exist_ok=True)
        probe = wanted / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError:
        with suppress(OSError):
            return _temporary_cache()
    return wanted


def keep(path: Path, content: bytes) -> None:
    """Write a file of the cache, whole or not at all; where that fails, go on without it."""
    try:
        with complete_file(path) as temporary:
            temporary.write_bytes(content)
    except OutputError as error:
        say_not_kept(str(error))


def say_not_kept(problem: str) -> None:
    """Say on stderr, once in a process, why nothing can be kept for the next one."""
    if not _problems:
        print(
            f"pipeline: {problem}; the next command makes again what could not be kept",
            file=sys.stderr, flush=True,
        )  # fmt: skip
    _problems.append(problem)


@cache
def _temporary_cache() -> Path:
    own = Path(tempfile.gettempdir()) / f"kmap-pipeline-{os.getuid()}"
    with suppress(FileExistsError):
        own.mkdir(mode=0o700)
    status = own.lstat()
    if stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o022:
        return own
    return Path(tempfile.mkdtemp(prefix="kmap-pipeline-"))


@cache
def compiler_facts() -> tuple[str | bytes, ...]:
    """Versions of what compiles, and the sources of this package.

    Numba is not asked: importing it takes a third of a second.
    """
    found = [importlib.util.find_spec(name) for name in _COMPILERS]
    versions = [Path(spec.origin).with_name("_version.py") for spec in found if spec and spec.origin]
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return (np.__version__, *(path.read_bytes() for path in [*versions, *sources]))
