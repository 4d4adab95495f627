"""A block of text as a column of lines, and what lines have in common in all formats."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import polars as pl
import pyarrow as pa

from pipeline.importing.events import EVENT
from pipeline.importing.text.tally import Tally
from pipeline.importing.text.templates import pattern, read_decimals
from pipeline.jit.tables import records

_NEWLINE = 10
_MOST_DIGITS = 9
_SECOND_NS = 1_000_000_000
# Times are cut to this: farther from the first they mean nothing, and sums with them have to fit.
FARTHEST_NS = 1 << 61


def split_lines(block: np.ndarray) -> pl.Series:
    """Lines of a block that ends with a newline, without their ends; bytes that are no UTF-8 as \\xNN."""
    text = block.tobytes()
    try:
        text.decode()
    except UnicodeDecodeError:
        # What becomes of a line does not depend on its neighbours: no character spans two.
        text = text.decode(errors="backslashreplace").encode()
    if b"\r" in text:
        text = text.replace(b"\r\n", b"\n")
    ends = np.flatnonzero(np.frombuffer(text, np.uint8) == _NEWLINE)
    starts = np.zeros(len(ends), np.int32)
    starts[1:] = ends[:-1] + 1
    # Arrow wants one offset more than lines, and each line up to the next: the newlines go with them.
    offsets = np.append(starts, np.int32(len(text)))
    lines = pa.StringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(text))
    return pl.Series(pl.from_arrow(lines)).str.strip_suffix("\n")


def blank_events(rows: np.ndarray, tally: Tally) -> np.ndarray:
    """Events of which only the lines are known: `rows` of the block at hand."""
    events = records(len(rows), EVENT)
    events.view("i8")[:] = -1
    events["name"] = 0
    events["line"] = tally.lines + rows
    return events


def nanoseconds(seconds: pl.Series, fraction: pl.Series) -> np.ndarray:
    """Times of two columns of text, int64 ns: seconds and fraction; ticks where there is no fraction.

    A number of seconds that is too large for it counts as the largest.
    """
    whole = read_decimals(seconds)
    digits = fraction.str.head(_MOST_DIGITS)
    length = digits.str.len_bytes().fill_null(_MOST_DIGITS).to_numpy().astype(np.int64)
    part = np.maximum(read_decimals(digits), 0) * 10 ** (_MOST_DIGITS - length)
    in_ns = np.minimum(whole, FARTHEST_NS // _SECOND_NS) * _SECOND_NS + part
    return np.where(fraction.is_null().to_numpy(), whole, in_ns)


def hashes(text: pl.Series) -> np.ndarray:
    """Hash of each string, int64 as those of `hashing`: of 62 bits and never 0; 0 for null."""
    return np.where(
        text.is_null().to_numpy(),
        0,
        (text.hash().to_numpy() & np.uint64((1 << 62) - 1) | np.uint64(1)).view(np.int64),
    )


def match_first(
    lines: pl.Series, rows: np.ndarray, patterns: Mapping[str, str]
) -> tuple[dict[str, int], np.ndarray]:
    """Which of the lines at `rows` are of which kind: counts by kind, and the rows that none fits."""
    counts: dict[str, int] = {}
    for kind, regex in patterns.items():
        if not len(rows):
            break
        fits = lines.gather(rows).str.contains(regex).to_numpy()
        if fits.any():
            counts[kind] = int(fits.sum())
        rows = rows[~fits]
    return counts, rows


def read_losses(
    lines: pl.Series, rows: np.ndarray, forms: Iterable[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lines that say how many events were lost: their rows, their counts (-1 unknown); and the rows left.

    `forms` are templates with a field `count`, or `kept` and `written`, or none where the line does not say.
    """
    found, counts = [rows[:0]], [np.zeros(0, np.int64)]
    for form in forms:
        fits, columns = pattern(form).read(lines.gather(rows))
        found.append(rows[fits])
        rows = rows[~fits]
        if "written" in columns:
            columns["count"] = np.maximum(np.asarray(columns["written"]) - np.asarray(columns["kept"]), 0)
        counts.append(np.asarray(columns.get("count", np.full(len(found[-1]), -1))))
    return np.concatenate(found), np.concatenate(counts), rows
