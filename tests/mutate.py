"""Mutation of a source text: copies of a module with a mistake in them, which tests must catch.

The snippet to be replaced is found by its tokens. Spaces, line breaks, comments, docstrings and trailing
commas do not count, so a mutation outlives a formatter and a rewording.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_TOKEN = re.compile(
    r'''(?P<skip>\s+|\#[^\n]*|""".*?"""|,(?=\s*[)\]}]))|(?P<token>"(?:\\.|[^"\\])*"|\w+|.)''', re.DOTALL
)


def mutate(source: str, changes: Mapping[str, str]) -> str:
    """Return `source` with each snippet in `changes` replaced by another text.

    A snippet is any run of whole tokens, not necessarily a statement, and must be there exactly once. The
    lines of a replacement after its first keep the indentation that they have.
    """
    for old, new in changes.items():
        spans = _spans(source, old)
        assert len(spans) == 1, f"{old!r} is there {len(spans)} times"
        source = source[: spans[0][0]] + new.strip() + source[spans[0][1] :]
    return source


def count(source: str, snippet: str) -> int:
    """Return how often a snippet is in `source`."""
    return len(_spans(source, snippet))


def _spans(source: str, snippet: str) -> list[tuple[int, int]]:
    """Where the snippet begins and ends in `source`; an operator of two characters is two tokens."""
    tokens, wanted = ([m for m in _TOKEN.finditer(text) if m["token"]] for text in (source, snippet))
    texts, wanted_texts = [m[0] for m in tokens], [m[0] for m in wanted]
    length = len(wanted)
    return [
        (tokens[k].start(), tokens[k + length - 1].end())
        for k in range(len(tokens) - length + 1)
        if texts[k : k + length] == wanted_texts
    ]
