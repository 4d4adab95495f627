"""The history of the SQL shell: a file in the user's state directory, of bounded size."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from prompt_toolkit.history import FileHistory, History, InMemoryHistory

from pipeline.errors import OutputError
from pipeline.io.files import complete_file

KEPT = 10_000
"""Entries that remain when a shell starts; older ones are dropped."""


class _KeptHistory(FileHistory):
    """A history in a file. If the file cannot be written, the entry is kept in memory only."""

    def store_string(self, string: str) -> None:
        with suppress(OSError):
            super().store_string(string)


def open_history() -> History:
    """Open the history in `$XDG_STATE_HOME/kmap-pipeline/sql_history`, in memory if that is not writable."""
    home = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    path = home / "kmap-pipeline" / "sql_history"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        _shorten(path)
    except (OSError, OutputError):
        return InMemoryHistory()
    return _KeptHistory(str(path))


def _shorten(path: Path) -> None:
    # prompt_toolkit writes a comment before each entry and "+" before each of its lines.
    before, *entries = path.read_bytes().split(b"\n# ")
    if len(entries) > KEPT:
        with complete_file(path) as partial:
            partial.write_bytes(before + b"".join(b"\n# " + entry for entry in entries[-KEPT:]))
            partial.chmod(0o600)
