"""Documents say what is so: generated ones are up to date, examples run and print what is shown."""

from __future__ import annotations

import importlib
import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix() for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
)


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


@pytest.mark.parametrize(
    "name", ["README.md", "docs/architecture.md", "docs/studies.md", "docs/sweeping.md", "docs/vmalloc.md"]
)
def test_a_page_shows_what_its_commands_print(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    shown, real = _without_ids(text), _without_ids(module_of("examples").filled(text))
    assert real == shown, f"run 'python docs/generate.py {name}' and read what changed"


@pytest.mark.parametrize("document", [name for name in DOCUMENTS if name != "CHANGELOG.md"])
def test_what_a_document_says_of_the_code_is_there(document: str) -> None:
    code = set(re.findall(r"`([^`\n]+)`", (ROOT / document).read_text(encoding="utf-8")))
    for name in sorted(word for word in code if re.fullmatch(r"pipeline(\.[a-z_]+){2,}", word)):
        *module, last = name.split(".")
        found = importlib.util.find_spec(name) if Path(ROOT, *module).is_dir() else None
        assert found or hasattr(importlib.import_module(".".join(module)), last), name
    files = [word for word in code if re.fullmatch(r"[\w/-]*\w/([\w-]+\.(py|toml|sql|md))?", word)]
    for name in sorted(file for file in files if "NAME" not in file):
        there = [ROOT, ROOT / "pipeline", *(ROOT / "pipeline").iterdir()]
        assert any((folder / name).exists() for folder in there), name


def _without_ids(text: str) -> str:
    """Run ids change with every line of the engine; what they stand for does not."""
    return re.sub(r"-[0-9a-f]{12}\b", "-...", text)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_between_documents_lead_somewhere(document: str) -> None:
    path = ROOT / document
    for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", path.read_text(encoding="utf-8")):
        assert (path.parent / link).exists(), link


@pytest.mark.parametrize(
    "script",
    sorted(ROOT.glob("benchmarks/*.py")) + sorted(ROOT.glob("traces/*/*.py")),
    ids=lambda path: path.name,
)
def test_a_script_finds_all_that_it_imports(script: Path) -> None:
    code = f"import runpy, sys; sys.path.insert(0, {str(script.parent)!r}); runpy.run_path({str(script)!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
