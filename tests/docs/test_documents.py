"""Documents say what is so: generated ones are up to date, examples run and print what is shown."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


def module_of(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"docs_{name}", ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["format.md", "queries.md"])
def test_generated_documents_are_up_to_date(name: str) -> None:
    generated = module_of("generate").DOCUMENTS[name]()
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == generated, "run 'make docs'"


def test_the_readme_shows_what_its_commands_print() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown, real = _without_ids(text), _without_ids(module_of("examples").filled(text))
    assert real == shown, "run 'python docs/examples.py' and read what changed"


def _without_ids(text: str) -> str:
    """Run ids change with every line of the engine; what they stand for does not."""
    return re.sub(r"-[0-9a-f]{12}\b", "-...", text)


@pytest.mark.parametrize("document", [*sorted(path.name for path in ROOT.glob("docs/*.md")), "README.md"])
def test_links_between_documents_lead_somewhere(document: str) -> None:
    path = ROOT / document if document == "README.md" else ROOT / "docs" / document
    for link in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
        assert (path.parent / link).exists(), link
