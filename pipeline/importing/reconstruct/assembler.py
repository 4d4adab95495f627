"""Events in, rows of a trace out, in order of time and in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from pipeline.errors import InputError
from pipeline.importing.events import EVENT
from pipeline.importing.importer import Rows
from pipeline.importing.reconstruct.event_loop import assemble, find_watermark, finish
from pipeline.importing.reconstruct.state import grow, new_state
from pipeline.jit.tables import Tables, records
from pipeline.schema.trace import COLUMN_NAMES, MAX_TASKS

# Lines of a merged recording can be this much out of order without a row being too late.
_SLACK_NS = 10_000_000
# Rows that may wait for an operation that does not end: 400 MB. Beyond, those of a later time go first.
_MOST_WAITING = 1 << 22
_EVENTS_AT_ONCE = 1 << 16


class Assembler:
    """Makes operations of events; `totals` is the record `state.TOTALS`, state and counts so far.

    With `one_process` all tasks share an address space. Pages have `page_bytes`, and a page of page-table
    entries maps `span_bytes`, both powers of two. `convert` is called with events that come together and
    makes nanoseconds of their times.
    """

    def __init__(
        self, one_process: bool, page_bytes: int, span_bytes: int, convert: Callable[[np.ndarray], None]
    ) -> None:
        """Begin a recording."""
        self._convert = convert
        self._state = new_state(one_process, page_bytes, span_bytes)
        self._events = Tables(checked=False, events=records(1, EVENT))
        self.totals = self._state.totals[0]
        self._coming: list[np.ndarray] = []
        self._waiting: list[np.ndarray] = []
        self._first_ns: int | None = None

    def take(self, events: np.ndarray) -> Iterator[Rows]:
        """Take in records of EVENT; yield rows that are complete.

        What is made of them does not depend on how many come at once.
        """
        self._coming.append(events)
        count = sum(map(len, self._coming))
        if count >= _EVENTS_AT_ONCE:
            together = np.concatenate(self._coming)
            whole = count - count % _EVENTS_AT_ONCE
            for start in range(0, whole, _EVENTS_AT_ONCE):
                yield from self._assemble(together[start : start + _EVENTS_AT_ONCE])
            self._coming = [together[whole:]]

    def finish(self) -> Iterator[Rows]:
        """End the recording; yield what rows are left."""
        if any(map(len, self._coming)):
            yield from self._assemble(np.concatenate(self._coming))
        done = 0
        while done < self.totals.n_tasks:
            grow(self._state, 1, 1 << 12)
            done = finish(self._state, done)
            self._drain()
        yield from self._ready(True)
        if self._first_ns is None:
            return
        if self.totals.task_numbers > MAX_TASKS:
            raise InputError(
                f"{int(self.totals.task_numbers):,} tasks were recorded, and a trace can have {MAX_TASKS:,}; "
                "import a part"
            )

    def _assemble(self, events: np.ndarray) -> Iterator[Rows]:
        self._convert(events)
        self._events.rebind("events", events)
        done, room = 0, len(events)
        while done < len(events):
            grow(self._state, len(events) - done, room)
            done, room = assemble(self._state, self._events, done, len(events))
            self._drain()
            # An event that needs more room than there is gets it, and little more.
            room = max(room, 1 << 12)
        yield from self._ready(False)

    def _drain(self) -> None:
        count = int(self.totals.n_rows)
        if count:
            self._waiting.append(np.array(self._state.rows[:count]))
            self.totals.n_rows = 0

    def _ready(self, everything: bool) -> Iterator[Rows]:
        earliest = find_watermark(self._state)
        self._drain()
        if not self._waiting:
            return
        rows = np.concatenate(self._waiting)
        rows = rows[np.lexsort((rows["seq"], rows["time_ns"]))]
        times = rows["time_ns"]
        limit = int(earliest) - _SLACK_NS
        if len(rows) > _MOST_WAITING:
            limit = max(limit, int(times[len(rows) // 2]))
        count = len(rows) if everything else int(np.searchsorted(times, limit))
        self._waiting = [rows[count:]] if count < len(rows) else []
        if not count:
            return
        self.totals.written_up_to = times[count - 1]
        if self._first_ns is None:
            self._first_ns = int(times[0])
        columns: Rows = {name: rows[name][:count] for name in COLUMN_NAMES}
        columns["time_ns"] = times[:count] - self._first_ns
        yield columns
