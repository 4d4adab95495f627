"""The page for writers of designs does what it shows, and its words are those that there are."""

from __future__ import annotations

import re
import tomllib
from types import FunctionType

from pipeline.allocators.api import actions, effects
from pipeline.allocators.installed import ENTRY_POINTS
from pipeline.schema import codes
from tests.docs.test_documents import ROOT, _without_ids, module_of

PAGE = (ROOT / "docs" / "write-an-allocator.md").read_text(encoding="utf-8")
SERVED = {"HIT", "MISS", "DIRECT", "FALLBACK"}
HAZARDS = {"COUNT_UNDERFLOW", "NESTING_OVERFLOW", "UNMAP_OUT_OF_ORDER"}


def test_every_command_and_change_of_the_page_gives_what_is_shown() -> None:
    real = module_of("examples").filled(PAGE)
    assert _without_ids(real) == _without_ids(PAGE), (
        "run 'python docs/examples.py docs/write-an-allocator.md'"
    )


def test_every_block_of_the_page_is_run_or_checked() -> None:
    kinds = re.findall(r"^```(\w+)\n(.*)", PAGE, re.MULTILINE)
    assert {kind for kind, _ in kinds} == {"console", "python", "toml"}
    assert all(first.startswith({"console": "$ ", "python": "# in ", "toml": "["}[k]) for k, first in kinds)
    (block,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert tomllib.loads(block) == {"project": {"entry-points": {ENTRY_POINTS: {"mine": "my_package.mine"}}}}


def test_the_page_has_every_word_with_a_meaning() -> None:
    rows = dict(re.findall(r"^\| `(\w+)(?:\([^)]*\))?` \| (.+) \|$", PAGE, re.MULTILINE))
    constants = {name for name, value in vars(actions).items() if name.isupper() and isinstance(value, int)}
    functions = {
        name
        for name, value in vars(effects).items()
        if isinstance(value, FunctionType) and value.__module__ == effects.__name__
    }
    assert set(vars(codes)) >= SERVED | HAZARDS
    assert set(rows) == constants | functions
    assert all(rows.values())
    assert all(f"`{name}`" in PAGE for name in SERVED)
    assert all(name in rows["report_finding"] for name in HAZARDS)


def test_a_change_replaces_what_has_its_name_adds_what_is_new_and_imports_what_it_needs() -> None:
    source = "from x import a\n\nKEPT = 1\n\n\n@mark\ndef f():\n    return a\n\n\nLAST = 2\n"
    change = "from x import b\n\n\n@other\ndef f():\n    return b\n\n\n# new\nNEW = 3\n"
    assert module_of("examples").changed(source, change) == (
        "from x import b\nfrom x import a\n\nKEPT = 1\n\n\n@other\ndef f():\n    return b\n\n\nLAST = 2\n"
        "\n\n# new\nNEW = 3\n"
    )
