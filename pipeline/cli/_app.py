"""The commands, put together from the files beside this one."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Annotated

import typer

import pipeline.cli
from pipeline.cli._command import Command

# The order of the help; a command that is not here comes last.
_ORDER = (
    "demo", "generate", "import", "record", "doctor", "transform", "fit", "warm", "replay", "runs",
    "sweep", "compare", "best", "sensitivity", "calibrate", "fit-machine", "sql", "queries", "db", "explain",
    "report", "export", "allocators", "machines", "workloads", "new", "study", "help",
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
        # Help in plain text takes a third of the time.
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    # Commands have names of their own even where only one is added.
    app.callback()(_root)
    modules = {
        module.name.rstrip("_").replace("_", "-"): module.name
        for module in pkgutil.iter_modules(pipeline.cli.__path__)
        if not module.name.startswith("_")
    }
    names = sorted(set(modules) - set(_ALIASES), key=[*_ORDER, *sorted(modules)].index)
    for name in [named] if named in names else names:
        command = getattr(importlib.import_module(f"{pipeline.cli.__name__}.{modules[name]}"), modules[name])
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name, cls=Command)(command)
    if named not in names:
        studies = importlib.import_module(f"{pipeline.cli.__name__}.study")
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
