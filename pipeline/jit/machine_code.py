"""Compiled functions, called by their machine code, which is kept on disk: running one needs no compiler.

Importing Numba and looking up a function takes several times as long as a short replay. Functions compiled
here are therefore called like C functions, by Numba's own calling convention: a pointer to the result, a
pointer to a pointer to the exception, and the arguments in 64-bit words. An array takes two words, address
and length. The machine code is in a file named after the function, this machine's CPU and the types of the
arguments.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import pickle
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.jit.cache import keep
from pipeline.jit.tables import Tables

# Return values of Numba's functions: no error, and a result of None; any other value is an error.
_OK, _NONE = 0, -2
_WORD = ctypes.c_int64


class _Raised(ctypes.Structure):
    """The target of an error pointer: a pickle of class, arguments and place, created at compile time."""

    _fields_ = (("pickle", ctypes.c_void_p), ("size", ctypes.c_int32))


@dataclass(frozen=True)
class MachineCode:
    """The object file of a function.

    `symbol` is the function's name in it; `imports` are the external functions that it calls.
    """

    symbol: str
    imports: list[str]
    content: bytes

    def to_file(self) -> bytes:
        """Content of the file in which the code is kept."""
        head = asdict(self) | {"content": hashlib.sha256(self.content).hexdigest()}
        return json.dumps(head).encode() + b"\n" + self.content


def _read(path: Path) -> MachineCode | None:
    """Read a file; None if it does not exist or is damaged."""
    try:
        head, _, content = path.read_bytes().partition(b"\n")
        fields = json.loads(head)
        whole = hashlib.sha256(content).hexdigest() == fields.pop("content")
        return MachineCode(**fields, content=content) if whole else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


@cache
def _llvm() -> Any:
    """LLVM, imported only to run compiled code or to look for it."""
    import llvmlite.binding as llvm  # type: ignore[import-untyped] # noqa: PLC0415

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm


@cache
def _host() -> str:
    """Identify this machine's CPU and the user's Numba settings in the environment."""
    llvm = _llvm()
    told = sorted(item for item in os.environ.items() if item[0].startswith("NUMBA_"))
    facts = (
        llvm.get_process_triple(),
        llvm.get_host_cpu_name(),
        llvm.get_host_cpu_features().flatten(),
        told,
    )
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:12]


def is_kept(folder: Path, name: str) -> bool:
    """Whether machine code of the function `name`, for this CPU, is in `folder`."""
    return any(folder.glob(f"{name}-{_host()}-*.code"))


def _link(code: MachineCode) -> tuple[Any, int]:
    """Load an object file; return its owner, which must be kept alive, and the function's address."""
    llvm = _llvm()
    if any(llvm.address_of_symbol(name) is None for name in code.imports):
        # The linker finds Numba's own helpers only after Numba is imported.
        import numba  # noqa: F401, PLC0415
    machine = llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine()
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code.content))
    engine.finalize_object()
    return engine, engine.get_function_address(code.symbol)


class CompiledFunction:
    """A function that is compiled for the types of its arguments, or found compiled in `folder()`.

    It takes `Tables`, contiguous one-dimensional arrays, integers and floats. It returns an integer, 0 for
    None, and raises what the compiled code raises. The GIL is not held during the call. `emit` compiles it
    for a list of arguments.
    """

    def __init__(
        self, folder: Callable[[], Path], name: str, emit: Callable[[list[Any]], MachineCode]
    ) -> None:
        self._folder = folder
        self._name = name
        self._emit = emit
        # By the types of the arguments: the function, and the object that keeps it in memory.
        self._linked: dict[tuple[Any, ...], tuple[Callable[..., int], Any]] = {}

    def __call__(self, *arguments: Any) -> int:
        """Call the function. Raises ValueError for an array that is not contiguous."""
        words: list[int | float] = []
        kinds: list[Any] = []
        for argument in arguments:
            if isinstance(argument, Tables):
                words.append(argument.address)
                kinds.append(argument.layout_name)
            elif isinstance(argument, np.ndarray):
                if argument.ndim != 1 or not argument.flags.c_contiguous:
                    raise ValueError(f"{self._name}: expected a contiguous one-dimensional array")
                words += (argument.ctypes.data, argument.size)
                kinds.append(argument.dtype)
            else:
                words.append(argument if isinstance(argument, float) else int(argument))
                kinds.append(type(words[-1]).__name__)
        key = tuple(kinds)
        if key not in self._linked:
            types = [ctypes.c_double if isinstance(word, float) else _WORD for word in words]
            self._linked[key] = self._link(key, list(arguments), types)
        result, raised = _WORD(), ctypes.POINTER(_Raised)()
        status = self._linked[key][0](ctypes.byref(result), ctypes.byref(raised), *words)
        if status not in (_OK, _NONE):
            raise _error(raised.contents)
        return result.value

    def _link(
        self, key: tuple[Any, ...], arguments: list[Any], types: list[Any]
    ) -> tuple[Callable[..., int], Any]:
        name = hashlib.sha256(repr(key).encode()).hexdigest()[:12]
        path = self._folder() / f"{self._name}-{_host()}-{name}.code"
        code = _read(path)
        if code is None:
            code = self._emit(arguments)
            keep(path, code.to_file())
        engine, address = _link(code)
        pointers = (ctypes.c_void_p, ctypes.c_void_p)
        return ctypes.CFUNCTYPE(ctypes.c_int32, *pointers, *types)(address), engine


def _error(raised: _Raised) -> BaseException:
    """Build the exception that compiled code has raised."""
    kind, arguments, _ = pickle.loads(ctypes.string_at(raised.pickle, raised.size))
    error: BaseException = kind(*arguments)
    return error
