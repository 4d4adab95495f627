"""Errors that a user can fix, each with an exit status for scripts.

The command line catches `PipelineError`, prints its message on stderr and exits with `exit_status`.
Any other exception that escapes is a bug and shows its traceback.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from pathlib import Path

# Characters kept of a long message: the start names the problem, the end says what to do.
_MOST_BEGIN, _MOST_END = 1_200, 400
# Unicode categories of invisible characters: controls, formats, surrogates, unassigned, separators.
_NOT_SHOWN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


class PipelineError(Exception):
    """A problem that the user can fix: the message says what was expected, what was found and what to do."""

    exit_status = 1

    def __init__(self, message: object = "") -> None:
        """Set the message; cut the middle out of a long one, and escape control characters."""
        text = printable(str(message), keep="\n")
        if len(text) > _MOST_BEGIN + _MOST_END:
            left_out = len(text) - _MOST_BEGIN - _MOST_END
            text = f"{text[:_MOST_BEGIN]} ... ({left_out:,} more characters) ... {text[-_MOST_END:]}"
        super().__init__(text)


class UsageError(PipelineError):
    """An argument, option or name that does not exist or is not valid here."""

    exit_status = 2


class InputError(PipelineError):
    """A file that cannot be read or does not have the expected contents."""

    exit_status = 3


class OutputError(PipelineError):
    """A file or directory that cannot be written."""

    exit_status = 4


class FindingError(PipelineError):
    """The run ended with a finding that makes its result unusable, such as a deadlock."""

    exit_status = 5


class OutOfMemory(PipelineError):  # noqa: N818 - as MemoryError, but with its own line
    """The process needs more memory than its limit allows."""

    exit_status = 8

    @classmethod
    def wanted(cls, amount: str = "", advice: str = "") -> OutOfMemory:
        """Build the error. `amount` is the size of the failed request with its unit, "" if unknown.

        `advice` says what to do; the default is to raise the limit of the process.
        """
        text = f"out of memory: {amount} more needed" if amount else "out of memory"
        return cls(f"{text}; {advice or 'raise the limit of this process (ulimit -v, or memory.max)'}")


class Interrupted(PipelineError):  # noqa: N818 - not a mistake of the user's, but it ends the command
    """The user pressed Ctrl-C: the command stopped and left no half-written file."""

    exit_status = 130


def nearest(name: str, known: Iterable[str], most: int = 1) -> list[str]:
    """Return the `known` names that resemble `name`, the nearest first."""
    import difflib  # noqa: PLC0415 - most commands end without

    return difflib.get_close_matches(name, list(known), n=most, cutoff=0.5)


def did_you_mean(name: str, known: Iterable[str], most: int = 1) -> str:
    """Return a parenthesis for an error message that suggests the nearest names, or "" if none is near."""
    near = nearest(name, known, most)
    quoted = " or ".join(f"'{n}'" for n in near)
    return f" (did you mean {quoted}?)" if near else ""


def unknown_name(
    what: str, name: str, known: Iterable[str], hint: str = "", endings: Iterable[str] = ()
) -> UsageError:
    """Build the error for an unknown name: it lists the nearest names first, then all known names.

    `what` is the kind of thing ("allocator"); `hint` is an alternative ("or give a path"). `endings` are
    suffixes of files that are accepted in place of a name. If `name` plus an ending exists, the message
    suggests that file.
    """
    names = sorted(known)
    files = [name + ending for ending in endings if _is_file(name + ending)]
    near = f"; for the file, give its full name: {files[0]}" if files else did_you_mean(name, names, 3)
    message = f"unknown {what} '{name}'{near}; known: {', '.join(names) or '(none)'}"
    return UsageError(f"{message}; {hint}" if hint else message)


def _is_file(path: str) -> bool:
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False


def printable(text: str, keep: str = "") -> str:
    """Return text that is safe to print: control and bidirectional characters become \\xNN or \\uNNNN.

    Characters in `keep` are not escaped.
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


def listed(names: Iterable[str]) -> str:
    """Return names from a file for a message: separated by commas, on one line."""
    return ", ".join(map(printable, names))


def one_line(error: BaseException) -> str:
    """Return another library's error message on one line of at most 200 characters."""
    return " ".join(str(error).split())[:200] or type(error).__name__
