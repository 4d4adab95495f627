"""The command line: one small file per command, which parses, calls one function and prints.

A command's heavy imports wait inside its function, so that `pipeline --help` stays fast; and of a command
that is named the file alone is imported.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from typing import Annotated, NoReturn

import typer

from pipeline.cli._command import Command
from pipeline.errors import Interrupted, PipelineError, UsageError

# The order of the help; a command that is not here comes last.
_ORDER = (
    "demo", "generate", "import", "record", "doctor", "transform", "fit", "warm", "replay", "sweep",
    "compare", "best", "calibrate", "fit-machine", "sql", "queries", "db", "explain", "report", "export",
    "allocators", "machines", "workloads", "new", "study", "help",
)  # fmt: skip
# Functions of `pipeline study` by the names that they had as commands; to be dropped with the next version.
_ALIASES = {"designs": "matrix", "verify": "verify", "validate": "validate"}


def make_app(named: str | None = None) -> typer.Typer:
    """Make the command line: with every command, or with the one that is `named`, if there is such a one.

    A command is the function of its module's name here, or a group of commands.
    """
    app = typer.Typer(
        name="pipeline",
        help="Replay page-fault and copy-user traces through kmap allocators on a simulated multiprocessor, "
        "and report lock hold time, flush frequency and sleeping.",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    # Commands have names of their own even where only one is added.
    app.callback()(_root)
    modules = {
        module.name.rstrip("_").replace("_", "-"): module.name
        for module in pkgutil.iter_modules(__path__)
        if not module.name.startswith("_")
    }
    names = sorted(set(modules) - set(_ALIASES), key=[*_ORDER, *sorted(modules)].index)
    for name in [named] if named in names else names:
        command = getattr(importlib.import_module(f"{__name__}.{modules[name]}"), modules[name])
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name, cls=Command)(command)
    if named not in names:
        studies = importlib.import_module(f"{__name__}.study")
        for name, function in _ALIASES.items():
            app.command(name, cls=Command, hidden=True)(getattr(studies, function))
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"pipeline {version('kmap-pipeline')}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
) -> None:
    """Take the options that stand before a command."""


def main() -> None:
    """Run the command line; a user's mistake is one line on stderr and an exit status of its own."""
    try:
        # None, or what `typer.Exit` was raised with.
        words = sys.argv[1:] or ["--help"]
        status = make_app(words[0])(words, standalone_mode=False, prog_name="pipeline")
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
