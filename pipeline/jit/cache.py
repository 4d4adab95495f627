"""Where machine code is kept, and what besides its source decides what it is."""

from __future__ import annotations

import importlib.util
import os
import stat
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np

_COMPILERS = ("numba", "llvmlite")


def cache_directory() -> Path:
    """Where compiled code is kept: $KMAP_PIPELINE_CACHE, else the user's cache directory.

    Falls back to the user's own directory under the system's temporary one if that cannot be written, and to
    a new one each time if somebody else has made that: what is kept here is run.
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
        wanted = _temporary_cache()
    return wanted


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
