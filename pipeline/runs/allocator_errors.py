"""Errors in a design's own code, as one line with the design's file and line."""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.allocators.api.allocator import Allocator
from pipeline.allocators.api.composite import parts_of
from pipeline.errors import InputError, PipelineError
from pipeline.machine.drive import allocator_files

_COLOUR = re.compile(r"\x1b\[\d*m")
# Numba names the copy that it compiles, which has the line numbers of the user's file.
_COMPILED_LINE = re.compile(r'allocator(?:_(\d+))?\.py(?:", line | \()(\d+)')
# Numba writes a type with all its fields, which may take thousands of characters.
_TYPE_FIELDS = re.compile(r"\(\(.*\)")
_NUMBA = f"{os.sep}numba{os.sep}"
_FRAME = "Failed in "


@contextmanager
def allocator_errors(allocator: Allocator) -> Iterator[None]:
    """Raise InputError for any error within a design's file, compiled or not."""
    try:
        yield
    except PipelineError:
        raise
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        # Recognised by its path, as importing Numba would delay plain runs.
        if any(_NUMBA in frame.filename for frame in frames):
            raise InputError(_not_compiled(allocator, error)) from error
        files = [str(part.path) for part in parts_of(allocator)]
        places = [f"{frame.filename}, line {frame.lineno}" for frame in frames if frame.filename in files]
        if places:
            what = f"{type(error).__name__}: {error}"
            raise InputError(f"{places[-1]}: {what}; fix the file") from error
        if isinstance(error, IndexError):
            # Compiled code checks indices of a design's tables, but has no line numbers.
            raise InputError(
                f"{allocator_files(allocator)}: {error}; use --no-compile to find the line"
            ) from error
        raise


def _not_compiled(allocator: Allocator, error: Exception) -> str:
    text = _COLOUR.sub("", f"no record has a field {error}" if isinstance(error, KeyError) else str(error))
    line = _COMPILED_LINE.search(text)
    said = [part.strip() for part in text.splitlines()]
    reason = next((part for part in said if part and not part.startswith(_FRAME)), "Numba gave no reason")
    place = (
        f"{parts_of(allocator)[int(line[1] or 0)].path}, line {line[2]}"
        if line
        else allocator_files(allocator)
    )
    return (
        f"{place}: cannot be compiled: "
        f"{_TYPE_FIELDS.sub('', reason).rstrip('.')}; "
        "compiled code may use only integers, records and arrays "
        "(use --no-compile to debug it as plain Python)"
    )
