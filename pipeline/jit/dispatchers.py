"""Making Numba's compiled functions, and all that is done to them by Numba's private names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from numba import njit


def make_dispatcher(
    function: Callable[..., Any], as_argument: Callable[[Any], Any] | None = None, **options: Any
) -> Any:
    """Let Numba compile the function when it is called; with `cache`, keep the code where that can be.

    `as_argument` gives the type as which compiled callers pass an argument. Numba would compile a function
    anew for each width and each constant it is called with, which makes most of the compile time.
    """
    options |= {"error_model": "numpy", "nogil": True, "no_cfunc_wrapper": True}
    try:
        dispatcher: Any = njit(**options)(function)
    except RuntimeError:
        dispatcher = njit(**options | {"cache": False})(function)
    choose = getattr(dispatcher, "get_call_template", None)
    if choose is None or as_argument is None:
        return dispatcher

    def get_call_template(args: Sequence[Any], kws: Mapping[str, Any]) -> Any:
        named = {name: as_argument(found) for name, found in dict(kws).items()}
        return choose(tuple(as_argument(found) for found in args), named)

    dispatcher.get_call_template = get_call_template
    return dispatcher


def cache_file(dispatcher: Any) -> Any:
    """Return Numba's index of the code that it has kept of the function, or None: it keeps none."""
    return getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)


def add_to_stamp(dispatcher: Any, digest: str) -> bool:
    """Let kept code count as outdated when `digest` changes; false if nothing is kept that could be."""
    kept = cache_file(dispatcher)
    if kept is None or not hasattr(kept, "_source_stamp"):
        return False
    kept._source_stamp = (kept._source_stamp, digest)
    return True


def is_kept(dispatcher: Any) -> bool:
    """Whether calling the function does not begin with compiling it: that was done, now or before."""
    kept = cache_file(dispatcher)
    return kept is None or bool(dispatcher.signatures or kept._load_index())
