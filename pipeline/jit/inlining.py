"""Compiling functions that exist only to be inlined: typed and lowered, without machine code of their own.

Numba optimises every function it compiles and makes machine code of it, together with everything it calls.
For helpers that only other compiled functions call that is done again in each caller, and took two thirds
of the time to compile a simulator. Here a helper stays unoptimised intermediate code until the entry that it
ends up in is optimised as a whole.
"""

from __future__ import annotations

from typing import Any

from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder, _LowerResult
from numba.core.compiler_machinery import register_pass
from numba.core.typed_passes import NativeLowering


class _InlinedLibrary(JITCodeLibrary):
    """The intermediate code of one helper and of the helpers that it calls."""

    def _optimize_functions(self, ll_module: Any) -> None:
        ll_module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True


@register_pass(mutates_CFG=True, analysis_only=False)
class _LowerForInlining(NativeLowering):
    _name = "lower_for_inlining"

    def run_pass(self, state: Any) -> bool:
        library = _InlinedLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library = library
        flags = state.flags
        state.flags = flags.copy()
        state.flags.no_compile = True
        super().run_pass(state)
        state.flags = flags
        lowered = state["cr"]
        # Numba knows a helper by a built-in function, each its own; nothing ever calls this one.
        callee: Any = list[Any]().copy
        state.targetctx.insert_user_function(callee, lowered.fndesc, [library])
        state["cr"] = _LowerResult(lowered.fndesc, lowered.call_helper, cfunc=callee, env=lowered.env)
        return True


class InlinedCompiler(CompilerBase):
    """Numba's own steps, the last one replaced."""

    def define_pipelines(self) -> list[Any]:
        """Return the passes of one compilation."""
        steps = DefaultPassBuilder.define_nopython_pipeline(self.state, "inlined")
        steps.passes = [
            (_LowerForInlining if step is NativeLowering else step, doc) for step, doc in steps.passes
        ]
        steps.finalize()
        return [steps]
