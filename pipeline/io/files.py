"""Checks of files to read, and files that are written completely or not at all."""

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
"""Error numbers of a full or read-only disk, and of limits on disk space or file size."""

STDOUT = Path("-")
"""The file name that stands for standard output."""


def readable_file(path: Path, wanted: str) -> Path:
    """Return `path` if it is a readable file, else raise InputError; `wanted` describes the expected file."""
    try:
        is_directory, exists = path.is_dir(), path.exists()
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected {wanted}, found an invalid path ({one_line(error)})") from error
    if is_directory:
        raise InputError(f"{path}: expected {wanted}, found a directory; give the file itself")
    if not exists:
        raise InputError(f"{path}: expected {wanted}, found no such file; check the path")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path}: expected {wanted}, but the file is not readable; check its permissions")
    return path


def regular_file(path: Path, wanted: str) -> Path:
    """Return `path` if it is a regular file; raise InputError as `readable_file` does.

    Devices and pipes are refused: they may be endless, and they cannot be read twice.
    """
    if not readable_file(path, wanted).is_file():
        raise InputError(f"{path}: expected {wanted}, found a device or pipe; write it to a file first")
    return path


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def check_no_directory(path: Path) -> None:
    """Raise OutputError if `path`, a file to write, is a directory."""
    if path.is_dir():
        raise OutputError(f"{path}: expected a file to write, found a directory; give a file name inside it")


@contextmanager
def complete_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path next to `path` that is renamed to `path` if the block succeeds.

    On any exception, the temporary file is removed. For `STDOUT`, the content is copied to standard output if
    the block succeeds. Raises OutputError if the file cannot be written.
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
    """Copy a file, completely or not at all.

    Raises InputError if it cannot be read, and OutputError if the copy cannot be written.
    """
    readable_file(source, "a file to copy")
    with complete_file(path) as temporary:
        shutil.copyfile(source, temporary)


@contextmanager
def complete_directory(path: Path) -> Iterator[Path]:
    """Yield a temporary directory next to `path` that is renamed to `path` if the block succeeds.

    An existing directory is replaced. Raises OutputError if the directory cannot be written.
    """
    if path.exists() and not path.is_dir():
        raise OutputError(f"{path}: expected a directory to write, found a file; choose another name")
    temporary, former = reserve_beside(path), reserve_beside(path)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if path.exists():
            # `path` never refers to a partial directory.
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
    """Return an error of writing with `path` instead of the temporary name; None for any other error."""
    if isinstance(error, OutputError):
        return OutputError(str(error).replace(str(temporary), str(path)))
    if isinstance(error, OSError):
        return output_error(path, error)
    number = no_room(error)
    return output_error(path, OSError(number, "")) if number else None


def no_room(error: BaseException) -> int:
    """Return the number of the system error in a library's message about lack of space, else 0."""
    said = str(error)
    return next((number for number in NO_ROOM if os.strerror(number) in said), 0)


def output_error(path: Path, error: OSError) -> OutputError:
    """Convert an OSError of writing to an OutputError that says what to check."""
    # The message of other libraries contains more than the reason.
    reason = os.strerror(error.errno) if error.errno else str(error)
    return OutputError(
        f"{path}: cannot be written ({reason}); check the path, its permissions and free space"
    )
