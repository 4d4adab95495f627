"""The page about exploring shows what its commands print, and every command of the shell."""

from __future__ import annotations

from pipeline.shell.shell import ALIASES, COMMANDS
from pipeline.sql.views import VIEWS
from tests.docs.test_documents import ROOT, _without_ids, module_of

PAGE = (ROOT / "docs" / "exploring.md").read_text(encoding="utf-8")


def test_every_command_of_the_page_gives_what_is_shown() -> None:
    real = module_of("examples").filled(PAGE)
    assert _without_ids(real) == _without_ids(PAGE), "run 'python docs/examples.py docs/exploring.md'"


def test_the_page_has_every_command_of_the_shell_and_names_views_that_there_are() -> None:
    assert [name for name in (*COMMANDS, ".views") if f"`{name}" not in PAGE] == []
    assert ALIASES[".views"] == ".tables"
    assert {"lock_waits", "event_log", "pin_waits"} <= {name for name in VIEWS if f"`{name}`" in PAGE}
