"""Creating Numba's compiled functions, and everything that relies on Numba's private names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit, typeof, types
from numba.np.numpy_support import from_dtype

from pipeline.io.files import output_error
from pipeline.jit.cache import say_not_kept
from pipeline.jit.compiled_tables import TableType
from pipeline.jit.machine_code import MachineCode
from pipeline.jit.tables import Tables


def make_dispatcher(
    function: Callable[..., Any], as_argument: Callable[[Any], Any] | None = None, **options: Any
) -> Any:
    """Let Numba compile the function when it is called; with `cache`, keep the code if possible.

    `as_argument` maps the type of an argument to the type that compiled callers pass. Otherwise, Numba would
    compile a function again for each integer width and each constant, which would take most of the compile
    time.
    """
    options |= {"error_model": "numpy", "nogil": True, "no_cfunc_wrapper": True}
    try:
        dispatcher: Any = njit(**options)(function)
    except RuntimeError:
        dispatcher = njit(**options | {"cache": False})(function)
    if options.get("cache"):
        _say_what_is_not_kept(dispatcher)
    choose = getattr(dispatcher, "get_call_template", None)
    if choose is None or as_argument is None:
        return dispatcher

    def get_call_template(args: Sequence[Any], kws: Mapping[str, Any]) -> Any:
        named = {name: as_argument(found) for name, found in dict(kws).items()}
        return choose(tuple(as_argument(found) for found in args), named)

    dispatcher.get_call_template = get_call_template
    return dispatcher


def _say_what_is_not_kept(dispatcher: Any) -> None:
    """Use compiled code even if it cannot be kept."""
    kept = getattr(dispatcher, "_cache", None)
    save = getattr(kept, "save_overload", None)
    if kept is None or save is None:
        return

    def save_overload(signature: Any, made: Any) -> None:
        try:
            save(signature, made)
        except OSError as error:
            say_not_kept(str(output_error(Path(kept.cache_path), error)))

    kept.save_overload = save_overload


def emit(dispatcher: Any, arguments: Sequence[Any]) -> MachineCode:
    """Compile a function for arguments of these types, see `machine_code.CompiledFunction`.

    Raises TypeError if it returns neither a 64-bit integer nor None.
    """
    kinds = tuple(map(_kind, arguments))
    dispatcher.compile(kinds)
    made = dispatcher.overloads[kinds]
    if made.signature.return_type not in (types.int64, types.none):
        raise TypeError(
            f"{dispatcher.__name__}: expected int64 as result, found {made.signature.return_type}"
        )
    module = made.library._final_module
    content = made.library._codegen._tm.emit_object(module)
    # The object file names only the declared functions that it needs.
    declared = [function.name for function in module.functions if function.is_declaration]
    imports = [name for name in declared if name.encode() + b"\0" in content]
    return MachineCode(made.fndesc.llvm_func_name, imports, content)


def _kind(argument: Any) -> Any:
    """The parameter type for an argument: an array becomes a table, which is not reference-counted."""
    if isinstance(argument, np.ndarray):
        return TableType(from_dtype(argument.dtype), checked=False)
    return typeof(argument) if isinstance(argument, Tables | float) else types.int64


def cache_file(dispatcher: Any) -> Any:
    """Return Numba's index of the kept code of the function, or None if it keeps none."""
    return getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)


def add_to_stamp(dispatcher: Any, digest: str) -> bool:
    """Make kept code outdated when `digest` changes; false if no code can be kept."""
    kept = cache_file(dispatcher)
    if kept is None or not hasattr(kept, "_source_stamp"):
        return False
    kept._source_stamp = (kept._source_stamp, digest)
    return True


def is_kept(dispatcher: Any) -> bool:
    """Whether the function can be called without compiling it first."""
    kept = cache_file(dispatcher)
    return kept is None or bool(dispatcher.signatures or kept._load_index())
