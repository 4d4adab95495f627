"""The one family of errors a user can meet, each with the exit status that scripts see.

The command line catches `PipelineError`, prints its one line on stderr and exits with `exit_status`;
anything else that escapes is a bug and shows its traceback.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from pathlib import Path

# So much of a message is shown: what stands first and what to do, on one screen.
_MOST_BEGIN, _MOST_END = 1_200, 400
# Unicode's categories of what is no text to look at: controls, formats, surrogates, unassigned, separators.
_NOT_SHOWN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


class PipelineError(Exception):
    """Something the user can mend: the message says what was wanted, what was found and what to do."""

    exit_status = 1

    def __init__(self, message: object = "") -> None:
        """Take the message; of a long one the middle is left out, and control characters become text."""
        text = printable(str(message), keep="\n")
        if len(text) > _MOST_BEGIN + _MOST_END:
            left_out = len(text) - _MOST_BEGIN - _MOST_END
            text = f"{text[:_MOST_BEGIN]} ... ({left_out:,} characters more) ... {text[-_MOST_END:]}"
        super().__init__(text)


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

    @classmethod
    def wanted(cls, amount: str = "", advice: str = "") -> OutOfMemory:
        """Build the error: `amount` is what was wanted, as text with its unit, "" where it is not known.

        `advice` is what to do, by default to raise the limit of the process.
        """
        text = f"memory ran out: wanted {amount} more" if amount else "memory ran out"
        return cls(f"{text}; {advice or 'raise the limit of this process (ulimit -v, or memory.max)'}")


class Interrupted(PipelineError):  # noqa: N818 - not a mistake of the user's, but it ends the command
    """Ctrl-C: the command stopped and left nothing half-written."""

    exit_status = 130


def nearest(name: str, known: Iterable[str], most: int = 1) -> list[str]:
    """Return those of the `known` names that look like `name`, the nearest first."""
    import difflib  # noqa: PLC0415 - most commands end without

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
    files = [name + ending for ending in endings if _is_file(name + ending)]
    near = f"; the file {files[0]} is given with its ending" if files else did_you_mean(name, names, 3)
    message = f"unknown {what} '{name}'{near}; known: {', '.join(names) or '(none)'}"
    return UsageError(f"{message}; {hint}" if hint else message)


def _is_file(path: str) -> bool:
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False


def printable(text: str, keep: str = "") -> str:
    """Return text as it may be printed: what acts on a terminal or turns a line round as \\xNN or \\uNNNN.

    Characters in `keep` stay as they are.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char
        if char in keep or unicodedata.category(char) not in _NOT_SHOWN
        else char.encode("unicode_escape").decode()
        if ord(char) < 0xD800 or ord(char) > 0xDFFF
        else f"\\u{ord(char):04x}"
        for char in text
    )


def one_line(error: BaseException) -> str:
    """Return what another library says of a failure on one line of at most 200 characters."""
    return " ".join(str(error).split())[:200] or type(error).__name__
