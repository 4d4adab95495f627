"""What takes the place of `simulator.kernel` in a compiled copy: the same marks, with Numba behind them."""

from __future__ import annotations

from typing import Any

from numba import njit, types

# Imported for what it registers: how compiled code sees `Tables`.
import pipeline.machine.compiled_tables  # noqa: F401


def kernel(function: Any) -> Any:
    """Compile for other kernels to call, once: every integer argument is taken as int64.

    Numba would compile a function anew for each width and each constant it is called with, which made most
    of the compile time.
    """
    dispatcher = njit(
        forceinline=True, error_model="numpy", nogil=True, no_cfunc_wrapper=True, no_cpython_wrapper=True
    )(function)
    choose = dispatcher.get_call_template

    def get_call_template(arguments: Any, keywords: Any) -> Any:
        return choose(tuple(_widened(argument) for argument in arguments), keywords)

    dispatcher.get_call_template = get_call_template
    return dispatcher


def _widened(argument: Any) -> Any:
    return types.int64 if isinstance(argument, (types.Integer, types.IntegerLiteral)) else argument


def entry(function: Any) -> Any:
    """Compile as a function that Python calls and that runs without the GIL, cached on disk."""
    return njit(cache=True, error_model="numpy", nogil=True, no_cfunc_wrapper=True)(function)
