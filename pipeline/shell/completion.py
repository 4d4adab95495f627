"""Completion in the SQL shell: names that fit at the cursor, each with its description."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document

from pipeline.shell.layout import MODES
from pipeline.shell.shell import COMMANDS
from pipeline.sql.library import Query, queries
from pipeline.sql.macros import MACROS
from pipeline.sql.output import FORMATS
from pipeline.sql.views import VIEWS

Name = tuple[str, str]

_KEYWORDS = (
    "SELECT", "FROM", "WHERE", "GROUP BY", "ORDER BY", "HAVING", "QUALIFY", "LIMIT", "JOIN", "LEFT JOIN",
    "ON", "USING", "WITH", "AS", "AND", "OR", "NOT", "IN", "IS NULL", "BETWEEN", "LIKE", "CASE", "WHEN",
    "THEN", "ELSE", "END", "DISTINCT", "UNION ALL", "OVER", "PARTITION BY", "DESC", "FILTER", "DESCRIBE",
    "count(", "sum(", "avg(", "min(", "max(", "quantile_disc(",
)  # fmt: skip
_AFTER_A_TABLE_WORD = re.compile(r"\b(from|join|describe|summarize)\s+(\w*)$", re.IGNORECASE)
_QUALIFIED = re.compile(r"(\w+)\.(\w*)$")
_WORD = re.compile(r"(\w*)$")
_READ = re.compile(
    r"\b(?:from|join)\s+(\w+)(?:\s+(?:as\s+)?(?!on\b|using\b|where\b|join\b)(\w+))?", re.IGNORECASE
)
# Completions appear while typing after this many letters.
_LETTERS = 2


class SqlCompleter(Completer):
    """Completion of SQL over the views, and of dot commands."""

    def __init__(self, runs: Sequence[str]) -> None:
        """Propose `runs` as completions of string literals."""
        self._runs = runs
        self._queries: dict[str, Query] = queries()
        self._paths = PathCompleter(expanduser=True)

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        """Yield the completions of the text before the cursor."""
        before = document.text_before_cursor
        if before.lstrip().startswith("."):
            if before.lstrip().startswith(".output "):
                path = before.lstrip().removeprefix(".output ").removeprefix("--force ")
                yield from self._paths.get_completions(Document(path), complete_event)
                return
            word, names = self._of_command(before.lstrip())
        else:
            word, names = self._of_sql(before, document.text)
        if complete_event.text_inserted and len(word) < _LETTERS:
            return
        for name, meaning in names:
            if name.lower().startswith(word.lower()) and name != word:
                yield Completion(name, start_position=-len(word), display_meta=meaning)

    def _of_command(self, line: str) -> tuple[str, Iterable[Name]]:
        words = line.split(" ")
        word = words[-1]
        if len(words) == 1:
            return word, [(name, command.doc) for name, command in COMMANDS.items()]
        if words[0] in (".query", ".show") and len(words) == 2:
            return word, [(query.name, query.question) for query in self._queries.values()]
        if words[0] == ".query" and words[1] in self._queries:
            return word, [(f"{p.name}=", f"{p.doc}; {p.default}") for p in self._queries[words[1]].params]
        if words[0] == ".schema":
            return word, [*_views(), *_macros()]
        if words[0] == ".mode":
            return word, MODES.items()
        if words[0] == ".format":
            return word, [(form, "") for form in FORMATS]
        return word, ()

    def _of_sql(self, before: str, whole: str) -> tuple[str, Iterable[Name]]:
        if before.count("'") % 2:
            return before.rsplit("'", 1)[1], [(name.replace("'", "''"), "run") for name in self._runs]
        if table := _AFTER_A_TABLE_WORD.search(before):
            return table[2], [*_views(), *_macros()]
        read = {view.lower(): view for view, _ in _READ.findall(whole)}
        read |= {alias.lower(): view for view, alias in _READ.findall(whole) if alias}
        if qualified := _QUALIFIED.search(before):
            view = read.get(qualified[1].lower()) or qualified[1]
            return qualified[2] or "", _columns([view])
        word = _WORD.search(before)
        columns = _columns(read.values()) or _columns(VIEWS)
        return (word[1] if word else ""), [
            *columns, *((keyword, "") for keyword in _KEYWORDS), *_views(),
        ]  # fmt: skip


def _views() -> list[Name]:
    return [(view.name, view.doc) for view in VIEWS.values()]


def _macros() -> list[Name]:
    return [(f"{macro.name}(", macro.doc) for macro in MACROS.values()]


def _columns(views: Iterable[str]) -> list[Name]:
    """Return the columns of views by name, without duplicates, with units and descriptions."""
    found: dict[str, str] = {}
    for view in views:
        for column in VIEWS[view].columns if view in VIEWS else ():
            unit = f"{column.unit}: " if column.unit else ""
            found.setdefault(column.name, unit + column.doc)
    return sorted(found.items())
