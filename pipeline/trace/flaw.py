"""Counting of rows with one flaw."""

from __future__ import annotations

import numpy as np

from pipeline.trace.diagnosis import Problem

REMAKE = "generate or import the trace again"


class Flaw:
    """Number of rows with a flaw, and the first of them. `what` describes the rows."""

    def __init__(self, code: str, what: str, advice: str = REMAKE) -> None:
        """Begin without a flawed row."""
        self._code = code
        self._what = what
        self._advice = advice
        self.count = 0
        self._first_row = -1

    def add(self, flawed: np.ndarray, first: int) -> None:
        """Count the rows where `flawed` (bool [n]) is true; its first is row `first` of the trace."""
        self.add_rows(np.flatnonzero(flawed), first)

    def add_rows(self, rows: np.ndarray, first: int) -> None:
        """Count `rows` (int [n], in any order), relative to row `first` of the trace."""
        if len(rows):
            if self.count == 0:
                self._first_row = first + int(rows.min())
            self.count += len(rows)

    def problem(self) -> Problem:
        """Return the flaw as a problem."""
        return Problem(
            code=self._code, severity="error", count=self.count, first_row=self._first_row, what=self._what,
            advice=self._advice,
        )  # fmt: skip
