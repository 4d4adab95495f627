"""The macros that SQL may use beside the views: what several queries do, defined and documented once.

Each is a file of `definitions/macros/`, found there:

    -- macro: what the table is
    -- param: name; meaning
    -- column: name; meaning
    -- example: FROM name('hold_histogram')

A macro that takes a relation takes its name as text: of a view, or of a CTE of the same query, as in
`WITH mine AS (...) SELECT * FROM quantiles('mine')`.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.sql.header import read_definitions


@dataclass(frozen=True)
class Macro:
    """A documented macro: a table to use after FROM.

    `parameters` and `columns` are pairs of a name and its meaning; `example` is a statement that uses it.
    """

    name: str
    doc: str
    parameters: tuple[tuple[str, str], ...]
    columns: tuple[tuple[str, str], ...]
    sql: str
    example: str

    @property
    def call(self) -> str:
        """How it is written: its name with its parameters."""
        return f"{self.name}({', '.join(name for name, _ in self.parameters)})"

    @property
    def definition(self) -> str:
        """The statement that makes it."""
        return f"CREATE MACRO {self.call} AS TABLE {self.sql}"


def _pair(line: str) -> tuple[str, str]:
    name, _, meaning = line.partition("; ")
    return name, meaning


# In the order in which they are made, after the views: a macro comes after those that it uses.
MACROS: dict[str, Macro] = {
    name: Macro(
        name,
        header["macro"][0],
        tuple(map(_pair, header["param"])),
        tuple(map(_pair, header["column"])),
        sql,
        header["example"][0],
    )
    for name, header, sql in read_definitions("macros", "macro", "param", "column", "example")
}
