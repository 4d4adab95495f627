"""The page for notebooks runs, prints what it shows, and shows every function there is."""

from __future__ import annotations

import pytest

import pipeline
from tests.docs.test_documents import ROOT, module_of

PAGE = (ROOT / "docs" / "notebook.md").read_text(encoding="utf-8")


def test_the_blocks_of_the_page_run_and_print_what_is_shown() -> None:
    assert module_of("examples").filled(PAGE) == PAGE, "run 'make docs'"


@pytest.mark.parametrize("name", pipeline.__all__)
def test_every_public_function_can_be_called_and_is_on_the_page(name: str) -> None:
    assert callable(getattr(pipeline, name))
    assert f"pipeline.{name}(" in PAGE
