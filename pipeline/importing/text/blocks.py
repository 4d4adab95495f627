"""Text of any length and compression as blocks of whole lines, in bounded memory."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa

from pipeline.errors import InputError

BLOCK_BYTES = 4 << 20
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# No recorder writes longer lines: strace cuts strings, and an event of the kernel is one page at most.
LONGEST_LINE = 1 << 20

_OPENERS: dict[bytes, Callable[[Path], IO[bytes] | pa.NativeFile]] = {
    b"\x1f\x8b": gzip.open,
    b"\x28\xb5\x2f\xfd": lambda path: pa.CompressedInputStream(pa.OSFile(str(path)), "zstd"),
    b"\xfd7zXZ\x00": lzma.open,
    b"BZh": bz2.open,
}
DAMAGE = (OSError, EOFError, lzma.LZMAError, zlib.error, pa.ArrowException, ValueError)


@dataclass
class BlockReader:
    """Reads the text at `path` as blocks of whole lines.

    `overlong` counts lines longer than LONGEST_LINE, which are left out; `overlong_first` is the number of
    the first (from 1). `cut_short` says that the last line has no end, or that compressed text broke off.
    `bytes_read` counts text, decompressed.
    """

    path: Path
    overlong: int = 0
    overlong_first: int = 0
    cut_short: bool = False
    lines_before: int = 0
    bytes_read: int = 0
    _rest: bytes = field(default=b"", repr=False)
    _skipping: bool = False

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield blocks as uint8 arrays that end with a newline.

        `lines_before` is then the number of lines in earlier blocks and left out. Raises InputError when
        nothing can be read at all.
        """
        previous_lines = 0
        for piece in self._pieces():
            self.lines_before += previous_lines
            block = self._whole_lines(piece)
            previous_lines = block.count(b"\n")
            if block:
                yield np.frombuffer(block, np.uint8)
        self.lines_before += previous_lines
        if self._skipping:
            self.lines_before += 1
            self.cut_short = True
        elif self._rest:
            self.cut_short = True
            rest, self._rest = self._rest, b""
            yield np.frombuffer(rest + b"\n", np.uint8)

    def _whole_lines(self, piece: bytes) -> bytes:
        if self._skipping:
            _, newline, piece = piece.partition(b"\n")
            if not newline:
                return b""
            self._skipping = False
            self.lines_before += 1
        whole, newline, rest = piece.rpartition(b"\n")
        if newline:
            block = self._rest + whole + newline
            self._rest = rest
        else:
            block = b""
            self._rest += rest
        if len(self._rest) > LONGEST_LINE:
            self._rest = b""
            self._skipping = True
            self.overlong += 1
            if not self.overlong_first:
                self.overlong_first = self.lines_before + block.count(b"\n") + 1
        return block

    def _pieces(self) -> Iterator[bytes]:
        try:
            with open_text(self.path) as stream:
                while piece := bytes(stream.read(BLOCK_BYTES)):
                    if not self.bytes_read:
                        piece = piece.removeprefix(_BYTE_ORDER_MARK)
                    self.bytes_read += len(piece)
                    yield piece
        except DAMAGE as error:
            # What was read before the damage is whole, and the loss is reported.
            self.cut_short = True
            if not self.bytes_read:
                reason = " ".join(str(error).split())[:200]
                raise InputError(
                    f"{self.path}: wanted text, plain or compressed, but it cannot be read ({reason}); it is "
                    "cut short or damaged: copy it again"
                ) from error


def open_text(path: Path) -> IO[bytes] | pa.NativeFile:
    """Open text, compressed or not, as its first bytes say, whatever its name."""
    with path.open("rb") as raw:
        head = raw.read(6)
    openers = (opener for magic, opener in _OPENERS.items() if head.startswith(magic))
    return next(openers, lambda path: path.open("rb"))(path)


def read_head(path: Path, size: int = 1 << 16) -> bytes:
    """Return the first bytes of the text at `path`, at most `size`; none if it cannot be read."""
    try:
        with open_text(path) as stream:
            return bytes(stream.read(size)).removeprefix(_BYTE_ORDER_MARK)
    except DAMAGE:
        return b""
