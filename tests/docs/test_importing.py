"""The page on importing says what its commands print, and has every format and every loss there is."""

from __future__ import annotations

from tests.docs.test_documents import ROOT, module_of

PAGE = (ROOT / "docs" / "importing.md").read_text(encoding="utf-8")


def test_the_page_shows_what_its_commands_print_and_the_tables_of_formats_and_losses() -> None:
    assert module_of("examples").filled(PAGE) == PAGE, "run 'python docs/examples.py docs/importing.md'"
