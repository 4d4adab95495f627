"""The page on importing says what its commands print, and every loss there is."""

from __future__ import annotations

import re

from pipeline.importing.import_trace import list_formats
from pipeline.trace.losses import MEANINGS
from tests.docs.test_documents import ROOT, module_of

PAGE = (ROOT / "docs" / "importing.md").read_text(encoding="utf-8")


def test_the_page_shows_what_its_commands_print() -> None:
    assert module_of("examples").filled(PAGE) == PAGE, "run 'python docs/examples.py docs/importing.md'"


def test_the_page_names_every_loss_and_every_format() -> None:
    for name, meaning in MEANINGS.items():
        assert f"| `{name}` | {meaning} |" in PAGE
    named = set(re.findall(r"`([\w-]+)`", PAGE))
    assert not set(list_formats()) - named
