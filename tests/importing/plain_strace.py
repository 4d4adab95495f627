"""Pages that reads and writes of a strace -y text move, by the rules of open(2): plain, and of its own.

A position belongs to the open file description, which dup and fork share; O_APPEND writes at the end; pread
and its kin have a position of their own. For texts in which each call is whole and all positions are known.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_CALL = re.compile(r"(\d+) +[\d.]+ (\w+)\((.*)\) += (-?\d+)(?:<([^>]*)>)?")
_DATA = re.compile(r'"(\\.|[^"\\])*"(\.\.\.)?')


@dataclass
class Description:
    """An open file: its path, its position, and whether writes go to the end."""

    path: str
    at: int
    append: bool


class PlainStrace:
    """Takes lines; `moved` has (kind, path, page) of each page in order."""

    def __init__(self) -> None:
        self.tables: dict[int, dict[int, Description]] = {}
        self.sizes: dict[str, int] = {}
        self.moved: list[tuple[str, str, int]] = []

    def take(self, text: str) -> PlainStrace:
        for line in text.splitlines():
            if found := _CALL.match(line):
                pid, call, arguments, result, path = found.groups()
                self._call(int(pid), call, _DATA.sub('""', arguments), int(result), path)
        return self

    def _call(self, pid: int, call: str, arguments: str, result: int, path: str | None) -> None:
        files = self.tables.setdefault(pid, {})
        fds = [int(fd) for fd in re.findall(r"(?:^|, )(\d+)<", arguments)]
        numbers = [int(n) for n in re.findall(r", (-?\d+)(?=,|$)", re.sub(r"<[^>]*>", "", arguments))]
        if call == "openat":
            assert path
            files[result] = Description(path, 0, "O_APPEND" in arguments)
            if "O_TRUNC" in arguments:
                self.sizes[path] = 0
        elif call in ("dup", "dup2"):
            files[result] = files[fds[0]]
        elif call == "close":
            del files[fds[0]]
        elif call == "clone":
            self.tables[result] = dict(files)
        elif call == "lseek":
            files[fds[0]].at = result
        elif call in ("read", "write"):
            self._move(call, files[fds[0]], -1, result)
        elif call in ("pread64", "pwrite64"):
            self._move(call[1:-2], files[fds[0]], numbers[-1], result)
        elif call == "copy_file_range":
            source, target = (files[fd] for fd in fds)
            source.at += result
            self._move("write", target, -1, result)

    def _move(self, kind: str, file: Description, at: int, count: int) -> None:
        own = at >= 0
        if not own:
            at = self.sizes[file.path] if file.append and kind == "write" else file.at
            file.at = at + count
        if kind == "write" and file.path in self.sizes:
            self.sizes[file.path] = max(self.sizes[file.path], at + count)
        self.moved += [(kind, file.path, page) for page in range(at >> 12, ((at + count - 1) >> 12) + 1)]
