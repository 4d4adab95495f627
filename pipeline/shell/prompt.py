"""The SQL shell at a terminal: line editing, history and completion around `shell.Shell`."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.filters import Always, Condition, is_searching
from prompt_toolkit.history import History
from prompt_toolkit.input import Input
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.key_binding.key_processor import KeyPressEvent
from prompt_toolkit.lexers import PygmentsLexer
from prompt_toolkit.output import Output
from prompt_toolkit.search import accept_search
from pygments.lexers.sql import SqlLexer

from pipeline.errors import PipelineError
from pipeline.io import interrupts
from pipeline.shell.completion import SqlCompleter
from pipeline.shell.history import open_history
from pipeline.shell.shell import Leave, Shell, is_complete
from pipeline.sql.connection import SqlError
from pipeline.sql.library import Value
from pipeline.sql.session import open_session

_PROMPT = "sql> "
# After Ctrl-C, a query is interrupted again at this interval until it ends.
_AGAIN_S = 0.05


def run_prompt(
    runs: Sequence[Path], form: str | None, params: Mapping[str, Value], safe: bool = False
) -> None:
    """Open runs and answer statements at the terminal until the user leaves.

    `safe` is as for `Session`. Raises InputError for a path without a readable run.
    """
    with open_session(runs, recordings=True, safe=safe) as session:
        names = [run.name for run in session.runs]
        names += [recording.name for recording in session.recordings]
        names += [table.name for table in session.lock_tables]
        shown = "; ".join(names[:4]) + ("; ..." if len(names) > 4 else "")
        print(f"{len(names)} {'run' if len(names) == 1 else 'runs'}: {shown}")
        print("End a statement with ';'. Tab completes, Ctrl-R searches the history. See .help and .tables.")
        shell = Shell(session, _write, form, params, columns=lambda: shutil.get_terminal_size().columns)
        converse(shell, names, open_history())


def converse(
    shell: Shell,
    runs: Sequence[str],
    remembered: History,
    source: Input | None = None,
    screen: Output | None = None,
) -> None:
    """Read statements and run them until the user leaves. An error is printed, and the shell continues.

    `runs` are names to complete; `source` and `screen` replace the terminal.
    """
    prompt: PromptSession[str] = PromptSession(
        history=remembered,
        lexer=PygmentsLexer(SqlLexer),
        completer=SqlCompleter(runs),
        complete_in_thread=True,
        auto_suggest=AutoSuggestFromHistory(),
        # Enter starts a new line until the statement is complete. The text is that of the statement even
        # while the focus is on the search field.
        multiline=Condition(lambda: not is_complete(prompt.default_buffer.text)),
        prompt_continuation=lambda width, number, wrapped: "...> ".rjust(width),
        search_ignore_case=True,
        key_bindings=_bindings(),
        input=source,
        output=screen,
    )
    # The session's own option for this would turn off completion while typing.
    prompt.default_buffer.enable_history_search = Always()
    with interrupts.left_to_caller():
        _converse(shell, prompt)


@Condition
def _is_only_proposed() -> bool:
    """Return whether completions are shown and none is selected."""
    state = get_app().current_buffer.complete_state
    return state is not None and state.current_completion is None


def _bindings() -> KeyBindings:
    """Bind keys as GNU Readline does where prompt_toolkit differs."""
    bindings = KeyBindings()

    @bindings.add("up", filter=_is_only_proposed)
    def _earlier(event: KeyPressEvent) -> None:
        """Leave the proposed completions and go back in the history."""
        event.current_buffer.cancel_completion()
        event.current_buffer.auto_up()

    @bindings.add("enter", filter=is_searching)
    def _run_found(event: KeyPressEvent) -> None:
        """Run the statement that the search found."""
        accept_search()
        event.current_buffer.validate_and_handle()

    return bindings


def _converse(shell: Shell, prompt: PromptSession[str]) -> None:
    while True:
        try:
            text = prompt.prompt(_PROMPT)
        except KeyboardInterrupt:
            if interrupts.received():
                raise
            continue
        except EOFError:
            return
        finally:
            interrupts.watch()
        try:
            _carry_out(shell, text)
        except Leave:
            return
        except PipelineError as error:
            if isinstance(error, SqlError) and error.picture:
                _write(f"{error.picture}\n")
            # Completion and .tables list the views, so the error's own list of them is dropped.
            _write(f"error: {str(error).partition('; views: ')[0]}\n")


def _carry_out(shell: Shell, text: str) -> None:
    """Run the text in a thread, as DuckDB does not react to Ctrl-C while it runs a query."""
    with ThreadPoolExecutor(1) as worker:
        done = worker.submit(shell.run, text)
        stopping = False
        while True:
            try:
                if stopping:
                    # A query that has not begun yet does not notice; it does the next time.
                    shell.session.interrupt()
                if wait([done], _AGAIN_S if stopping else None).done:
                    return done.result()
            except KeyboardInterrupt:
                stopping = True
                if interrupts.received():
                    raise


def _write(text: str) -> None:
    print(text, end="", flush=True)
