"""The command line: each command has its own small module, which parses, calls one function and prints.

Commands import heavy modules inside their functions, so `pipeline --help` stays fast. Running a command
imports only that command's module.
"""

from __future__ import annotations

# Install the handlers first: until `main` is called, there is no work that needs an orderly stop.
import os
import signal
import sys


def _end_at_once(number: int, _: object) -> None:
    os.write(2, b"pipeline: interrupted\n" if number == signal.SIGINT else b"pipeline: terminated\n")
    os._exit(128 + number)


# Worker processes import this module too, but their parent process ends them.
if (
    sys.argv[0].endswith(("/pipeline", "/pipeline/__main__.py"))
    and "multiprocessing.spawn" not in sys.modules
):
    for _number in (signal.SIGINT, signal.SIGTERM):
        # The parent process may have set the signal to be ignored.
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
    """Build the command line with every command, or only with the command `named` if it exists."""
    from pipeline.cli._app import make_app as make

    return make(named)


def main() -> None:
    """Run the command line as the main program; a signal ends it in an orderly way."""
    if (error := _start()) is not None:
        _say(str(error))
        sys.exit(error.exit_status)
    try:
        interrupts.catch()
        status = run(sys.argv[1:])
        interrupts.ignore()
    except KeyboardInterrupt:
        # The signal arrived before the command started or after it ended.
        interrupts.end_process()
    sys.exit(status)


def _start() -> PipelineError | None:
    """Continue in a child process if memory is limited; return the error if the limit is too low."""
    if address_space_limit() is not None and not {"--help", "-h", "--version"} & {*sys.argv}:
        from pipeline.cli._limited import work_in_child

        try:
            work_in_child()
        except OutOfMemory as error:
            return error
    return None


def run(words: Sequence[str]) -> int:
    """Run a command and return its exit status; report a user's mistake on stderr.

    If a signal was received, this function ends the process.
    """
    words = list(words) or ["--help"]
    try:
        # None, or the status of `typer.Exit`.
        status = make_app(words[0])(words, standalone_mode=False, prog_name="pipeline") or 0
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        # The reader of a pipe closed it early, as `head` does.
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
    """Return the user's error behind an exception; None for a bug."""
    if isinstance(error, PipelineError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return Interrupted("interrupted")
    import typer

    if isinstance(error, typer.TyperException):
        context = getattr(error, "ctx", None)
        hint = f"; see '{context.command_path} --help'" if context else ""
        message = " ".join(error.format_message().replace("Value error, ", "").split())
        return UsageError(message.rstrip(".") + hint)
    from pipeline.cli._failures import explain

    return explain(error)


def _say(message: str) -> None:
    # If stderr cannot be written, the exit status is the only report.
    with suppress(OSError):
        for line in message.splitlines() if sys.stderr else ():
            print(f"pipeline: {line}", file=sys.stderr)


def _give_up_output() -> None:
    """Discard output that cannot be written; Python would retry at exit and print a traceback."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
