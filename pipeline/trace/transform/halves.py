"""Selections of rows in traces whose mappings have rows of their own for map and unmap.

A selection can contain only one of the two rows. Such a mapping is dropped: an unmap without its map is
invalid, and a mapping without the unmap that the trace has for it would remain forever.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from pipeline.schema.codes import PART_MAP, PART_UNMAP
from pipeline.trace.mapping_table import MappingTable, NumberSet
from pipeline.trace.transform.folding import FOLDED_COLUMNS, Folding
from pipeline.trace.transform.step import Columns, Outcome, mark_derived, select_rows


class Halves:
    """The mappings of which a selection contains only one of two rows."""

    def __init__(self, marked: Iterable[tuple[Columns, np.ndarray]], open_end: bool = False) -> None:
        """Find the mappings in all rows of a trace, with whether each row is selected (bool [n]).

        `open_end` allows a map without its unmap. The rows need the columns `part` and `mapping`; without
        them, there are no such mappings, and nothing is read.
        """
        self._numbers = NumberSet()
        table = MappingTable("selected")
        for columns, selected in marked:
            if "part" not in columns or "mapping" not in columns:
                break
            part, mapping = columns["part"], columns["mapping"]
            maps, unmaps = part == PART_MAP, np.flatnonzero(part == PART_UNMAP)
            table.add(mapping=mapping[maps], selected=selected[maps])
            at = table.find(mapping[unmaps])
            unmaps, at = unmaps[at >= 0], at[at >= 0]
            map_selected, unmap_selected = table["selected"][at] > 0, selected[unmaps]
            half = unmap_selected & ~map_selected if open_end else unmap_selected != map_selected
            self._numbers.add(mapping[unmaps[half]])
            table.remove(at)

    def drop(self, rows: Iterator[Columns], folding: Folding | None = None) -> Iterator[Columns]:
        """Yield the selected `rows` without these mappings; `folding` keeps the time of the dropped rows."""
        if not self._numbers:
            yield from rows
            return
        for columns in rows:
            keep = ~self._numbers.contains(columns["mapping"])
            kept = folding.drop(columns, keep) if folding else select_rows(columns, keep)
            if len(kept["task"]):
                yield kept

    def describe(self, outcome: Outcome, rows: Iterator[Columns]) -> Iterator[Columns]:
        """Return the selected `rows` without these mappings, and describe the change in `outcome`."""
        if not self._numbers:
            return rows
        outcome.columns = mark_derived(outcome.columns, FOLDED_COLUMNS)
        return self._fold(rows, outcome.notes)

    def _fold(self, rows: Iterator[Columns], notes: list[str]) -> Iterator[Columns]:
        folding = Folding()
        yield from self.drop(rows, folding)
        notes.append(
            f"{folding.dropped:,} rows were dropped because the other row of their mapping is not in the "
            "selection; their time became think and wait time, except for "
            f"{folding.lost_ns() / 1e9:.6f} s of CPU time after their task's last remaining operation"
        )
