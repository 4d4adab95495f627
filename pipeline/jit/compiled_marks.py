"""What takes the place of `simulator.inline` in a compiled copy: the same marks, with Numba behind them."""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from pipeline.jit.compiled_tables import row_pointer
from pipeline.jit.inlining import InlinedCompiler

_OPTIONS: dict[str, Any] = {"error_model": "numpy", "nogil": True, "no_cfunc_wrapper": True}


def inline(function: Any) -> Any:
    """Compile for other kernels to call; becomes a part of each."""
    return _compiled(function, forceinline=True)


def noinline(function: Any) -> Any:
    """Compile for other kernels to call; stays a function of its own, which keeps its callers small."""
    return _compiled(function, forceinline=False)


def _compiled(function: Any, forceinline: bool) -> Any:
    """Compile once: every integer argument is taken as int64.

    Numba would compile a function anew for each width and each constant it is called with, which made most
    of the compile time.
    """
    options = _OPTIONS | {
        "forceinline": forceinline,
        "no_cpython_wrapper": True,
        "pipeline_class": InlinedCompiler,
    }
    dispatcher: Any = njit(**options)(function)
    choose = dispatcher.get_call_template

    def get_call_template(arguments: Any, keywords: Any) -> Any:
        return choose(tuple(_widened(argument) for argument in arguments), keywords)

    dispatcher.get_call_template = get_call_template
    return dispatcher


def _widened(argument: Any) -> Any:
    return types.int64 if isinstance(argument, (types.Integer, types.IntegerLiteral)) else argument


def entry(function: Any) -> Any:
    """Compile as a function that Python calls and that runs without the GIL, cached on disk."""
    options = _OPTIONS | {"cache": True}
    return njit(**options)(function)


@intrinsic
def prefetch(context: Any, table: Any, index: Any) -> Any:
    """Ask for the cache lines of a row of a table that is needed soon."""

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
            # For reading, to be kept in all caches, data.
            builder.call(function, [address, *(ir.Constant(kinds[1], word) for word in (0, 3, 1))])
        return target.get_dummy_value()

    return types.none(table, types.int64), lower


@inline
def wrap64(value: Any) -> Any:
    """Return `value`: compiled integers are signed and of 64 bits."""
    return value
