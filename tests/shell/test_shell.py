"""The SQL shell: statements, dot commands, completion, a conversation at a terminal, and scripts."""

from __future__ import annotations

import concurrent.futures
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, InMemoryHistory
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from pipeline.errors import OutputError, UsageError
from pipeline.shell import prompt
from pipeline.shell.completion import SqlCompleter
from pipeline.shell.history import open_history
from pipeline.shell.prompt import converse
from pipeline.shell.shell import COMMANDS, Leave, Shell, is_complete, run_script
from pipeline.sql.session import Session, open_session
from pipeline.sql.statements import split_statements
from pipeline.sql.views import VIEWS
from tests.sql.handmade import make_run
from tests.sql.test_queries import EVENTS, OPERATIONS

PIPELINE = Path(sys.executable).with_name("pipeline")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("shell") / "runs"
    make_run(directory / "one", "it's a", OPERATIONS, EVENTS)
    return directory


@pytest.fixture(scope="module")
def session(runs: Path) -> Iterator[Session]:
    with open_session([runs]) as opened:
        yield opened


@pytest.fixture
def say(session: Session) -> Callable[..., str]:
    """Say lines to one shell; what it wrote."""
    written: list[str] = []
    shell = Shell(session, written.append)

    def said(*lines: str) -> str:
        written.clear()
        for line in lines:
            shell.run(line)
        return "".join(written)

    return said


def test_a_semicolon_within_a_string_a_name_or_a_comment_ends_nothing() -> None:
    assert split_statements("SELECT ';' ; SELECT 'ü;' AS \"a;b\" -- ;\n; /* ; */") == [
        "SELECT ';'",
        "SELECT 'ü;' AS \"a;b\" -- ;",
    ]


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        ("FROM runs", False),
        ("FROM runs;", True),
        ("FROM runs; -- and so on", True),
        ("FROM runs; SELECT", False),
        ("SELECT ';", False),
        ("SELECT 1 -- ;", False),
        (".tables", True),
        ("exit", True),
        ("\\q", True),
        ("HELP;", True),
        ("helper", False),
        ("  ", True),
    ],
)
def test_a_statement_goes_on_until_its_semicolon(text: str, complete: bool) -> None:
    assert is_complete(text) == complete


def test_statements_are_answered_one_after_another(say: Callable[..., str]) -> None:
    assert say("SELECT 1 AS a; SELECT 2 AS b;") == "a\n-\n1\nb\n-\n2\n"
    assert say("CREATE TEMP TABLE mine AS SELECT 5 AS q; FROM mine;") == "q\n-\n5\n"


def test_what_is_cut_off_is_said(say: Callable[..., str]) -> None:
    assert say(".rows 1", "SELECT unnest([7, 8]) AS n;") == (
        "n\n-\n7\n(first 1 row; .rows N shows more, .output FILE writes all)\n"
    )
    assert say(".rows 2", "SELECT unnest([7, 8]) AS n;") == "n\n-\n7\n8\n"


def test_an_answer_goes_to_a_file_whole_and_the_next_to_the_screen(
    say: Callable[..., str], tmp_path: Path
) -> None:
    path = tmp_path / "a file.csv"
    said = say(".rows 1", ".format csv", f".output {path}", "SELECT unnest([7, 8]) AS n;", "SELECT 1 AS a;")
    assert said == f"{path}: 2 rows\na\n1\n"
    assert path.read_text() == "n\n7\n8\n"


def test_an_existing_file_is_overwritten_only_with_force(say: Callable[..., str], tmp_path: Path) -> None:
    path = tmp_path / "a file.csv"
    path.write_text("mine\n")
    with pytest.raises(OutputError, match="already exists"):
        say(f".output {path}")
    say(f".output --force {path}", "SELECT 5 AS n;")
    assert path.read_text() == "n\n5\n"
    with pytest.raises(UsageError, match="requires the name of a file"):
        say(".output --force")


def test_queries_of_the_library_take_their_parameters(say: Callable[..., str]) -> None:
    assert len(say(".query slowest_operations top=1").splitlines()) == 3
    assert say(".show lockmeter").startswith("lockmeter\nHow busy is the lock")
    assert "lockmeter " in say(".queries")


