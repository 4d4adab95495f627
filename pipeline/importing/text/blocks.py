"""Read text of any length, plain or compressed, as blocks of complete lines in bounded memory."""

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
# Bytes per read; up to this much before the damage may be lost in a damaged compressed text.
_READ_BYTES = 1 << 14
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# No recorder writes longer lines: strace truncates strings, and a kernel event is at most one page.
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
    """Reader of the text at `path` as blocks of complete lines. The block boundaries have no meaning.

    overlong: number of lines longer than LONGEST_LINE, which are skipped.
    overlong_first: number of the first such line, from 1.
    lines_before: number of lines before the current block, including skipped lines.
    cut_short: the last line has no end, or compressed text is damaged.
    damage: the reason why compressed text cannot be read further, "" if none.
    """

    path: Path
    overlong: int = 0
    overlong_first: int = 0
    cut_short: bool = False
    damage: str = ""
    lines_before: int = 0

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield blocks as uint8 arrays that end with a newline.

        Raises InputError if nothing can be read.
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
        """Yield the text in pieces of BLOCK_BYTES; the last one may be shorter."""
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
        """Yield the text as it is read, without a byte order mark at the start."""
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
            # The text before the damage is valid, and the loss is reported.
            self.cut_short, self.damage = True, one_line(error)
            if head == b"":
                raise InputError(
                    f"{self.path}: expected text, plain or compressed, but the file cannot be read "
                    f"({self.damage}); it is truncated or damaged: copy it again"
                ) from error
        if head:
            yield head


def open_text(path: Path) -> IO[bytes] | pa.NativeFile:
    """Open plain or compressed text; the first bytes select the decompressor, not the file name."""
    with path.open("rb") as raw:
        head = raw.read(6)
    openers = (opener for magic, opener in _OPENERS.items() if head.startswith(magic))
    return next(openers, lambda path: path.open("rb"))(path)


def read_head(path: Path, size: int = 1 << 16) -> bytes:
    """Return at most the first `size` bytes of the text at `path`; b"" if it cannot be read."""
    try:
        with open_text(path) as stream:
            return bytes(stream.read(size)).removeprefix(_BYTE_ORDER_MARK)
    except DAMAGE:
        return b""
