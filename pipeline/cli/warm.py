"""`pipeline warm`: compile designs ahead of their first replay."""

from __future__ import annotations

from typing import Annotated

import typer


def warm(
    allocators: Annotated[
        list[str] | None,
        typer.Option(
            "--allocator",
            "-a",
            metavar="NAME",
            help="A design, a .py file, or several by kind of operation, as for replay; may be repeated. "
            "Every shipped and installed design if absent.",
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", metavar="N", min=1, help="Processes; one per CPU if absent.")
    ] = None,
) -> None:
    """Compile ahead what first replays would wait for; of use in images and continuous integration.

    Prints a line for each design: whether it was compiled, was there already, or cannot be compiled. Exit
    status 3 means that one of them cannot be; the others are compiled nevertheless.
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
            how = f"compiled in {made.seconds:.1f} s" if made.seconds else "compiled already"
            print(f"{made.allocator:{width}}  {'cannot be compiled' if made.problem else how}", flush=True)

        try:
            compile_designs(names, workers=workers, begin=begin, end=show)
        except KeyboardInterrupt:
            raise Interrupted(
                f"interrupted; {format_count(len(done), 'design')} of {len(names)} are in "
                f"{cache_directory()}, the same command compiles the others"
            ) from None
    if problems := [made.problem for made in done if made.problem]:
        raise InputError("\n".join(problems))
