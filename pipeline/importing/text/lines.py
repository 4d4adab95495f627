"""Convert a block of text into a column of lines, and read fields that all formats share."""

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
# Times are limited to this: larger ones are meaningless, and sums of times must fit into 64 bits.
FARTHEST_NS = 1 << 61


def split_lines(block: np.ndarray) -> pl.Series:
    """Return the lines of a block, without their ends; bytes that are not UTF-8 become \\xNN."""
    text = block.tobytes()
    try:
        text.decode()
    except UnicodeDecodeError:
        # The result for a line does not depend on other lines, because no character spans two lines.
        text = text.decode(errors="backslashreplace").encode()
    if b"\r" in text:
        text = text.replace(b"\r\n", b"\n")
    ends = np.flatnonzero(np.frombuffer(text, np.uint8) == _NEWLINE)
    starts = np.zeros(len(ends), np.int32)
    starts[1:] = ends[:-1] + 1
    # Arrow requires one more offset than lines, and each line ends where the next begins, newline included.
    offsets = np.append(starts, np.int32(len(text)))
    lines = pa.StringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(text))
    return pl.Series(pl.from_arrow(lines)).str.strip_suffix("\n")


def blank_events(rows: np.ndarray, tally: Tally) -> np.ndarray:
    """Return events with only their line set, for `rows` of the current block."""
    events = records(len(rows), EVENT)
    events.view("i8")[:] = -1
    events["name"] = 0
    events["line"] = tally.lines + rows
    return events


def nanoseconds(seconds: pl.Series, fraction: pl.Series) -> np.ndarray:
    """Return times from columns of seconds and fractions, int64 in ns, or in ticks if there is no fraction.

    A number of seconds that is too large becomes the largest possible time.
    """
    whole = read_decimals(seconds)
    digits = fraction.str.head(_MOST_DIGITS)
    length = digits.str.len_bytes().fill_null(_MOST_DIGITS).to_numpy().astype(np.int64)
    part = np.maximum(read_decimals(digits), 0) * 10 ** (_MOST_DIGITS - length)
    in_ns = np.minimum(whole, FARTHEST_NS // _SECOND_NS) * _SECOND_NS + part
    return np.where(fraction.is_null().to_numpy(), whole, in_ns)


def hashes(text: pl.Series) -> np.ndarray:
    """Return a hash of each string as int64, as in `hashing`: 62 bits and never 0; 0 for null."""
    return np.where(
        text.is_null().to_numpy(),
        0,
        (text.hash().to_numpy() & np.uint64((1 << 62) - 1) | np.uint64(1)).view(np.int64),
    )


def match_first(
    lines: pl.Series, rows: np.ndarray, patterns: Mapping[str, str]
) -> tuple[dict[str, int], np.ndarray]:
    """Classify the lines at `rows`: return counts by kind, and the rows that match no pattern."""
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
    """Find lines that report lost events: return their rows, their counts (-1 unknown), and the other rows.

    `forms` are templates with a field `count`, with `kept` and `written`, or with none if the line has no
    number.
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
