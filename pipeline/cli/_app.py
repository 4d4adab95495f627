"""Build the command line from the modules of this package."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Annotated

import typer

import pipeline.cli
from pipeline.cli._command import Command

# Order of the commands in the help; commands not listed here come last.
_ORDER = (
    "demo", "generate", "import", "record", "doctor", "transform", "fit", "warm", "replay", "runs",
    "sweep", "compare", "best", "sensitivity", "calibrate", "fit-machine", "sql", "queries", "db", "explain",
    "report", "export", "allocators", "machines", "workloads", "new", "study", "help",
)  # fmt: skip
# Hidden aliases of commands of `pipeline study`; remove them in the next version.
_ALIASES = {"designs": "matrix", "verify": "verify", "validate": "validate"}


def make_app(named: str | None = None) -> typer.Typer:
    """Build the command line with every command, or only with the command `named` if it exists.

    Each module of this package defines a function or a group of commands that has the module's name.
    """
    app = typer.Typer(
        name="pipeline",
        help="Replay page-fault and copy-user traces through kmap allocators on a simulated multiprocessor, "
        "and report lock hold time, flush frequency and sleeping.",
        pretty_exceptions_enable=False,
        # Plain-text help takes a third of the time.
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    # With a callback, typer requires the command's name even if only one command is added.
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
        bool,
        typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and exit."),
    ] = False,
) -> None:
    """Accept the options that precede a command."""
