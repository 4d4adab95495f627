"""Recorded addresses as slots of a small address space: gaps between areas are shortened to one page.

Areas of a kernel lie terabytes apart. Order and lengths of all areas remain, so a range of slots that begins
and ends with an area translates back to one range of addresses.
"""

from __future__ import annotations

import numpy as np

from pipeline.errors import InputError


class Addresses:
    """Translation between pages of the kernel's address space and slots; `pages` is the number of slots."""

    def __init__(self, first: np.ndarray, pages: np.ndarray) -> None:
        """`first` and `pages` describe all areas of the recording, which may overlap."""
        order = np.argsort(first, kind="stable")
        begin, end = first[order], np.maximum.accumulate((first + pages)[order])
        new = np.concatenate([[True], begin[1:] > end[:-1]]) if len(begin) else np.zeros(0, np.bool_)
        self.begin = begin[new]
        lengths = np.append(end[:-1][new[1:]], end[-1:]) - self.begin
        self.slot = np.cumsum(lengths + 1) - (lengths + 1)
        self.pages = int((lengths + 1).sum())

    def slot_of(self, page: int) -> int:
        """The slot of a page of an area."""
        at = int(np.searchsorted(self.begin, page, side="right")) - 1
        return int(self.slot[at] + page - self.begin[at])

    def page_of(self, slot: int) -> int:
        """The page of a slot."""
        at = int(np.searchsorted(self.slot, slot, side="right")) - 1
        return int(self.begin[at] + slot - self.slot[at])


def check_space(pages: int, most: int, recording: object) -> None:
    """Raise InputError if the recording's areas need more than `most` pages."""
    if pages > most:
        raise InputError(
            f"{recording}: its areas take {pages:,} pages of address space, and designs can have {most:,}; "
            "make a recording with fewer large areas"
        )
