"""Answers that are wider than the screen."""

from __future__ import annotations

import polars as pl
import pytest

from pipeline.shell.layout import format_vertical, show_answer

WIDE = pl.DataFrame({"run": ["a", "b"], "long": ["x" * 50, None], "op": [1000, 2000]})
VERTICAL = f"-- row 1 --\nrun   a\nlong  {'x' * 50}\nop    1000\n-- row 2 --\nrun   b\nlong\nop    2000\n"


def shown(frame: pl.DataFrame, mode: str, columns: int | None, form: str = "table") -> str:
    written: list[str] = []
    show_answer(frame, form, mode, columns, written.append)
    return "".join(written)


def test_a_row_below_the_other_has_a_line_for_each_column() -> None:
    assert format_vertical(WIDE) == shown(WIDE, "vertical", 200) == VERTICAL
    assert format_vertical(WIDE.head(0)) == "(no rows)\n"


@pytest.mark.parametrize(("columns", "turned"), [(40, True), (200, False), (None, False)])
def test_a_short_answer_turns_only_where_it_is_too_wide(columns: int | None, turned: bool) -> None:
    assert (shown(WIDE, "auto", columns) == VERTICAL) == turned
    assert shown(WIDE, "table", columns).startswith("run  long")


def test_a_long_answer_goes_to_the_pager(capfd, monkeypatch) -> None:
    long = pl.concat([WIDE] * 5)
    monkeypatch.setenv("PAGER", "cat")
    assert shown(long, "auto", 40) == ""
    assert capfd.readouterr().out.startswith("run  long")
    monkeypatch.setenv("PAGER", "no-such-pager")
    assert shown(long, "page", 40).startswith("run  long")


def test_what_is_no_table_is_left_as_it_is() -> None:
    assert shown(WIDE, "vertical", 10, "csv").startswith("run,long,op\n")
