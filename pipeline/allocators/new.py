"""A starting point for a new design: the files of skeleton/ under the user's chosen name."""

from __future__ import annotations

import keyword
import re
import sys
from pathlib import Path

from pipeline.allocators.registry import shipped_allocators
from pipeline.errors import OutputError, UsageError
from pipeline.io.files import output_error

_SKELETON = Path(__file__).with_name("skeleton")
_PLACEHOLDER = re.compile(r"\bNAME\b")


def new_allocator(name: str, directory: Path = Path()) -> tuple[Path, Path]:
    """Write NAME.py, a design that can be replayed, and test_NAME.py, its test; return their paths.

    Existing files are never overwritten, and either both files are written or none. Raises UsageError for a
    name that is not allowed, and OutputError if the files cannot be written.
    """
    _refuse_name(name)
    texts = {
        directory / f"{name}.py": "design.py",
        directory / f"test_{name}.py": "test_design.py",
    }
    for path in texts:
        if path.exists() or path.is_symlink():
            raise OutputError(
                f"{path}: cannot write a new file: the path exists; choose another name or -o DIR"
            )
    written: list[Path] = []
    path = directory
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for path, template in texts.items():
            text = _PLACEHOLDER.sub(name, (_SKELETON / template).read_text(encoding="utf-8"))
            # "x" keeps a file of that name that another process creates in the meantime.
            with path.open("x", encoding="utf-8") as file:
                written.append(path)
                file.write(text)
    except BaseException as error:
        for partial in written:
            partial.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise output_error(path, error) from error
        raise
    allocator, test = texts
    return allocator, test


def _refuse_name(name: str) -> None:
    if not name.isidentifier() or keyword.iskeyword(name):
        raise UsageError(
            f"NAME must be a Python identifier (letters, digits and underscores, as in 'my_pool'), "
            f"found '{name}'; it becomes the name of a Python file"
        )
    if name in sys.stdlib_module_names:
        raise UsageError(
            f"NAME must be a new name, found '{name}', a module of Python's standard library that {name}.py "
            f"would hide; try 'my_{name}'"
        )
    if name in shipped_allocators():
        raise UsageError(
            f"NAME must be a new name, found '{name}', a shipped design; try 'my_{name}', or "
            f"'pipeline allocators {name}' to read about that design"
        )
