"""The replacement of `marks` in a compiled copy: the same names, implemented with Numba."""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from pipeline.jit.compiled_tables import TablesType, row_pointer
from pipeline.jit.dispatchers import make_dispatcher
from pipeline.jit.libraries import EntryCompiler, PartCompiler, SeparatePartCompiler


def inline(function: Any) -> Any:
    """Compile for calls from other compiled functions; the code is inlined into each."""
    return make_dispatcher(
        function, _as_int64, no_cpython_wrapper=True, pipeline_class=PartCompiler, forceinline=True
    )


def noinline(function: Any) -> Any:
    """Compile for calls from other compiled functions; the code is not inlined, which keeps callers small."""
    return make_dispatcher(
        function, _as_int64, no_cpython_wrapper=True, pipeline_class=SeparatePartCompiler, forceinline=False
    )


def _as_int64(argument: Any) -> Any:
    return types.int64 if isinstance(argument, (types.Integer, types.IntegerLiteral)) else argument


def entry(function: Any) -> Any:
    """Compile a function that Python calls by its machine code, see `pipeline.jit.machine_code`."""
    return make_dispatcher(function, no_cpython_wrapper=True, pipeline_class=EntryCompiler)


@intrinsic
def prefetch(context: Any, table: Any, index: Any) -> Any:
    """Prefetch the cache lines of a row of a table that is needed soon."""

    def lower(target: Any, builder: Any, sig: Any, args: Any) -> Any:
        row = row_pointer(target, builder, sig.args[0], args[0], args[1], checked=False)
        kinds = [ir.IntType(8).as_pointer(), ir.IntType(32), ir.IntType(32), ir.IntType(32)]
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), kinds), "llvm.prefetch.p0"
        )
        first = builder.bitcast(row, kinds[0])
        size = sig.args[0].dtype.size if isinstance(sig.args[0].dtype, types.Record) else 8
        for line in range(0, size, 64):
            address = builder.gep(first, [ir.Constant(ir.IntType(64), line)])
            # Arguments: a read, kept in all cache levels, of data.
            builder.call(function, [address, *(ir.Constant(kinds[1], word) for word in (0, 3, 1))])
        return target.get_dummy_value()

    return types.none(table, types.int64), lower


@inline
def wrap64(value: Any) -> Any:
    """Return `value`: compiled integers are signed and have 64 bits."""
    return value


@intrinsic(prefer_literal=True)
def view(context: Any, tables: Any, number: Any) -> Any:
    """The same pointer, typed with the table names of allocator `number`, which must be a literal."""
    if not isinstance(number, types.IntegerLiteral):
        return None
    suffix = f"@{number.literal_value}"
    # A name that ends in @ cannot be used as an attribute, so other allocators' tables are out of reach.
    members = tuple(
        (name.removesuffix(suffix) if name.endswith(suffix) else f"{name}@", dtype)
        for name, dtype in tables.members
    )

    def lower(target: Any, builder: Any, sig: Any, args: Any) -> Any:
        return args[0]

    return TablesType(members, tables.checked)(tables, number), lower
