"""The SQL shell at a terminal: editing, history, completion; `shell.Shell` does the work."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.filters import Condition, is_searching
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.input import Input
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.key_binding.key_processor import KeyPressEvent
from prompt_toolkit.lexers import PygmentsLexer
from prompt_toolkit.output import Output
from prompt_toolkit.search import stop_search
from pygments.lexers.sql import SqlLexer

from pipeline.errors import PipelineError
from pipeline.io import interrupts
from pipeline.shell.completion import SqlCompleter
from pipeline.shell.shell import Leave, Shell, is_complete
from pipeline.sql.connection import SqlError
from pipeline.sql.library import Value
from pipeline.sql.session import open_session

_PROMPT = "sql> "


def run_prompt(
    runs: Sequence[Path], form: str | None, params: Mapping[str, Value], safe: bool = False
) -> None:
    """Open runs and answer at the terminal until the user leaves; `safe` is as for `Session`.

    Raises InputError for a path without a readable run.
    """
    with open_session(runs, recordings=True, safe=safe) as session:
        names = [run.name for run in session.runs]
        names += [recording.name for recording in session.recordings]
        names += [table.name for table in session.lock_tables]
        shown = "; ".join(names[:4]) + ("; ..." if len(names) > 4 else "")
        print(f"{len(names)} {'run' if len(names) == 1 else 'runs'}: {shown}")
        print(
            "SQL ends in ';'; .help lists commands, .tables what can be asked, Tab completes, .quit leaves."
        )
        shell = Shell(session, _write, form, params, columns=lambda: shutil.get_terminal_size().columns)
        converse(shell, names, history())


def converse(
    shell: Shell,
    runs: Sequence[str],
    remembered: History,
    source: Input | None = None,
    screen: Output | None = None,
) -> None:
    """Read statements and carry them out until the user leaves; a mistake is one line, then it goes on."""
    prompt: PromptSession[str] = PromptSession(
        history=remembered,
        lexer=PygmentsLexer(SqlLexer),
        completer=SqlCompleter(runs),
        complete_in_thread=True,
        auto_suggest=AutoSuggestFromHistory(),
        # Enter begins another line as long as the statement has no end.
        multiline=Condition(lambda: not is_complete(get_app().current_buffer.text)),
        prompt_continuation=lambda width, number, wrapped: "...> ".rjust(width),
        key_bindings=_bindings(),
        input=source,
        output=screen,
    )
    with interrupts.left_to_caller():
        _converse(shell, prompt)


def _bindings() -> KeyBindings:
    """Let Ctrl-C end a search of the history only; the library would end the prompt within the search too."""
    bindings = KeyBindings()

    @bindings.add("c-c", filter=is_searching, eager=True)
    def _end_search(_: KeyPressEvent) -> None:
        # The library does not find every search among those that it knows.
        with suppress(KeyError):
            stop_search()

    return bindings


def _converse(shell: Shell, prompt: PromptSession[str]) -> None:
    while True:
        try:
            text = prompt.prompt(_PROMPT)
        except KeyboardInterrupt:
            continue
        except EOFError:
            return
        try:
            _carry_out(shell, text)
        except Leave:
            return
        except PipelineError as error:
            if isinstance(error, SqlError) and error.picture:
                _write(f"{error.picture}\n")
            # The views that there are, which the error ends with, can be completed and listed here.
            _write(f"error: {str(error).partition('; views: ')[0]}\n")


def _carry_out(shell: Shell, text: str) -> None:
    """Let the shell do it in a thread of its own: DuckDB does not hear Ctrl-C while it works."""
    with ThreadPoolExecutor(1) as worker:
        done = worker.submit(shell.run, text)
        while True:
            try:
                return done.result()
            except KeyboardInterrupt:
                shell.session.interrupt()


def history() -> History:
    """Lines typed before, kept in the user's state directory; not kept where that cannot be made."""
    home = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    path = home / "kmap-pipeline" / "sql_history"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except OSError:
        return InMemoryHistory()
    return FileHistory(str(path))


def _write(text: str) -> None:
    print(text, end="", flush=True)
