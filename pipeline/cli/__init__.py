"""The command line: one small file per command, which parses, calls one function and prints.

A command's heavy imports wait inside its function, so that `pipeline --help` stays fast.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NoReturn

import typer

from pipeline.cli.allocators import allocators
from pipeline.cli.calibrate import calibrate
from pipeline.cli.db import db
from pipeline.cli.demo import demo
from pipeline.cli.doctor import doctor
from pipeline.cli.explain import explain
from pipeline.cli.export import export
from pipeline.cli.fit import fit
from pipeline.cli.generate import generate
from pipeline.cli.import_ import import_
from pipeline.cli.machines import machines
from pipeline.cli.new import new
from pipeline.cli.queries import queries
from pipeline.cli.record import record
from pipeline.cli.replay import replay
from pipeline.cli.report import report
from pipeline.cli.sql import sql
from pipeline.cli.study import claims, matrix, study
from pipeline.cli.transform import transform
from pipeline.cli.validate import validate
from pipeline.cli.verify import verify
from pipeline.cli.workloads import workloads
from pipeline.errors import Interrupted, PipelineError, UsageError

app = typer.Typer(
    name="pipeline",
    help="Replay page-fault and copy-user traces through kmap allocators on a simulated multiprocessor, and "
    "report lock hold time, flush frequency and sleeping.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_COMMANDS: dict[str, Callable[..., None]] = {
    "demo": demo,
    "generate": generate,
    "import": import_,
    "record": record,
    "doctor": doctor,
    "transform": transform,
    "fit": fit,
    "replay": replay,
    "calibrate": calibrate,
    "sql": sql,
    "queries": queries,
    "db": db,
    "explain": explain,
    "report": report,
    "export": export,
    "allocators": allocators,
    "machines": machines,
    "workloads": workloads,
    "new": new,
}
# What `pipeline study` does, by the names that it had of its own; to be dropped with the next version.
_ALIASES: dict[str, Callable[..., None]] = {
    "claims": claims,
    "designs": matrix,
    "verify": verify,
    "validate": validate,
}
for name, command in _COMMANDS.items():
    app.command(name)(command)
app.add_typer(study, name="study")
for name, command in _ALIASES.items():
    app.command(name, hidden=True)(command)


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
