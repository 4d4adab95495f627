"""Text of any length and compression as blocks of whole lines, in bounded memory."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa

from pipeline.errors import InputError, one_line

BLOCK_BYTES = 4 << 20
# At once: of a compressed text that is damaged, so much may be lost in front of the damage.
_READ_BYTES = 1 << 14
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
    """Reads the text at `path` as blocks of whole lines; how it is cut into blocks means nothing.

    `overlong` counts lines longer than LONGEST_LINE, which are left out; `overlong_first` is the number of
    the first (from 1). `lines_before` is the number of lines before the block at hand, those left out
    included. `cut_short` says that the last line has no end, or that compressed text broke off; then `damage`
    is why.
    """

    path: Path
    overlong: int = 0
    overlong_first: int = 0
    cut_short: bool = False
    damage: str = ""
    lines_before: int = 0

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield blocks as uint8 arrays that end with a newline.

        Raises InputError when nothing can be read at all.
        """
        rest, skipping = b"", False
        for piece in self._pieces():
            text = rest + piece
            if skipping:
                _, newline, text = text.partition(b"\n")
                skipping = not newline
            end = text.rfind(b"\n") + 1
            yield from self._without_overlong(text[:end])
            rest = b"" if skipping else text[end:]
            if len(rest) > LONGEST_LINE:
                self._leave_out()
                rest, skipping = b"", True
        self.cut_short |= bool(rest) or skipping
        if rest:
            yield from self._count(rest + b"\n")

    def _without_overlong(self, text: bytes) -> Iterator[np.ndarray]:
        begin = at = 0
        while at < len(text):
            end = text.rfind(b"\n", at, at + LONGEST_LINE + 1) + 1
            if end:
                at = end
                continue
            yield from self._count(text[begin:at])
            self._leave_out()
            begin = at = text.index(b"\n", at) + 1
        yield from self._count(text[begin:])

    def _count(self, block: bytes) -> Iterator[np.ndarray]:
        if block:
            yield np.frombuffer(block, np.uint8)
            self.lines_before += block.count(b"\n")

    def _leave_out(self) -> None:
        self.lines_before += 1
        self.overlong += 1
        if not self.overlong_first:
            self.overlong_first = self.lines_before

    def _pieces(self) -> Iterator[bytes]:
        """The text in pieces of BLOCK_BYTES, the last one shorter."""
        held: list[bytes] = []
        size = 0
        for chunk in self._chunks():
            held.append(chunk)
            size += len(chunk)
            if size >= BLOCK_BYTES:
                text, whole = b"".join(held), size - size % BLOCK_BYTES
                for at in range(0, whole, BLOCK_BYTES):
                    yield text[at : at + BLOCK_BYTES]
                held, size = [text[whole:]], size - whole
        if size:
            yield b"".join(held)

    def _chunks(self) -> Iterator[bytes]:
        """The text as it is read, without a mark of the order of bytes in front."""
        head: bytes | None = b""
        try:
            with open_text(self.path) as stream:
                while chunk := bytes(stream.read(_READ_BYTES)):
                    if head is not None:
                        head = chunk = head + chunk
                        if len(head) < len(_BYTE_ORDER_MARK):
                            continue
                        chunk, head = head.removeprefix(_BYTE_ORDER_MARK), None
                    yield chunk
        except DAMAGE as error:
            # What was read before the damage is whole, and the loss is reported.
            self.cut_short, self.damage = True, one_line(error)
            if head == b"":
                raise InputError(
                    f"{self.path}: wanted text, plain or compressed, but it cannot be read ({self.damage}); "
                    "it is cut short or damaged: copy it again"
                ) from error
        if head:
            yield head


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
