"""The command line: one small file per command, which parses, calls one function and prints.

A command's heavy imports wait inside its function, so that `pipeline --help` stays fast.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Callable
from typing import NoReturn

import typer

from pipeline.cli.study import claims, matrix, validate, verify
from pipeline.errors import Interrupted, PipelineError, UsageError

app = typer.Typer(
    name="pipeline",
    help="Replay page-fault and copy-user traces through kmap allocators on a simulated multiprocessor, and "
    "report lock hold time, flush frequency and sleeping.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# The order of the help; a command that is not here comes last.
_ORDER = (
    "demo", "generate", "import", "record", "doctor", "transform", "fit", "warm", "replay", "calibrate",
    "sql", "queries", "db", "explain", "report", "export", "allocators", "machines", "workloads", "new",
    "study",
)  # fmt: skip
# What `pipeline study` does, by the names that it had of its own; to be dropped with the next version.
_ALIASES: dict[str, Callable[..., None]] = {
    "claims": claims,
    "designs": matrix,
    "verify": verify,
    "validate": validate,
}


def _add_commands() -> None:
    """Add the command of each module here: its function of the module's name, or a group of commands."""
    modules = {module.name.rstrip("_"): module.name for module in pkgutil.iter_modules(__path__)}
    for name in sorted(modules, key=[*_ORDER, *sorted(modules)].index):
        command = getattr(importlib.import_module(f"{__name__}.{modules[name]}"), modules[name])
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        elif name not in _ALIASES:
            app.command(name)(command)
    for name, command in _ALIASES.items():
        app.command(name, hidden=True)(command)


_add_commands()


def main() -> None:
    """Run the command line; a user's mistake is one line on stderr and an exit status of its own."""
    try:
        # None, or what `typer.Exit` was raised with.
        status = app(sys.argv[1:] or ["--help"], standalone_mode=False)
    except PipelineError as error:
        _end(str(error), error.exit_status)
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        hint = f"; see '{context.command_path} --help'" if context else ""
        _end(" ".join(error.format_message().split()).rstrip(".") + hint, UsageError.exit_status)
    except KeyboardInterrupt:
        status = Interrupted.exit_status
    if status == Interrupted.exit_status:
        _end("interrupted", status)
    sys.exit(status)


def _end(message: str, status: int) -> NoReturn:
    for line in message.splitlines():
        print(f"pipeline: {line}", file=sys.stderr)
    sys.exit(status)
