"""Checks of mappings with several pages, or with a map and an unmap in two rows.

A trace that has neither needs none of these checks. The memory is in proportion to the mappings that remain,
plus one bit for each number up to the largest.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pipeline.schema.codes import PART_MAP, PART_UNMAP, PART_WHOLE
from pipeline.schema.names import PARTS
from pipeline.schema.trace import MAX_LENGTH, MAX_MAPPING, MAX_PAGE, MAX_TASKS, NULL_VALUES
from pipeline.trace.diagnosis import Problem
from pipeline.trace.flaw import Flaw
from pipeline.trace.mapping_table import MappingTable, NumberSet

_NO_MAPPING = NULL_VALUES["mapping"]
_CORRECT = "correct the program that made the trace"

# Code and description of each problem, in the order in which problems are listed.
_FLAWS = {
    "unknown_part": f"rows with a part other than {', '.join(PARTS)}",
    "pages_range": f"rows with a number of pages outside 1 to {MAX_LENGTH:,}",
    "last_page_range": f"rows whose last page (page + pages - 1) is beyond {MAX_PAGE - 1:,}",
    "mapping_range": f"rows with a mapping outside 0 to {MAX_MAPPING - 1:,}",
    "mapping_missing": "rows with part map or unmap, but without a mapping",
    "mapping_of_whole": "rows with part whole, but with a mapping",
    "part_nested": "rows with part map or unmap and a depth other than 0",
    "nested_in_unmap": "nested rows inside a row with part unmap",
    "unmap_uses": "rows with part unmap whose hold_ns or block_ns is not 0",
    "unmap_bytes": "rows with part unmap and bytes",
    "mapped_twice": "rows that map a mapping that a previous row maps",
    "unmap_without_map": "rows that unmap a mapping that no previous row maps",
    "unmapped_twice": "rows that unmap a mapping that a previous row unmaps",
    "unmap_differs": "rows that unmap a mapping with another kind, page or pages than the row that maps it",
}
# Columns with the same value in both rows of a mapping.
_SAME = ("kind", "page", "pages")


class MappingCheck:
    """Checks rows batch by batch.

    `last_page` is the largest page number of any mapping, or -1, and `largest` the largest value of `pages`
    and `mapping`. `mapped`, `unmapped` and `handed_over` count mappings with rows of their own for map and
    unmap: all, those unmapped, and those unmapped by another task.
    """

    def __init__(self) -> None:
        """Begin without rows."""
        self.last_page = -1
        self.largest = {"pages": -1, "mapping": -1}
        self.mapped = self.unmapped = self.handed_over = 0
        self._flaws = {code: Flaw(code, what, _CORRECT) for code, what in _FLAWS.items()}
        self._used = NumberSet()
        self._table = MappingTable("row", "task", *_SAME)
        # The part of each task's latest row of depth 0.
        self._part = np.zeros(0, np.int8)

    @property
    def remaining(self) -> int:
        """Number of mappings that have been mapped and not unmapped."""
        return len(self._table)

    def problems(self) -> list[Problem]:
        """Return the problems of the rows so far."""
        return [flaw.problem() for flaw in self._flaws.values() if flaw.count]

    def add(self, columns: Mapping[str, np.ndarray], first: int) -> None:
        """Check the next rows, the first of which is row `first` of the trace.

        `columns` are those of a trace without nulls (see NULL_VALUES) and with an array of length 0 for each
        optional column that the trace lacks. `bytes` can be absent.
        """
        pages, part, mapping = columns["pages"], columns["part"], columns["mapping"]
        count = len(columns["page"])
        for name in self.largest:
            self.largest[name] = max(self.largest[name], int(columns[name].max(initial=-1)))
        if len(pages):
            self._check_lengths(columns["page"], pages.astype(np.int64), first)
        elif count:
            self.last_page = max(self.last_page, int(columns["page"].max()))
        if not len(part) and not len(mapping):
            return
        part = part if len(part) else np.full(count, PART_WHOLE, np.int8)
        mapping = mapping if len(mapping) else np.full(count, _NO_MAPPING, np.int64)
        pages = pages if len(pages) else np.full(count, NULL_VALUES["pages"], np.int32)
        complete = {**columns, "pages": pages, "part": part, "mapping": mapping}
        self._check_values(complete, first)
        self._check_nesting(part, columns["task"], columns["depth"], first)
        numbered = (mapping >= 0) & (mapping < MAX_MAPPING)
        self._map(complete, np.flatnonzero((part == PART_MAP) & numbered), first)
        self._unmap(complete, np.flatnonzero((part == PART_UNMAP) & numbered), first)

    def _check_lengths(self, page: np.ndarray, pages: np.ndarray, first: int) -> None:
        fits = (pages >= 1) & (pages <= MAX_LENGTH)
        self._flaws["pages_range"].add(~fits, first)
        last = np.clip(page, -1, MAX_PAGE) + np.where(fits, pages, 1) - 1
        self._flaws["last_page_range"].add((last >= MAX_PAGE) & (page < MAX_PAGE), first)
        self.last_page = max(self.last_page, int(last.max(initial=-1)))

    def _check_values(self, columns: Mapping[str, np.ndarray], first: int) -> None:
        part, mapping = columns["part"], columns["mapping"]
        in_two = (part == PART_MAP) | (part == PART_UNMAP)
        unmaps = part == PART_UNMAP
        flawed = {
            "unknown_part": ~in_two & (part != PART_WHOLE),
            "mapping_range": (mapping < _NO_MAPPING) | (mapping >= MAX_MAPPING),
            "mapping_missing": in_two & (mapping == _NO_MAPPING),
            "mapping_of_whole": (part == PART_WHOLE) & (mapping >= 0),
            "part_nested": in_two & (columns["depth"] != 0),
            "unmap_uses": unmaps & ((columns["hold_ns"] != 0) | (columns["block_ns"] != 0)),
        }
        if "bytes" in columns:
            flawed["unmap_bytes"] = unmaps & (columns["bytes"] >= 0)
        for code, rows in flawed.items():
            self._flaws[code].add(rows, first)

    def _check_nesting(self, part: np.ndarray, task: np.ndarray, depth: np.ndarray, first: int) -> None:
        """Find nested rows whose outermost row is an unmap."""
        if not len(self._part):
            self._part = np.zeros(MAX_TASKS, np.int8)
        task, outermost = np.clip(task, 0, MAX_TASKS - 1), depth <= 0
        if not outermost.all():
            order = np.argsort(task, kind="stable")
            of_task, outer = task[order], outermost[order]
            latest = np.maximum.accumulate(np.where(outer, np.arange(len(order)), -1))
            here = (latest >= 0) & (of_task[latest] == of_task)
            enclosing = np.where(here, part[order][latest], self._part[of_task])
            self._flaws["nested_in_unmap"].add_rows(order[~outer & (enclosing == PART_UNMAP)], first)
        self._part[task[outermost]] = part[outermost]

    def _map(self, columns: Mapping[str, np.ndarray], rows: np.ndarray, first: int) -> None:
        """Add the mappings that `rows` map."""
        first_of, again = _first_of_each(columns["mapping"][rows])
        again, rows = rows[again], rows[first_of]
        used = self._used.contains(columns["mapping"][rows])
        self._flaws["mapped_twice"].add_rows(np.concatenate([again, rows[used]]), first)
        rows = rows[~used]
        self._used.add(columns["mapping"][rows])
        self.mapped += len(rows)
        self._table.add(
            row=first + rows, **{name: columns[name][rows] for name in ("mapping", "task", *_SAME)}
        )

    def _unmap(self, columns: Mapping[str, np.ndarray], rows: np.ndarray, first: int) -> None:
        """Remove the mappings that `rows` unmap."""
        numbers = columns["mapping"][rows]
        at = self._table.find(numbers)
        late = (at < 0) & self._used.contains(numbers)
        early = (at < 0) & ~late
        early[at >= 0] = self._table["row"][at[at >= 0]] > first + rows[at >= 0]
        self._flaws["unmap_without_map"].add_rows(rows[early], first)
        found = np.flatnonzero((at >= 0) & ~early)
        first_of, again = _first_of_each(numbers[found])
        self._flaws["unmapped_twice"].add_rows(np.concatenate([rows[found[again]], rows[late]]), first)
        valid, at = rows[found[first_of]], at[found[first_of]]
        differs = np.zeros(len(valid), np.bool_)
        for name in _SAME:
            differs |= self._table[name][at] != columns[name][valid]
        self._flaws["unmap_differs"].add_rows(valid[differs], first)
        self.unmapped += len(valid)
        self.handed_over += int((self._table["task"][at] != columns["task"][valid]).sum())
        self._table.remove(at)


def _first_of_each(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first position of each value, by ascending value, and the other positions."""
    order = np.argsort(values, kind="stable")
    ascending = values[order]
    repeated = np.zeros(len(order), np.bool_)
    repeated[1:] = ascending[1:] == ascending[:-1]
    return order[~repeated], order[repeated]
