"""Translate exceptions of the system or of a library into one line and an exit status.

Library exceptions are recognised by their messages, so no library is imported for the check.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator

from pipeline.errors import OutOfMemory, OutputError, PipelineError
from pipeline.io.files import NO_ROOM, no_room

_TOO_MANY_FILES = {errno.EMFILE, errno.ENFILE}
# Messages of native libraries that could not allocate memory or start a thread.
_NO_MEMORY = re.compile(
    r"std::bad_alloc|out of memory|cannot allocate memory|failed to map segment|can't start new thread|"
    r"unable to allocate|allocation failed|could not spawn",
    re.IGNORECASE,
)


def explain(error: BaseException) -> PipelineError | None:
    """Return the user's error behind an exception; None for a bug."""
    for cause in _causes(error):
        if isinstance(cause, PipelineError):
            return cause
        if _is_of_memory(cause):
            return OutOfMemory.wanted(_wanted(str(cause)))
        if number := cause.errno if isinstance(cause, OSError) and cause.errno in NO_ROOM else no_room(cause):
            where = getattr(cause, "filename", None) or "an output or temporary file"
            return OutputError(f"{where}: cannot be written ({os.strerror(number)}); check the free space")
        if isinstance(cause, OSError) and cause.errno in _TOO_MANY_FILES:
            return PipelineError(f"too many open files ({cause.strerror}); raise the limit with 'ulimit -n'")
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _is_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    return not isinstance(error, PipelineError) and _NO_MEMORY.search(str(error)) is not None


def _wanted(text: str) -> str:
    """Return the size of the failed request, if the library's message contains it."""
    found = re.search(r"[\d.,]+ ?(?:bytes|[KMGT]i?B)\b", text)
    return found[0] if found else ""
