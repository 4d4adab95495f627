"""The cache of machine code, and the facts besides its source that determine it."""

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

# Reasons why this process could not keep something.
_problems: list[str] = []


def cache_directory() -> Path:
    """Directory for compiled code: $KMAP_PIPELINE_CACHE, else in the user's cache directory.

    If it cannot be written, the user's own directory under the system's temporary directory is used. If that
    belongs to another user, a new directory is used each time, because code from the cache is executed. If
    none of these can be created, returns the first, in which nothing can be kept.
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
    """Write a file of the cache, completely or not at all; if that fails, continue without it."""
    try:
        with complete_file(path) as temporary:
            temporary.write_bytes(content)
    except OutputError as error:
        say_not_kept(str(error))


def say_not_kept(problem: str) -> None:
    """Warn on standard error, once per process, that code cannot be kept, with the reason."""
    if not _problems:
        print(
            f"pipeline: {problem}; the next command compiles again what could not be kept",
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
    """Versions of the compilers, and the sources of this package.

    The versions are read from files, because importing Numba takes a third of a second.
    """
    found = [importlib.util.find_spec(name) for name in _COMPILERS]
    versions = [Path(spec.origin).with_name("_version.py") for spec in found if spec and spec.origin]
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return (np.__version__, *(path.read_bytes() for path in [*versions, *sources]))