def test_commands_list_what_there_is(say: Callable[..., str], runs: Path) -> None:
    assert say(".tables") == say(".views")
    assert all(f"{view}  " in say(".tables") or view in say(".tables") for view in VIEWS)
    assert say(".schema flushes").splitlines()[0] == "flushes: one row per global or directed TLB flush"
    assert say(".runs") == f"it's a  {(runs / 'one').resolve()}\n"
    assert all(name in say(".help") for name in COMMANDS)


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("FROM nothing;", "Table with name nothing does not exist"),
        (".tabels", "unknown command '.tabels' (did you mean '.tables'"),
        (".schema nothing", "Table with name nothing does not exist"),
        (".schema", "expected .schema NAME"),
        (".query", "expected .query NAME"),
        (".query nothing", "unknown query 'nothing'"),
        (".query lockmeter x", ".query expects KEY=VALUE, found 'x'"),
        (".query lockmeter x=1", "unknown parameter of 'lockmeter' 'x'"),
        (".format cvs", "unknown format 'cvs' (did you mean 'csv'"),
        (".rows none", ".rows: expected a whole number of at least 1, found 'none'"),
        (".runs now", ".runs takes no argument, found 'now'"),
    ],
)
def test_mistakes_say_what_is_wanted(say: Callable[..., str], line: str, error: str) -> None:
    with pytest.raises(UsageError) as refused:
        say(line)
    assert error in str(refused.value)


def test_parquet_wants_a_file(say: Callable[..., str], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"choose a file with .output FILE first"):
        say(".format parquet", "SELECT 1;")
    assert "1 row" in say(f".output {tmp_path / 'x.parquet'}", "SELECT 1;")


def test_quit_leaves(say: Callable[..., str]) -> None:
    for line in (".quit", ".exit", "exit", "quit;", "\\q"):
        with pytest.raises(Leave):
            say(line)


def proposed(text: str, after: str = "") -> list[str]:
    document = Document(text + after, cursor_position=len(text))
    event = CompleteEvent(completion_requested=True)
    return [c.text for c in SqlCompleter(["it's a", "b"]).get_completions(document, event)]


def test_after_from_come_views_and_table_macros() -> None:
    assert proposed("SELECT * FROM op") == ["operations"]
    assert "quantiles(" in proposed("FROM qu")
    assert proposed("FROM runs JOIN lock_w") == ["lock_waits"]


def test_columns_are_those_of_the_views_that_are_read() -> None:
    assert proposed("SELECT cpus_", " FROM flushes") == ["cpus_interrupted"]
    assert "freed" not in proposed("SELECT f", " FROM flushes")
    assert proposed("SELECT o.map_w", " FROM operations AS o") == ["map_wait_ns"]
    assert proposed("SELECT woken_") == ["woken_by"]


def test_a_string_is_the_name_of_a_run() -> None:
    assert proposed("FROM runs WHERE run = 'i") == ["it''s a"]


def test_commands_complete_with_their_arguments() -> None:
    assert proposed(".sch") == [".schema"]
    assert proposed(".query slowest") == ["slowest_operations"]
    assert proposed(".query slowest_operations t") == ["top="]
    assert proposed(".format cs") == ["csv"]


def conversation(session: Session, keys: str, capsys: pytest.CaptureFixture[str], **more: object) -> str:
    """What the screen shows of the answers when somebody presses these keys."""
    with create_pipe_input() as source:
        source.send_text(keys)
        converse(
            Shell(session, lambda text: print(text, end="")), ["a"], more.get("history") or InMemoryHistory(),
            source, DummyOutput(),
        )  # fmt: skip
    return capsys.readouterr().out


