"""The command line: one small file per command, which parses, calls one function and prints.

A command's heavy imports wait inside its function, so that `pipeline --help` stays fast.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import typer

from pipeline.cli.allocators import allocators
from pipeline.cli.demo import demo
from pipeline.cli.doctor import doctor
from pipeline.cli.generate import generate
from pipeline.cli.import_ import import_
from pipeline.cli.machines import machines
from pipeline.cli.queries import queries
from pipeline.cli.replay import replay
from pipeline.cli.report import report
from pipeline.cli.sql import sql
from pipeline.cli.workloads import workloads
from pipeline.errors import Interrupted, PipelineError

app = typer.Typer(
    name="pipeline",
    help="Replay page-fault and copy-user traces through kmap allocators on a simulated multiprocessor, and "
    "report lock hold time, flush frequency and sleeping.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_COMMANDS: dict[str, Callable[..., None]] = {
    "demo": demo,
    "generate": generate,
    "import": import_,
    "doctor": doctor,
    "replay": replay,
    "sql": sql,
    "queries": queries,
    "report": report,
    "allocators": allocators,
    "machines": machines,
    "workloads": workloads,
}
for name, command in _COMMANDS.items():
    app.command(name)(command)


def main() -> None:
    """Run the command line; a user's mistake is one line on stderr and an exit status of its own."""
    try:
        app()
    except PipelineError as error:
        print(f"pipeline: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        print("pipeline: interrupted", file=sys.stderr)
        sys.exit(Interrupted.exit_status)
    except BrokenPipeError:
        # The reader of our output has gone, as `| head` does; that is no failure of ours.
        sys.stderr.close()
        sys.exit(0)
