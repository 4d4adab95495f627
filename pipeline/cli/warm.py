"""`pipeline warm`: compile designs before their first replay."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.cli._command import Workers


def warm(
    allocators: Annotated[
        list[str] | None,
        typer.Option(
            "--allocator",
            "-a",
            metavar="NAME",
            help="A design, as for `pipeline replay`; may be repeated (default: all shipped and installed "
            "designs).",
        ),
    ] = None,
    workers: Workers = None,
) -> None:
    """Compile designs before their first replay.

    This is useful when building images and in continuous integration. The command prints for each design
    whether it was compiled, was already compiled, or cannot be compiled. Exit status 3 means that a design
    cannot be compiled; the others are compiled.
    """
    from pipeline.allocators.registry import known_allocators
    from pipeline.errors import InputError, Interrupted
    from pipeline.io.numbers import format_count
    from pipeline.io.progress import spinners
    from pipeline.jit.cache import cache_directory
    from pipeline.runs.warm import Compilation, compile_designs

    names = allocators or list(known_allocators())
    width = max(map(len, names))
    done: list[Compilation] = []
    with spinners() as (begin, end):

        def show(made: Compilation) -> None:
            end(made.allocator)
            done.append(made)
            how = f"compiled in {made.seconds:.1f} s" if made.seconds else "already compiled"
            print(f"{made.allocator:{width}}  {'cannot be compiled' if made.problem else how}", flush=True)

        try:
            compile_designs(names, workers=workers, begin=begin, end=show)
        except KeyboardInterrupt:
            raise Interrupted(
                f"interrupted; {len(done)} of {format_count(len(names), 'design')} are compiled in "
                f"{cache_directory()}; repeat the command to compile the others"
            ) from None
    if problems := [made.problem for made in done if made.problem]:
        raise InputError("\n".join(problems))
