"""Messages fit on a screen and act on no terminal."""

from __future__ import annotations

import pytest

from pipeline.errors import InputError, printable


def test_of_a_long_message_the_middle_is_left_out() -> None:
    message = str(InputError("begin " + "x" * 70_000 + " end"))
    assert message.startswith("begin x")
    assert message.endswith("x end")
    assert "(68,410 more characters)" in message
    assert len(message) < 1_700


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a b, caf\u00e9, \u4e2d", "a b, caf\u00e9, \u4e2d"),
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("a\nb\tc\0", "a\\nb\\tc\\x00"),
        ("a\u202eb\u200fc", "a\\u202eb\\u200fc"),
        ("\x9b31m\x7f", "\\x9b31m\\x7f"),
        ("\ud800 \u2028", "\\ud800 \\u2028"),
        ("\U000e0001", "\\U000e0001"),
    ],
)
def test_what_acts_on_a_terminal_comes_out_as_text(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(shown) == shown


def test_an_error_keeps_its_lines() -> None:
    assert str(InputError("a\nb\rc")) == "a\nb\\rc"
