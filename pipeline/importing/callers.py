"""Translate the kernel function that requested a mapping into the trace's `kind`, for all importers.

Source: Linux 6.1, mm/ and fs/ (the callers of kmap, kmap_local_page and pte_offset_map).
"""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.schema.names import KINDS

CALLER_KINDS = {
    # A page-table page is mapped to read or change its entries: first in every page fault ...
    "handle_mm_fault": "page_fault",
    "filemap_map_pages": "page_fault",
    "finish_fault": "page_fault",
    "wp_page_copy": "page_fault",
    # ... and also when a range is unmapped, copied by fork, protected or moved, or looked up by
    # get_user_pages, exec or khugepaged. These are also page-table mappings.
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
    # The write handler of the kmapcu test module maps a page, sleeps as a copy would, and unmaps it.
    "kc_write": "copy_from_user",
    "copy_strings": "exec_args",
    "copy_string_kernel": "exec_args",
    "remove_arg_zero": "exec_args",
    "dir_get_page": "directory",
    # Clears the part of a page-cache page that a read from disk or a write leaves unfilled.
    "zero_user_segments": "other",
}

# Debian's kernel clears every page that it allocates (init_on_alloc). Inside a system call this is usually a
# new page-cache page; outside, it is the page or page-table page that a fault needs.
_OTHER_INSIDE_SYSCALL = frozenset({"kernel_init_pages"})

# Suffixes of a function's name in a symbol: offset/length, and the compiler's marks of split functions.
_SYMBOL_SUFFIX = re.compile(r"(\+0x.*|\.(isra|constprop|part|cold)\b.*)$")


def parse_symbol(symbol: str) -> str:
    """Return the function's name in a kernel symbol: "dir_get_page" for "dir_get_page.isra.0+0x50/0x60"."""
    return _SYMBOL_SUFFIX.sub("", symbol)


def classify_caller(symbol: str, inside_syscall: bool = False) -> str:
    """Return the kind of the mappings that a kernel symbol's function requests; "other" if unknown."""
    function = parse_symbol(symbol)
    if inside_syscall and function in _OTHER_INSIDE_SYSCALL:
        return "other"
    return CALLER_KINDS.get(function, "other")


def classify_callers(
    callers: pa.ChunkedArray | pa.Array, syscalls: pa.ChunkedArray | None = None
) -> np.ndarray:
    """Return codes into KINDS (int8, one per row) from callers and optional system calls ("" is none)."""
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
