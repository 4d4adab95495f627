"""The page about timelines shows what its commands print, and every slice that there is."""

from __future__ import annotations

from pipeline.export.kinds import describe_slices
from tests.docs.test_documents import ROOT, _without_ids, module_of

PAGE = (ROOT / "docs" / "export.md").read_text(encoding="utf-8")


def test_every_command_of_the_page_gives_what_is_shown() -> None:
    real = module_of("examples").filled(PAGE)
    assert _without_ids(real) == _without_ids(PAGE), "run 'python docs/examples.py docs/export.md'"


def test_the_page_has_every_slice_with_its_meaning_and_arguments() -> None:
    assert f"<!-- slices -->\n\n{describe_slices()}\n" in PAGE, (
        "put in what pipeline.export.kinds.describe_slices() says"
    )
