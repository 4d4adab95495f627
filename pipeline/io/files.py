"""Files that appear complete or not at all, and the errors of opening them."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import InputError, OutputError, one_line
from pipeline.io.scratch import ScratchDirectory, discard, reserve_beside

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
"""Error numbers for a full disk, or for a limit on this process's disk space."""

STDOUT = Path("-")
"""The name of a file to write that stands for standard output."""


def readable_file(path: Path, wanted: str) -> Path:
    """Return `path` if it is a file that can be read, else raise InputError naming what was `wanted`."""
    try:
        is_directory, exists = path.is_dir(), path.exists()
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: wanted {wanted}, found a path that cannot be ({one_line(error)})"
        ) from error
    if is_directory:
        raise InputError(f"{path}: wanted {wanted}, found a directory; give the file itself")
    if not exists:
        raise InputError(f"{path}: wanted {wanted}, found no such file; check the path")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path}: wanted {wanted}, but it may not be read; check its permissions")
    return path


def regular_file(path: Path, wanted: str) -> Path:
    """Return `path` if it is a file that can be read more than once; raises InputError as `readable_file`.

    A device or pipe cannot: it may have no end, and what is read is gone.
    """
    if not readable_file(path, wanted).is_file():
        raise InputError(f"{path}: wanted {wanted}, found a device or pipe; write it to a file first")
    return path


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, as hex."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def check_no_directory(path: Path) -> None:
    """Raise OutputError if a directory is where a file is to be written."""
    if path.is_dir():
        raise OutputError(f"{path}: wanted a file to write, found a directory; give a file name inside it")


@contextmanager
def complete_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that takes its name when the block ends well.

    On any exception the temporary file is removed. Of `STDOUT`, its content goes to standard output when the
    block ends well. Raises OutputError when it cannot be written.
    """
    if path == STDOUT:
        with ScratchDirectory() as name:
            temporary = Path(name) / "output"
            yield temporary
            with temporary.open("rb") as file:
                sys.stdout.flush()
                shutil.copyfileobj(file, sys.stdout.buffer)
        return
    check_no_directory(path)
    temporary = reserve_beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except Exception as error:
        if (known := _of_writing(error, temporary, path)) is None:
            raise
        raise known from error
    finally:
        discard(temporary)


def copy_file(source: Path, path: Path) -> None:
    """Copy a file, whole or not at all. Raises InputError for a file that is not there, and OutputError."""
    readable_file(source, "a file to copy")
    with complete_file(path) as temporary:
        shutil.copyfile(source, temporary)


@contextmanager
def complete_directory(path: Path) -> Iterator[Path]:
    """Yield a temporary directory beside `path` that takes its name when the block ends well.

    A directory already at `path` is replaced. Raises OutputError when it cannot be written.
    """
    if path.exists() and not path.is_dir():
        raise OutputError(f"{path}: wanted a directory to write, found a file; choose another name")
    temporary, former = reserve_beside(path), reserve_beside(path)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if path.exists():
            # At no moment is there half of it under its name.
            path.rename(former)
        temporary.replace(path)
    except Exception as error:
        if (known := _of_writing(error, temporary, path)) is None:
            raise
        raise known from error
    finally:
        discard(temporary)
        discard(former)


def _of_writing(error: Exception, temporary: Path, path: Path) -> OutputError | None:
    """Name the file that the user knows in an error of writing the temporary one; None for another error."""
    if isinstance(error, OutputError):
        return OutputError(str(error).replace(str(temporary), str(path)))
    if isinstance(error, OSError):
        return output_error(path, error)
    number = no_room(error)
    return output_error(path, OSError(number, "")) if number else None


def no_room(error: BaseException) -> int:
    """Number of the system's error in the text of a library that has no room to write, else 0."""
    said = str(error)
    return next((number for number in NO_ROOM if os.strerror(number) in said), 0)


def output_error(path: Path, error: OSError) -> OutputError:
    """Turn an OSError of writing into the one line that says what to do."""
    # Other libraries put more than the reason into the text.
    reason = os.strerror(error.errno) if error.errno else str(error)
    return OutputError(
        f"{path}: cannot be written ({reason}); check the path, its permissions and free space"
    )
