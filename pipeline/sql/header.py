"""SQL files that document themselves in a header of comment lines, `-- key: value`.

An indented comment line continues the line above.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

_GOES_ON = re.compile(r"\n--  +")

Header = dict[str, list[str]]
"""Return the values of each key, in order."""


def read_definitions(folder: str, *keys: str) -> Iterator[tuple[str, Header, str]]:
    """Yield name, header and SQL of each file in a folder of `definitions/`, ordered by the numbers in front.

    A file `020_name.sql` follows the files that its SQL reads. The header has a line for each of `keys`.
    """
    line = re.compile(rf"^-- ({'|'.join(keys)}): (.*)\n", re.MULTILINE)
    for path in sorted((Path(__file__).parent / "definitions" / folder).glob("*.sql")):
        text = _GOES_ON.sub(" ", path.read_text(encoding="utf-8"))
        header: Header = {key: [] for key in keys}
        for key, value in line.findall(text):
            header[key].append(value)
        yield path.stem.partition("_")[2], header, line.sub("", text).strip()
