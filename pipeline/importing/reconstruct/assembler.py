"""Convert events into rows of a trace, in time order and in bounded memory."""

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

# Lines of a merged recording can be out of order by this much without moving a row.
_SLACK_NS = 10_000_000
# Rows that may wait for an operation that does not end (400 MB). Beyond this, later rows are written first.
_MOST_WAITING = 1 << 22
_EVENTS_AT_ONCE = 1 << 16


class Assembler:
    """Builds operations from events; `totals` is the `state.TOTALS` record of state and counts.

    one_process: all tasks share an address space.
    page_bytes, span_bytes: size of a page, and memory that a page of page-table entries maps; powers of two.
    convert: function that converts the times of a group of events to ns in place.
    """

    def __init__(
        self, one_process: bool, page_bytes: int, span_bytes: int, convert: Callable[[np.ndarray], None]
    ) -> None:
        """Initialise the state for a recording."""
        self._convert = convert
        self._state = new_state(one_process, page_bytes, span_bytes)
        self._events = Tables(checked=False, events=records(1, EVENT))
        self.totals = self._state.totals[0]
        self._coming: list[np.ndarray] = []
        self._waiting: list[np.ndarray] = []
        self._first_ns: int | None = None

    def take(self, events: np.ndarray) -> Iterator[Rows]:
        """Process EVENT records; yield complete rows.

        The rows do not depend on how the events are divided into calls.
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
        """End the recording; yield the remaining rows."""
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
                f"the recording has {int(self.totals.task_numbers):,} tasks, but a trace can have at most "
                f"{MAX_TASKS:,}; import a part of it"
            )

    def _assemble(self, events: np.ndarray) -> Iterator[Rows]:
        self._convert(events)
        self._events.rebind("events", events)
        done, room = 0, len(events)
        while done < len(events):
            grow(self._state, len(events) - done, room)
            done, room = assemble(self._state, self._events, done, len(events))
            self._drain()
            # An event that needs more room than is available gets what it needs.
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
