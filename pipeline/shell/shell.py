"""The SQL shell without a terminal: statements, dot commands and scripts.

A statement ends in `;`. A line that begins with a dot is a command of the shell.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from pipeline.errors import UsageError, unknown_name
from pipeline.io.key_values import key_values
from pipeline.io.numbers import format_count
from pipeline.io.outputs import choose_form, choose_output
from pipeline.io.tables import align_columns
from pipeline.shell.layout import MODES, show_answer
from pipeline.sql.describe import describe_relation
from pipeline.sql.kept_logs import note_missing_logs
from pipeline.sql.library import Value, describe_queries, load_query, placeholders, plain_value, run_query
from pipeline.sql.macros import MACROS
from pipeline.sql.output import FORMATS, write_frame
from pipeline.sql.session import Session, open_session
from pipeline.sql.statements import ends_complete, has_code, is_question, split_statements
from pipeline.sql.views import VIEWS

# The shell prints at most this many rows by default.
ROWS = 200


class Leave(Exception):  # noqa: N818 - nothing went wrong
    """The user has left the shell."""


class Shell:
    """A session with its settings: the format and destination of results."""

    def __init__(
        self,
        session: Session,
        write: Callable[[str], None],
        form: str | None = None,
        params: Mapping[str, Value] | None = None,
        rows: int | None = ROWS,
        note: Callable[[str], None] | None = None,
        columns: Callable[[], int] | None = None,
    ) -> None:
        """Create a shell over a session.

        `write` prints text, and `note` (default: `write`) prints messages. `form` is one of FORMATS; if None,
        results are tables, and files have the format of their name's ending. `params` fill `$name`
        placeholders. `rows` is the largest number of rows to print, None for all. `columns` returns the width
        of the screen.
        """
        self.session = session
        self.form = None if form is None else _check_format(form)
        self.output: Path | None = None
        self._write = write
        self._note = note or write
        self._columns = columns
        self._mode = "auto"
        self._params = dict(params or {})
        self._rows = rows

    def run(self, text: str) -> None:
        """Run a dot command, or every statement of the text.

        Raises PipelineError for the first statement that fails, and Leave when the user leaves.
        """
        if is_command(text):
            self._command(text.strip().rstrip(";").strip())
            return
        for statement in split_statements(text):
            self._statement(statement)

    def _statement(self, sql: str) -> None:
        wanted = placeholders(sql)
        params = {name: value for name, value in self._params.items() if name in wanted}
        whole = self._rows is None or self.output is not None
        self._tell_of_logs(sql)
        frame = self.session.run(sql, params or None, None if whole else (self._rows or 0) + 1)
        # A statement that changes data returns only a count.
        if frame is not None and (is_question(sql) or frame.columns != ["Count"]):
            self._answer(frame)

    def _tell_of_logs(self, sql: str) -> None:
        if note := note_missing_logs(self.session, sql):
            self._note(f"({note})\n")

    def _answer(self, frame: pl.DataFrame) -> None:
        if self.output is not None:
            write_frame(frame, choose_form(self.output, self.form, FORMATS), self.output)
            self._write(f"{self.output}: {format_count(frame.height, 'row')}\n")
            self.output = None
            return
        if self.form == "parquet":
            raise UsageError("format 'parquet' is binary; choose a file with .output FILE first")
        most = frame.height if self._rows is None else self._rows
        columns = self._columns() if self._columns else None
        show_answer(frame.head(most), self.form or FORMATS[0], self._mode, columns, self._write)
        if frame.height > most:
            self._note(f"(first {format_count(most, 'row')}; .rows N shows more, .output FILE writes all)\n")

    def _command(self, text: str) -> None:
        name, *words = text.split()
        name = ALIASES.get(name) or _BARE.get(text.lower(), name)
        if name not in COMMANDS:
            raise unknown_name("command", name, COMMANDS)
        wants = COMMANDS[name].argument
        if wants and not wants.startswith("[") and not words:
            raise UsageError(f"expected {name} {wants}")
        if not wants and words:
            raise UsageError(f"{name} takes no argument, found '{words[0]}'")
        COMMANDS[name].run(self, words)

    def _tables(self, words: list[str]) -> None:
        rows = [(view.name, view.doc) for view in VIEWS.values()]
        rows += [(macro.call, macro.doc) for macro in MACROS.values()]
        self._write(align_columns(rows))

    def _schema(self, words: list[str]) -> None:
        # Views and macros of the user have no documentation; DuckDB lists their columns.
        if words[0] in {**VIEWS, **MACROS}:
            self._write(describe_relation(words[0]))
        else:
            self._answer(self.session.query(f"DESCRIBE {_identifier(words[0])}"))

    def _list_runs(self, words: list[str]) -> None:
        found = [(run.name, str(run.directory)) for run in self.session.runs]
        found += [(recording.name, str(recording.path)) for recording in self.session.recordings]
        found += [(table.name, str(table.path)) for table in self.session.lock_tables]
        self._write(align_columns(found))

    def _queries(self, words: list[str]) -> None:
        self._write(describe_queries(*words))

    def _query(self, words: list[str]) -> None:
        pairs = key_values(words[1:], ".query")
        params = {name: plain_value(value) for name, value in pairs.items()}
        query = load_query(words[0])
        self._tell_of_logs(query.body)
        self._answer(run_query(self.session, query, params))

    def _set_format(self, words: list[str]) -> None:
        self.form = _check_format(words[0])

    def _set_mode(self, words: list[str]) -> None:
        if words[0] not in MODES:
            raise unknown_name("mode", words[0], MODES)
        self._mode = words[0]

    def _set_output(self, words: list[str]) -> None:
        if self.session.safe:
            raise UsageError(".output is not available with --safe; use --output of the command")
        force = words[:1] == ["--force"]
        name = " ".join(words[force:])
        if force and not name:
            raise UsageError(".output --force requires the name of a file")
        path = Path(name).expanduser() if name else None
        if path is not None:
            choose_output(path, FORMATS, self.form, force=force)
        self.output = path

    def _set_rows(self, words: list[str]) -> None:
        rows = plain_value(words[0])
        if not isinstance(rows, int) or rows < 1:
            raise UsageError(f".rows: expected a whole number of at least 1, found '{words[0]}'")
        self._rows = rows

    def _help(self, words: list[str]) -> None:
        self._write("An SQL statement ends in ';' and may span several lines. Ctrl-C clears it.\n")
        rows = ((f"{name} {command.argument}".rstrip(), command.doc) for name, command in COMMANDS.items())
        self._write(align_columns(rows))

    def _quit(self, words: list[str]) -> None:
        raise Leave


@dataclass(frozen=True)
class Command:
    """A dot command: its arguments, its description and its function."""

    argument: str
    doc: str
    run: Callable[[Shell, list[str]], None]


COMMANDS = {
    ".help": Command("", "list the commands; also help", Shell._help),
    ".tables": Command(
        "", "list tables, views and macros, with the meaning of a row; also .views", Shell._tables
    ),
    ".schema": Command(
        "NAME",
        "describe the columns of a table or view, or the parameters of a macro, with units",
        Shell._schema,
    ),
    ".runs": Command("", "list the open runs", Shell._list_runs),
    ".queries": Command("", "list the queries of the library", Shell._queries),
    ".show": Command("NAME", "show a query of the library: its parameters, columns and SQL", Shell._queries),
    ".query": Command("NAME [PARAMETER=VALUE ...]", "run a query of the library", Shell._query),
    ".format": Command("FORMAT", f"set the format of results: {', '.join(FORMATS)}", Shell._set_format),
    ".mode": Command(
        "MODE",
        "set the display of tables: " + "; ".join(f"{m}: {doc}" for m, doc in MODES.items()),
        Shell._set_mode,
    ),
    ".output": Command(
        "[[--force] FILE]",
        "write the next result to a file (--force: overwrite it); without a file, to the screen",
        Shell._set_output,
    ),
    ".rows": Command("N", "set the number of rows to print; files get all rows", Shell._set_rows),
    ".quit": Command("", "leave; also exit, quit, \\q and Ctrl-D", Shell._quit),
}
ALIASES = {".views": ".tables", ".exit": ".quit"}
# Names of these commands in other shells, without a dot.
_BARE = {"exit": ".quit", "quit": ".quit", "help": ".help", r"\q": ".quit", r"\?": ".help", "?": ".help"}


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def is_complete(text: str) -> bool:
    """Return whether a text can be run: it is empty, a command, or SQL that ends in `;`."""
    return not text.strip() or is_command(text) or ends_complete(text)


def is_command(text: str) -> bool:
    """Return whether a text is a command: it begins with a dot, or is a word such as exit or help."""
    return text.lstrip().startswith(".") or text.strip().rstrip(";").strip().lower() in _BARE


_DOT_LINE = re.compile(r"^\s*\.[a-z]")


def run_script(
    runs: Sequence[Path],
    text: str,
    write: Callable[[str], None],
    form: str | None,
    params: Mapping[str, Value],
    output: Path | None = None,
    note: Callable[[str], None] | None = None,
    safe: bool = False,
) -> None:
    """Run a script over runs: statements, and dot commands on lines of their own.

    `write` receives all rows of the results, and `note` receives messages. If `output` is given, the first
    result goes to that file. The script stops at its first error, which is raised with the line at which the
    statement begins. Raises UsageError for a parameter that the script does not have. `safe` is as for
    `Session`.
    """
    known = placeholders(text)
    for name in params:
        if name not in known:
            raise unknown_name("parameter of the script", name, known)
    with open_session(runs, recordings=True, safe=safe) as session:
        shell = Shell(session, write, form, params, rows=None, note=note)
        shell.output = output
        for number, part in _split_script(text):
            try:
                shell.run(part)
            except Leave:
                return
            except UsageError as error:
                raise UsageError(f"line {number}: {error}") from error


def _split_script(text: str) -> Iterator[tuple[int, str]]:
    """Divide a script into dot commands and complete statements, each with its first line number."""
    waiting: list[str] = []
    first = 1
    # The last statement does not need a `;`.
    for number, line in enumerate([*text.splitlines(), ";"], 1):
        if not has_code("\n".join(waiting)):
            waiting, first = [], number
        if not waiting and _DOT_LINE.match(line):
            yield number, line
            continue
        waiting.append(line)
        whole = "\n".join(waiting)
        if is_complete(whole) and whole.strip():
            waiting = []
            yield first, whole


def _check_format(form: str) -> str:
    if form not in FORMATS:
        raise unknown_name("format", form, FORMATS)
    return form
