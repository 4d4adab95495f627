"""Showing a design its own tables, in compiled code: the same pointer, with other names for what is there."""

from __future__ import annotations

from typing import Any

from numba import types
from numba.extending import intrinsic

from pipeline.jit.compiled_tables import TablesType


@intrinsic(prefer_literal=True)
def part(context: Any, tables: Any, number: Any) -> Any:
    """The tables of design `number`, a literal, by the names that it knows."""
    if not isinstance(number, types.IntegerLiteral):
        return None
    suffix = f"@{number.literal_value}"
    # No attribute can be named with a trailing mark: what is not the design's own is out of its reach.
    members = tuple(
        (name.removesuffix(suffix) if name.endswith(suffix) else f"{name}@", dtype)
        for name, dtype in tables.members
    )

    def lower(target: Any, builder: Any, sig: Any, args: Any) -> Any:
        return args[0]

    return TablesType(members, tables.checked)(tables, number), lower
