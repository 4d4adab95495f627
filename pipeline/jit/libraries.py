"""Compiling with Numba so that all code is optimised once, when machine code is emitted.

Numba optimises every function with its callees and generates machine code for it, and then repeats this for
each caller into which the function is linked. Here, a function for other compiled functions is kept as it was
lowered. Only an entry is optimised, together with everything that it calls.
"""

from __future__ import annotations

from typing import Any

from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler

# Passes that inline closures, comprehensions, `with`, array expressions and overloads as Python.
UNUSED = frozenset(
    {"InlineClosureLikes", "InlineOverloads", "NopythonRewrites", "WithLifting", "MakeFunctionToJitFunction"}
)


class _Library(JITCodeLibrary):
    """Code that this process does not run."""

    def get_pointer_to_function(self, name: str) -> int:
        """Complete the code; return null, because Python cannot call it."""
        self._ensure_finalized()
        return 0

    @property
    def codegen(self) -> Any:
        """The object on which Numba calls `set_env` for code that runs in this process."""
        return self

    def set_env(self, name: str, environment: Any) -> None:
        """Do nothing: this code has no environment."""


class _Part(_Library):
    """Code of a function for other compiled functions."""

    def finalize(self) -> None:
        """Mark the code complete without linking it."""
        self._finalized = True

    def _optimize_functions(self, ll_module: Any) -> None:
        ll_module.data_layout = self._codegen._data_layout


class _SeparatePart(_Part):
    """Code that is not inlined into its callers."""

    def finalize(self) -> None:
        """Mark the code complete and exclude it from inlining."""
        for function in self._final_module.functions:
            if not function.is_declaration:
                function.add_function_attribute("noinline")
        super().finalize()


class _Whole(_Library):
    """Code of an entry and of everything that it calls."""

    def finalize(self) -> None:
        """Link all parts that the entry calls, directly or indirectly; then optimise."""
        waiting = list(self._linking_libraries)
        linked = set()
        while waiting:
            library = waiting.pop()
            if library not in linked:
                linked.add(library)
                self._final_module.link_in(library._get_module_for_linking(), preserve=True)
                waiting += library._linking_libraries
        # Inlined code has not been simplified before: a second run makes the engine some per cent faster.
        self._optimize_final_module()
        self._optimize_final_module()
        self._final_module.verify()
        self._verify_declare_only_symbols()
        self._finalized = True


class _Compiler(Compiler):
    """Numba's compiler without the passes for features that marked functions do not use."""

    library: type[_Library]

    def define_pipelines(self) -> Any:
        """Numba's own passes, except those of UNUSED."""
        self.state.library = self.library(self.state.targetctx.codegen(), self.state.func_id.func_qualname)
        managers = super().define_pipelines()
        for manager in managers:
            manager.passes = [entry for entry in manager.passes if entry[0].__name__ not in UNUSED]
        return managers


class PartCompiler(_Compiler):
    """Compiles a function for other compiled functions."""

    library = _Part


class SeparatePartCompiler(_Compiler):
    """Compiles a function for other compiled functions, without inlining it."""

    library = _SeparatePart


class EntryCompiler(_Compiler):
    """Compiles a function to extract its machine code."""

    library = _Whole
