"""Write a fitted spec as the text of a TOML file, with comments on its source."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import Any

from pipeline.workload.fit.parameters import Fitted

_WIDTH = 110
_FEW = 8
_GLUE = "\0"
_ONE_LINE = ("description", "tasks", "threads_per_process", "operations", "seed", "start")


def spec_text(fitted: Fitted, head: Iterable[str], foot: Iterable[str]) -> str:
    """Return the text of the spec; `head` and `foot` are paragraphs for comments before and after it."""
    lines = [line for paragraph in head for line in (*_comment(paragraph), "#")]
    lines[-1] = ""
    table = fitted.table
    for key in _ONE_LINE:
        lines += _comment_on(fitted, key)
        lines.append(f"{key} = {_value(table[key])}")
    for group in ("page_sets", "kind_runs", "bursts", "kinds"):
        if group in ("page_sets", "kinds"):
            for name, values in table[group].items():
                lines += ["", *_comment_on(fitted, f"{group}.{name}"), f"[{group}.{name}]"]
                lines += [f"{key} = {_value(value)}" for key, value in values.items()]
        elif group in table:
            lines += ["", *_comment_on(fitted, group), f"[{group}]"]
            lines += [f"{key} = {_value(value)}" for key, value in table[group].items()]
    lines.append("")
    for paragraph in foot:
        lines += _comment(paragraph)
    return "\n".join(lines) + "\n"


def _comment_on(fitted: Fitted, key: str) -> list[str]:
    return _comment(fitted.comments[key]) if key in fitted.comments else []


def _comment(text: str) -> list[str]:
    """Return the lines of a comment; indented text is not wrapped."""
    if text.startswith(" "):
        return [f"# {text}".rstrip()]
    return [f"# {line}" for line in textwrap.wrap(text, _WIDTH - 2)] or ["#"]


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_value(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        items = [_value(inner) for inner in value]
        if len(items) <= _FEW:
            return f"[{', '.join(items)}]"
        # Keep each pair on one line.
        text = textwrap.fill(
            ", ".join(item.replace(" ", _GLUE) for item in items), _WIDTH, initial_indent="    ",
            subsequent_indent="    ",
        )  # fmt: skip
        return "[\n" + text.replace(_GLUE, " ") + ",\n]"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    if isinstance(value, int):
        return f"{value:_}"
    # repr gives the shortest digits that read back as the same number.
    return repr(float(value))
