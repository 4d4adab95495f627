"""Parsing that all commands share: reject repeated options, report all missing ones, complete names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from pipeline.errors import UsageError
from pipeline.io.numbers import join_words, plain_number

_HELP = ("-h", "--help")

Force = Annotated[bool, typer.Option("--force", help="Overwrite an existing output.")]
TraceName = Annotated[
    str,
    typer.Argument(
        metavar="TRACE",
        help="A trace (.parquet), or the name of a shipped recording: local, kcsleep2.",
        show_default=False,
    ),
]
PoolRecording = Annotated[
    str,
    typer.Argument(
        metavar="RECORDING",
        help="Events of the kernel's pool (.kmap.parquet or tracefs text), or the name of a shipped "
        "recording: wrap16, kcsleep2.",
    ),
]
Machine = Annotated[
    str,
    typer.Option(
        "--machine",
        "-m",
        metavar="PROFILE",
        help="A machine profile (see `pipeline machines`) or a .toml file.",
    ),
]
Cpus = Annotated[
    int | None, typer.Option("--cpus", metavar="N", help="Number of CPUs (default: the profile's).")
]
Operations = Annotated[
    int | None,
    typer.Option(
        "--ops",
        metavar="N",
        min=1,
        help="Number of operations to generate from a workload (default: the workload's).",
    ),
]
Costs = Annotated[
    list[str] | None,
    typer.Option(
        "--cost", metavar="NAME=VALUE", help="Override a cost of the machine profile; may be repeated."
    ),
]
Jitter = Annotated[
    str | None,
    typer.Option("--jitter", metavar="P%", help="Scale each think and wait time at random, by up to P %."),
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", metavar="N", min=1, help="Number of worker processes (default: one per CPU)."),
]
TscGhz = Annotated[
    float | None,
    typer.Option(
        "--tsc-ghz",
        metavar="GHZ",
        min=0.001,
        help="Frequency of the time-stamp counter in GHz; required for text recordings in ticks.",
    ),
]
KeptRuns = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="DIR", help="Keep the runs in this directory, as a sweep."),
]
Memory = Annotated[
    str | None,
    typer.Option("--memory", metavar="SIZE", help="Memory limit for queries, for example 500MB."),
]


class Command(TyperCommand):
    """A command that rejects repeated options, names all missing options, and reads 200k as 200000."""

    def get_params(self, ctx: Any) -> Any:
        """Return the parameters, with shell completion of the names that each accepts."""
        params: Any = super().get_params(ctx)
        if ctx.resilient_parsing:
            from typer._click.shell_completion import CompletionItem

            from pipeline.cli._complete import complete

            for param in params:
                param.shell_complete = lambda _, incomplete, param=param: [
                    CompletionItem(name) for name in complete(param, incomplete)
                ]
        return params

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments; an option of paths accepts several, as a shell's wildcards produce."""
        params: list[Any] = self.params
        several = {
            name
            for param in params
            if param.type_descriptor.annotation == list[Path] and isinstance(param, TyperOption)
            for name in param.opts
        }
        return super().parse_args(ctx, _repeat_option(args, several))

    def make_parser(self, ctx: Any) -> Any:
        """Make the argument parser, with the checks of this class."""
        parser = super().make_parser(ctx)
        setattr(parser, "parse_args", _checked(self, ctx, parser.parse_args))  # noqa: B010 - a method
        return parser


class GroupWithDefault(TyperGroup):
    """A group of commands that passes its arguments to the command `default` if they name no command."""

    default = ""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Insert the default command if the first argument is not a command."""
        if (args or not self.no_args_is_help) and args[:1] not in [
            [name] for name in (*self.commands, *_HELP)
        ]:
            args = [self.default, *args]
        return super().parse_args(ctx, args)


def _repeat_option(args: Sequence[str], several: Collection[str]) -> list[str]:
    """Repeat an option of `several` before each path that follows its first value."""
    words: list[str] = []
    option, value_is_next = "", False
    for arg in args:
        if value_is_next:
            value_is_next = False
        elif arg in several:
            option, value_is_next = arg, True
        elif option and not arg.startswith("-") and Path(arg).exists():
            words.append(option)
        else:
            option = ""
        words.append(arg)
    return words


def _checked(command: Command, ctx: Any, parse: Callable[..., Any]) -> Callable[..., Any]:
    """Return a parser's `parse_args` with the checks of `Command`."""

    def parse_args(args: list[str]) -> tuple[dict[str, Any], list[str], list[Any]]:
        values, rest, order = parse(args)
        asks_for_help = any(param.is_eager for param in order)
        if not ctx.resilient_parsing and not asks_for_help:
            hint = f"; see '{ctx.command_path} --help'"
            if repeated := _repeated(order):
                raise UsageError(f"{join_words(repeated)} given more than once; use it once{hint}")
            if missing := _missing(command.get_params(ctx), values):
                raise UsageError(f"missing {join_words(missing)}{hint}")
        params: list[Any] = command.params
        for param in params:
            if param.name in values and param.type_descriptor.annotation in (int, list[int]):
                values[param.name] = _plain_numbers(values[param.name])
        return values, rest, order

    return parse_args


def _repeated(order: Sequence[Any]) -> list[str]:
    """Return the options that accept one value and were given more than once."""
    counts = Counter(id(param) for param in order if isinstance(param, TyperOption) and not param.multiple)
    named = {id(param): param.opts[0] for param in order}
    return [named[key] for key, count in counts.items() if count > 1]


def _missing(params: Sequence[Any], values: dict[str, Any]) -> list[str]:
    """Return the required arguments and options that were not given."""
    return [
        " or ".join(param.opts) if isinstance(param, TyperOption) else param.display_name_raw
        for param in params
        if param.required and values.get(param.name) in (None, (), [])
    ]


def _plain_numbers(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain_numbers(one) for one in value]
    return plain_number(value) if isinstance(value, str) else value
