"""Compiling with Numba so that all code is optimised once: where it leaves as machine code.

Numba optimises every function together with all that it calls, and makes machine code of it, before it makes
it a part of the next function, where that is done again. Here a function for other compiled ones is kept as
it was lowered, and only an entry is optimised, with all that it reaches.
"""

from __future__ import annotations

from typing import Any

from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler

# Passes for closures, comprehensions, `with`, array expressions and overloads to be inlined as Python.
UNUSED = frozenset(
    {"InlineClosureLikes", "InlineOverloads", "NopythonRewrites", "WithLifting", "MakeFunctionToJitFunction"}
)


class _Library(JITCodeLibrary):
    """Code that this process does not run."""

    def get_pointer_to_function(self, name: str) -> int:
        """Complete the code; null, as Python cannot call it."""
        self._ensure_finalized()
        return 0

    @property
    def codegen(self) -> Any:
        """What Numba asks to `set_env` where the code would run."""
        return self

    def set_env(self, name: str, environment: Any) -> None:
        """There is nothing that could have an environment."""


class _Part(_Library):
    """Code of a function for other compiled functions."""

    def finalize(self) -> None:
        """It is complete, and linked to nothing yet."""
        self._finalized = True

    def _optimize_functions(self, ll_module: Any) -> None:
        ll_module.data_layout = self._codegen._data_layout


class _SeparatePart(_Part):
    """Code that does not become a part of what calls it."""

    def finalize(self) -> None:
        """It is complete, and says so to the inliner."""
        for function in self._final_module.functions:
            if not function.is_declaration:
                function.add_function_attribute("noinline")
        super().finalize()


class _Whole(_Library):
    """Code of an entry, with that of all it reaches."""

    def finalize(self) -> None:
        """Link the parts, and those that they call; then optimise."""
        waiting = list(self._linking_libraries)
        linked = set()
        while waiting:
            library = waiting.pop()
            if library not in linked:
                linked.add(library)
                self._final_module.link_in(library._get_module_for_linking(), preserve=True)
                waiting += library._linking_libraries
        # What is inlined was not simplified before: twice makes the engine faster by some per cent.
        self._optimize_final_module()
        self._optimize_final_module()
        self._final_module.verify()
        self._verify_declare_only_symbols()
        self._finalized = True


class _Compiler(Compiler):
    """Numba's compiler without passes for what marked functions do not contain."""

    library: type[_Library]

    def define_pipelines(self) -> Any:
        """Numba's own passes, less those of UNUSED."""
        self.state.library = self.library(self.state.targetctx.codegen(), self.state.func_id.func_qualname)
        managers = super().define_pipelines()
        for manager in managers:
            manager.passes = [entry for entry in manager.passes if entry[0].__name__ not in UNUSED]
        return managers


class PartCompiler(_Compiler):
    """Compiles a function for other compiled functions."""

    library = _Part


class SeparatePartCompiler(_Compiler):
    """Compiles a function for other compiled functions, to stay one of its own."""

    library = _SeparatePart


class EntryCompiler(_Compiler):
    """Compiles a function for its machine code to be taken."""

    library = _Whole
