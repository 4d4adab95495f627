"""One pass over the rows of a trace, in compiled code, for statistics of their values."""

from __future__ import annotations

import numpy as np

from pipeline.jit.loops import compiled
from pipeline.jit.tables import Tables
from pipeline.schema.names import KINDS

# Histogram of durations or distances. Values up to 255 have one bucket each. Above, a bucket is 1/256 of its
# power of two, so a quantile computed from it is at most 0.4 % too low.
_SUB = 8
BUCKETS = (64 - _SUB + 1) << _SUB

_KINDS = len(KINDS)

# Reuse needs 8 bytes per page; above this number (256 GiB of mapped memory) it is not computed.
REUSE_PAGES = 1 << 26

HISTOGRAMS = ("think_ns", "wait_ns", "hold_ns", "block_ns", "reuse")
_THINK, _WAIT, _HOLD, _BLOCK, _REUSE = (code * BUCKETS for code in range(len(HISTOGRAMS)))

_READ = ("kind", "page", "think_ns", "wait_ns", "hold_ns", "block_ns")


class Scan:
    """State and results of the pass.

    `kinds` counts rows by kind. `histograms` [HISTOGRAMS, BUCKETS] and `maxima` describe durations and
    distances.
    """

    def __init__(self, pages: int) -> None:
        """Allocate tables for `pages` page numbers. Reuse is not computed for more than REUSE_PAGES."""
        self.rows = 0
        self.kinds = np.zeros(len(KINDS), np.int64)
        self.histograms = np.zeros((len(HISTOGRAMS), BUCKETS), np.int64)
        self.maxima = np.zeros(len(HISTOGRAMS), np.int64)
        self.measures_reuse = pages <= REUSE_PAGES
        self._pages = max(pages, 0) if self.measures_reuse else 0
        self._tables = Tables(
            checked=False,
            kinds=self.kinds,
            histograms=self.histograms.ravel(),
            # The latest row that mapped each page, plus 1; 0: none.
            last_rows=np.zeros(self._pages, np.int64),
        )

    def add(self, columns: dict[str, np.ndarray]) -> None:
        """Add the next rows: columns of the trace as int64, int32 or int8 arrays of equal length."""
        count = len(columns["time_ns"])
        batch = Tables(checked=False, **{name: np.ascontiguousarray(columns[name]) for name in _READ})
        _scan(batch, count, self.rows, self._tables, self._pages)
        for code, name in enumerate(HISTOGRAMS):
            if name in columns and count:
                self.maxima[code] = max(self.maxima[code], int(columns[name].max()))
        self.rows += count


def bucket_floor(bucket: int) -> int:
    """Return the smallest value in a bucket."""
    if bucket < 1 << _SUB:
        return bucket
    shift = (bucket >> _SUB) - 1
    return ((1 << _SUB) + (bucket & ((1 << _SUB) - 1))) << shift


@compiled
def _bucket(value):  # type: ignore[no-untyped-def]
    if value < 1 << _SUB:
        return value
    shift = 0
    while value >> shift >= 2 << _SUB:
        shift += 1
    return ((shift + 1) << _SUB) + ((value >> shift) & ((1 << _SUB) - 1))


@compiled
def _scan(batch, count, first, tables, pages):  # type: ignore[no-untyped-def]
    for i in range(count):
        kind, page = batch.kind[i], batch.page[i]
        if 0 <= kind < _KINDS:
            tables.kinds[kind] += 1
        tables.histograms[_THINK + _bucket(max(batch.think_ns[i], 0))] += 1
        tables.histograms[_WAIT + _bucket(max(batch.wait_ns[i], 0))] += 1
        tables.histograms[_HOLD + _bucket(max(batch.hold_ns[i], 0))] += 1
        tables.histograms[_BLOCK + _bucket(max(batch.block_ns[i], 0))] += 1
        if 0 <= page < pages:
            if tables.last_rows[page] > 0:
                tables.histograms[_REUSE + _bucket(first + i + 1 - tables.last_rows[page])] += 1
            tables.last_rows[page] = first + i + 1