def test_enter_goes_on_until_the_semicolon_and_ctrl_d_leaves(
    session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    assert conversation(session, "SELECT\r1 AS a\r;\r\x04", capsys) == "a\n-\n1\n"


def test_a_mistake_is_shown_with_its_place_and_the_conversation_goes_on(
    session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    assert conversation(session, "SELEC;\rSELECT 2 AS b;\r.quit\r", capsys) == (
        "LINE 1: SELEC\n        ^^^^^\n"
        'error: Parser Error: syntax error at or near "SELEC" (line 1)\nb\n-\n2\n'
    )


def test_ctrl_c_clears_the_line(session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    assert conversation(session, "SELECT nonsense\x03SELECT 3 AS c;\r\x04", capsys) == "c\n-\n3\n"


def test_ctrl_c_ends_a_search_of_the_history(session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    keys = "SELECT 3 AS c;\r\x12SEL\x03\x03SELECT 4 AS d;\r\x04"
    assert conversation(session, keys, capsys) == "c\n-\n3\nd\n-\n4\n"


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        ("\x12two\r", "two"),
        ("\x12TWO\x12\r", "two"),
        ("\x12select\x12\x12\r", "one"),
        ("select 1\x1b[A\r", "one"),
        ("select\x1b[A\x1b[A\x1b[A\x1b[B\r", "two"),
        ("\x12two\x03\x1b[A\r", "three"),
    ],
)
def test_the_history_is_searched_as_by_readline(
    session: Session, capsys: pytest.CaptureFixture[str], keys: str, found: str
) -> None:
    """Ctrl-R finds any part, Up and Down what begins as typed; Enter runs it, and Ctrl-C ends the search."""
    remembered = InMemoryHistory(["select 1 AS one;", "select 2 AS two;", "FROM (select 3 AS three);"])
    assert conversation(session, keys + "\x04", capsys, history=remembered).startswith(f"{found}\n-")


def test_history_is_kept_in_the_users_state_directory(
    session: Session,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    conversation(session, "SELECT 1 AS a;\r\x04", capsys, history=open_history())
    kept = tmp_path / "kmap-pipeline" / "sql_history"
    assert list(FileHistory(str(kept)).load_history_strings()) == ["SELECT 1 AS a;"]
    assert kept.stat().st_mode & 0o077 == 0
    monkeypatch.setenv("XDG_STATE_HOME", str(kept))
    assert isinstance(open_history(), InMemoryHistory)


def test_the_history_file_keeps_the_newest_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr("pipeline.shell.history.KEPT", 3)
    kept = tmp_path / "kmap-pipeline" / "sql_history"
    remembered = open_history()
    for text in ("SELECT 1;", "SELECT\n2;", "SELECT\n# 3\n;", "SELECT '\n# 4';"):
        remembered.append_string(text)
    open_history()
    newest = ["SELECT '\n# 4';", "SELECT\n# 3\n;", "SELECT\n2;"]
    assert list(FileHistory(str(kept)).load_history_strings()) == newest
    assert kept.stat().st_mode & 0o077 == 0
    kept.unlink()
    kept.mkdir()
    assert isinstance(open_history(), InMemoryHistory)


class _LateQuery:
    """A shell whose query begins after the second interrupt, and ends at the third."""

    def __init__(self) -> None:
        self.session = self
        self.interrupts = 0
        self.ended = threading.Event()

    def interrupt(self) -> None:
        self.interrupts += 1
        if self.interrupts == 3:
            self.ended.set()

    def run(self, text: str) -> None:
        if not self.ended.wait(20):
            raise AssertionError(f"'{text}' was not ended")
        raise UsageError("interrupted")


def test_ctrl_c_ends_a_query_that_had_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    pressed = iter([True])

    def wait(*of: Any) -> Any:
        if next(pressed, False):
            raise KeyboardInterrupt
        return concurrent.futures.wait(*of)

    monkeypatch.setattr(prompt, "wait", wait)
    with pytest.raises(UsageError, match="interrupted"):
        prompt._carry_out(cast(Shell, _LateQuery()), "FROM runs;")


# As at a terminal: started with `nohup`, the tests ignore SIGHUP, and so would the shell.
HEED_HANGUPS = """
import os, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])
"""


class Terminal:
    """The command's shell at a terminal of its own."""

    def __init__(self, runs: Path, state: Path) -> None:
        environment = os.environ | {
            "XDG_STATE_HOME": str(state),
            "TERM": "xterm",
            "PROMPT_TOOLKIT_NO_CPR": "1",
        }
        self.main, terminal = os.openpty()
        self.shell = subprocess.Popen(
            [sys.executable, "-c", HEED_HANGUPS, PIPELINE, "sql", "--runs", runs],
            stdin=terminal, stdout=terminal, stderr=terminal, env=environment, start_new_session=True,
        )  # fmt: skip
        os.close(terminal)
        self.shown = ""

    def wait_for(self, text: str) -> None:
        """Read until the terminal shows this text, and forget all up to its end."""
        while text not in self.shown:
            assert select.select([self.main], [], [], 30)[0], self.shown
            self.shown += os.read(self.main, 4096).decode(errors="replace")
        self.shown = self.shown.split(text, 1)[-1] if text else self.shown

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self.main, keys.encode())


def test_the_shell_of_the_command_searches_its_history(runs: Path, tmp_path: Path) -> None:
    """At a terminal: Ctrl-C ends the search and Ctrl-R finds the entry of an earlier shell."""
    kept = tmp_path / "kmap-pipeline" / "sql_history"
    kept.parent.mkdir()
    FileHistory(str(kept)).store_string("SELECT 40 + 2 AS answer;")
    terminal = Terminal(runs, tmp_path)
    steps = [("", "sql>"), ("\x12", "search"), ("40", "answer"), ("\x03", ""), ("\x1240\r", "42\r\n")]
    steps += [("", "sql>"), ("\x04", "")]
    for keys, seen in steps:
        terminal.type(keys)
        terminal.wait_for(seen)
    assert terminal.shell.wait(10) == 0
    assert "Traceback" not in terminal.shown
    os.close(terminal.main)


@pytest.mark.parametrize(
    ("sign", "works", "said"),
    [
        (signal.SIGTERM, False, "terminated"),
        (signal.SIGHUP, True, "hung up"),
        (signal.SIGTERM, True, "terminated"),
    ],
)
def test_a_signal_ends_the_shell_at_its_prompt_and_in_a_query(
    runs: Path, tmp_path: Path, sign: signal.Signals, works: bool, said: str
) -> None:
    terminal = Terminal(runs, tmp_path)
    terminal.wait_for("sql>")
    if works:
        terminal.type("SELECT 1 + 1;\r")
        terminal.wait_for("2\r\n")
        terminal.wait_for("sql>")
        terminal.type("SELECT count(*) FROM range(10000000) a, range(10000000) b;\r")
        time.sleep(0.5)
    terminal.shell.send_signal(sign)
    terminal.wait_for(f"pipeline: {said}\r\n")
    assert terminal.shell.wait(10) == 128 + sign
    os.close(terminal.main)


def scripted(runs: Path, text: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PIPELINE, "sql", "--runs", runs, *options], input=text, capture_output=True, text=True, check=False
    )


def test_a_script_on_standard_input_is_carried_out_statement_by_statement(runs: Path) -> None:
    done = scripted(runs, "SELECT 1 AS a;\n.format csv\nSELECT\n $x AS b", "--set", "x=5")
    assert (done.returncode, done.stdout, done.stderr) == (0, "a\n-\n1\nb\n5\n", "")


def test_a_script_ends_at_its_first_error_with_the_line_and_the_exit_status(runs: Path) -> None:
    done = scripted(runs, "SELECT 1 AS a;\n\n-- next\nSELECT\n b;\nSELECT 3 AS c;")
    assert (done.returncode, done.stdout) == (2, "a\n-\n1\n")
    assert done.stderr.startswith('pipeline: line 4: Binder Error: Referenced column "b" was not found')
    assert len(done.stderr.splitlines()) == 1


def test_the_answer_of_a_script_can_go_to_a_file(runs: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    done = scripted(runs, "SELECT 1 AS a", "--format", "json", "-o", str(path))
    assert (done.returncode, path.read_text()) == (0, '[{"a":1}]\n')


def test_a_script_shows_answers_whole(runs: Path) -> None:
    written: list[str] = []
    run_script([runs], "FROM range(5000)", written.append, "csv", {})
    assert len("".join(written).splitlines()) == 5001
