"""The SQL macros: table functions shared by several queries, each defined and documented once.

Each macro is a file in `definitions/macros/`:

    -- macro: what the table is
    -- param: name; meaning
    -- column: name; meaning
    -- example: FROM name('hold_histogram')

A relation is passed to a macro as text, the name of a view or of a CTE of the same query, as in
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
        """The call: name and parameters."""
        return f"{self.name}({', '.join(name for name, _ in self.parameters)})"

    @property
    def definition(self) -> str:
        """The statement that creates the macro."""
        return f"CREATE MACRO {self.call} AS TABLE {self.sql}"


def _pair(line: str) -> tuple[str, str]:
    name, _, meaning = line.partition("; ")
    return name, meaning


# In the order of creation, after the views: a macro follows those that it uses.
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
