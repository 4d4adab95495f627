"""Temporary files and directories, each named after the process that created it.

A process removes its own when it ends, unless it is killed. The leftovers of a killed process are removed by
the next process that creates a temporary file in the same directory.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from pipeline.errors import OutputError
from pipeline.io.process import Process

_SUFFIX = ".partial"
# Characters kept of the final name: a file name has at most 255 bytes.
_LONGEST = 40

_live: set[Path] = set()
_listed_in: list[int] = []


class ScratchDirectory(tempfile.TemporaryDirectory[str]):
    """A temporary directory that is removed at the end of a `with` block, or by `cleanup`.

    It is created in `parent` (default: the system's directory for temporary files). Raises OutputError if it
    cannot be created.
    """

    def __init__(self, parent: Path | None = None) -> None:
        try:
            place = Path(tempfile.gettempdir()) if parent is None else parent
            remove_stale(place)
            own = f"@{Process.current().name}{_SUFFIX}"
            super().__init__(own, ".", place, ignore_cleanup_errors=True)
        except OSError as error:
            where = f"{parent}: " if parent is not None else ""
            hint = "free some space" if parent is not None else "set TMPDIR to a directory with free space"
            raise OutputError(
                f"{where}cannot create a temporary directory ({error.strerror}); {hint}"
            ) from error
        _note(Path(self.name))

    def cleanup(self) -> None:
        """Remove the directory and its contents."""
        super().cleanup()
        _live.discard(Path(self.name))


def reserve_beside(path: Path) -> Path:
    """Reserve a name for a temporary file or directory next to `path`; release it with `discard`."""
    remove_stale(path.parent)
    own = f".{path.name[:_LONGEST]}.{secrets.token_hex(4)}@{Process.current().name}{_SUFFIX}"
    temporary = path.with_name(own)
    _note(temporary)
    return temporary


def list_in(file: int) -> None:
    """Write the paths of this process's temporary files to an open file, for `discard_listed`."""
    _listed_in.append(file)


def discard_listed(file: int) -> None:
    """Remove the temporary files that a process which has ended listed in an open file and left behind."""
    with os.fdopen(os.dup(file), "rb") as listed:
        listed.seek(0)
        for name in listed.read().split(b"\0")[:-1]:
            _remove(Path(os.fsdecode(name)))


def _note(temporary: Path) -> None:
    _live.add(temporary)
    for file in _listed_in:
        os.write(file, os.fsencode(temporary.absolute()) + b"\0")


def discard(temporary: Path) -> None:
    """Remove a temporary file or directory, if it still exists."""
    _remove(temporary)
    _live.discard(temporary)


def discard_all() -> None:
    """Remove all temporary files and directories of this process, which may still be writing."""
    for _ in range(2):
        for temporary in list(_live):
            _remove(temporary)


def remove_stale(directory: Path) -> None:
    """Remove the temporary files and directories in `directory` whose processes have ended."""
    with suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.endswith(_SUFFIX) and entry.name.startswith("."):
                process = Process.parse(entry.name.removesuffix(_SUFFIX).rpartition("@")[2])
                if process is not None and process.is_known_dead():
                    _remove(Path(entry.path))


def _remove(path: Path) -> None:
    # Files that cannot be removed belong to another user, or their directory is gone.
    with suppress(OSError):
        path.unlink()
        return
    shutil.rmtree(path, ignore_errors=True)
