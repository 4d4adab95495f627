"""The one family of errors a user can meet, each with the exit status that scripts see.

The command line catches `PipelineError`, prints its one line on stderr and exits with `exit_status`;
anything else that escapes is a bug and shows its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class PipelineError(Exception):
    """Something the user can mend: the message says what was wanted, what was found and what to do."""

    exit_status = 1


class UsageError(PipelineError):
    """An argument, option or name that does not exist or does not fit."""

    exit_status = 2


class InputError(PipelineError):
    """A file that cannot be read or is not what was wanted."""

    exit_status = 3


class OutputError(PipelineError):
    """A file or directory that cannot be written."""

    exit_status = 4


class FindingError(PipelineError):
    """The run ended with a finding that makes its result unusable, such as a deadlock."""

    exit_status = 5


class OutOfMemory(PipelineError):  # noqa: N818 - as MemoryError, but with its own line
    """The memory that this process may have is not enough for the work."""

    exit_status = 8


class Interrupted(PipelineError):  # noqa: N818 - not a mistake of the user's, but it ends the command
    """Ctrl-C: the command stopped and left nothing half-written."""

    exit_status = 130


def nearest(name: str, known: Iterable[str], most: int = 1) -> list[str]:
    """Return those of the `known` names that look like `name`, the nearest first."""
    return difflib.get_close_matches(name, list(known), n=most, cutoff=0.5)


def did_you_mean(name: str, known: Iterable[str], most: int = 1) -> str:
    """Return a clause for an error message that asks for the nearest names, "" where there are none."""
    near = nearest(name, known, most)
    quoted = " or ".join(f"'{n}'" for n in near)
    return f"; did you mean {quoted}?" if near else ""


def unknown_name(
    what: str, name: str, known: Iterable[str], hint: str = "", endings: Iterable[str] = ()
) -> UsageError:
    """Build the error for a name that is not known: nearest names first, then the whole list.

    `what` names the sort of thing ("allocator"); `hint` is what to do instead ("or give a path"); `endings`
    are those of files that may stand for a name: one that lies there and lacks only its ending is named.
    """
    names = sorted(known)
    files = [name + ending for ending in endings if Path(name + ending).is_file()]
    near = f"; the file {files[0]} is given with its ending" if files else did_you_mean(name, names, 3)
    message = f"unknown {what} '{name}'{near}; known: {', '.join(names) or '(none)'}"
    return UsageError(f"{message}; {hint}" if hint else message)


def one_line(error: BaseException) -> str:
    """Return what another library says of a failure on one line of at most 200 characters."""
    return " ".join(str(error).split())[:200] or type(error).__name__
