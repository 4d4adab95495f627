"""From the kernel function that asked for a mapping to the trace's `kind`: one table for all importers.

Source of the meanings: Linux 6.1, mm/ and fs/ (who calls kmap, kmap_local_page, pte_offset_map).
"""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.schema.names import KINDS

CALLER_KINDS = {
    # A page-table page is mapped to look at or change its entries: first in every page fault ...
    "handle_mm_fault": "page_fault",
    "filemap_map_pages": "page_fault",
    "finish_fault": "page_fault",
    "wp_page_copy": "page_fault",
    # ... and the same pages when a range is unmapped, copied by fork, protected or moved, or looked up by
    # get_user_pages, exec or khugepaged. No kind of its own: it is the page-table user of the pool too.
    "unmap_page_range": "page_fault",
    "copy_page_range": "page_fault",
    "change_protection": "page_fault",
    "move_page_tables": "page_fault",
    "follow_page_pte": "page_fault",
    "__get_locked_pte": "page_fault",
    "hpage_collapse_scan_pmd": "page_fault",
    # The data page of a fault: both pages of a copy-on-write, and a new page that is cleared.
    "copy_user_highpage": "page_fault",
    "kernel_init_pages": "page_fault",
    "copy_page_to_iter": "copy_to_user",
    "copy_page_from_iter": "copy_from_user",
    "copy_page_from_iter_atomic": "copy_from_user",
    # The write handler of the kmapcu test module, which maps a page, sleeps as a copy would, and unmaps.
    "kc_write": "copy_from_user",
    "copy_strings": "exec_args",
    "copy_string_kernel": "exec_args",
    "remove_arg_zero": "exec_args",
    "dir_get_page": "directory",
    # The part of a page-cache page that a read from disk or a write leaves unfilled.
    "zero_user_segments": "other",
}

# Debian's kernel clears every page it allocates (init_on_alloc), so inside a system call this is as a rule a
# new page-cache page, and outside, the page or page-table page that a fault needs.
_OTHER_INSIDE_SYSCALL = frozenset({"kernel_init_pages"})

# What follows the function's name in a symbol: offset/length, and what the compiler made of the function.
_SYMBOL_SUFFIX = re.compile(r"(\+0x.*|\.(isra|constprop|part|cold)\b.*)$")


def parse_symbol(symbol: str) -> str:
    """Name of the function in a kernel symbol: "dir_get_page.isra.0+0x50/0x60" is "dir_get_page"."""
    return _SYMBOL_SUFFIX.sub("", symbol)


def classify_caller(symbol: str, inside_syscall: bool = False) -> str:
    """Kind of the mappings that the function of a kernel symbol asks for; "other" where it is not known."""
    function = parse_symbol(symbol)
    if inside_syscall and function in _OTHER_INSIDE_SYSCALL:
        return "other"
    return CALLER_KINDS.get(function, "other")


def classify_callers(
    callers: pa.ChunkedArray | pa.Array, syscalls: pa.ChunkedArray | None = None
) -> np.ndarray:
    """Codes into KINDS (int8, one per row) from callers and, where recorded, the system call ("" is none)."""
    names = callers.cast(pa.string()).fill_null("").dictionary_encode()
    if isinstance(names, pa.ChunkedArray):
        names = names.combine_chunks()
    symbols, rows = names.dictionary.to_pylist(), names.indices.to_numpy()

    def codes(inside_syscall: bool) -> np.ndarray:
        kinds = [KINDS.index(classify_caller(symbol, inside_syscall)) for symbol in symbols]
        return np.array(kinds, np.int8)[rows]

    if syscalls is None:
        return codes(False)
    inside = pc.not_equal(syscalls.cast(pa.string()).fill_null(""), "").to_numpy()
    return np.where(inside, codes(True), codes(False))
