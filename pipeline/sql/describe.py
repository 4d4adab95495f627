"""The views and macros of SQL as text."""

from __future__ import annotations

from pipeline.errors import unknown_name
from pipeline.io.tables import align_columns, titled_columns
from pipeline.sql.macros import MACROS
from pipeline.sql.views import VIEWS


def describe_views() -> str:
    """Describe every view with its columns, then every macro with its parameters, in text."""
    return "\n".join(describe_relation(name) for name in (*VIEWS, *MACROS))


def describe_relation(name: str) -> str:
    """Describe a view with its columns, or a macro with its parameters, in text.

    Raises UsageError for an unknown name.
    """
    if name in VIEWS:
        view = VIEWS[name]
        rows = ((c.name, c.unit, c.doc) for c in view.columns)
        return f"{view.name}: {view.doc}\n" + align_columns(rows, indent="  ")
    if name in MACROS:
        macro = MACROS[name]
        sections = titled_columns("parameters", macro.parameters) + titled_columns("columns", macro.columns)
        return f"{macro.call}: macro; {macro.doc}\n{sections}"
    raise unknown_name("view or macro", name, [*VIEWS, *MACROS])
