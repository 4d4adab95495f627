"""The command line: one small file per command, which parses, calls one function and prints.

A command's heavy imports wait inside its function, so that `pipeline --help` stays fast; and of a command
that is named the file alone is imported.
"""

from __future__ import annotations

# The first thing to do: until `main` is called, nothing is under way that would have to be stopped with care.
import os
import signal
import sys


def _end_at_once(number: int, _: object) -> None:
    os.write(2, b"pipeline: interrupted\n" if number == signal.SIGINT else b"pipeline: terminated\n")
    os._exit(128 + number)


# Worker processes import this too, and their parent ends them.
if (
    sys.argv[0].endswith(("/pipeline", "/pipeline/__main__.py"))
    and "multiprocessing.spawn" not in sys.modules
):
    for _number in (signal.SIGINT, signal.SIGTERM):
        # Whoever started this process may have told it to ignore the signal.
        if signal.getsignal(_number) is not signal.SIG_IGN:
            signal.signal(_number, _end_at_once)

from collections.abc import Sequence  # noqa: E402
from contextlib import suppress  # noqa: E402
from typing import TYPE_CHECKING  # noqa: E402

from pipeline.errors import Interrupted, OutOfMemory, PipelineError, UsageError  # noqa: E402
from pipeline.io import interrupts  # noqa: E402
from pipeline.io.memory import address_space_limit  # noqa: E402

if TYPE_CHECKING:
    import typer


def make_app(named: str | None = None) -> typer.Typer:
    """Make the command line: with every command, or with the one that is `named`, if there is such a one."""
    from pipeline.cli._app import make_app as make

    return make(named)


def main() -> None:
    """Run the command line as a process of its own, which a signal ends in an orderly way."""
    if (error := _start()) is not None:
        _say(str(error))
        sys.exit(error.exit_status)
    try:
        interrupts.catch()
        status = run(sys.argv[1:])
        interrupts.ignore()
    except KeyboardInterrupt:
        # It came before the command had begun, or after it had ended.
        interrupts.end_process()
    sys.exit(status)


def _start() -> PipelineError | None:
    """Go on in a child where memory is limited; return what keeps the work from being begun."""
    if address_space_limit() is not None and not {"--help", "-h", "--version"} & {*sys.argv}:
        from pipeline.cli._limited import work_in_child

        try:
            work_in_child()
        except OutOfMemory as error:
            return error
    return None


def run(words: Sequence[str]) -> int:
    """Run a command and return its exit status; a user's mistake is one line on stderr.

    If a signal came, this process ends here.
    """
    words = list(words) or ["--help"]
    try:
        # None, or what `typer.Exit` was raised with.
        status = make_app(words[0])(words, standalone_mode=False, prog_name="pipeline") or 0
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        # A reader that left early has what it wanted.
        status = 1
        _give_up_output()
    except BaseException as error:
        if interrupts.received():
            interrupts.end_process(str(error) if isinstance(error, Interrupted) else "")
        if (known := _explain(error)) is None:
            raise
        _say(str(known))
        _give_up_output()
        status = known.exit_status
    if interrupts.received():
        interrupts.end_process()
    return status


def _explain(error: BaseException) -> PipelineError | None:
    """Return the error that a user can mend behind an exception; None for a bug."""
    if isinstance(error, PipelineError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return Interrupted("interrupted")
    import typer

    if isinstance(error, typer.TyperException):
        context = getattr(error, "ctx", None)
        hint = f"; see '{context.command_path} --help'" if context else ""
        return UsageError(" ".join(error.format_message().split()).rstrip(".") + hint)
    from pipeline.cli._failures import explain

    return explain(error)


def _say(message: str) -> None:
    # Where nobody can be told, the status tells.
    with suppress(OSError):
        for line in message.splitlines() if sys.stderr else ():
            print(f"pipeline: {line}", file=sys.stderr)


def _give_up_output() -> None:
    """Drop what standard output does not take; Python would try again at exit, with a traceback."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
