"""Events in, rows of a trace out, in order of time and in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pipeline.errors import InputError
from pipeline.importing.reconstruct import state as st
from pipeline.importing.reconstruct.event_loop import assemble, finish, watermark
from pipeline.importing.reconstruct.hold_lengths import shipped_holds
from pipeline.schema.trace import MAX_TASKS

Rows = dict[str, np.ndarray | None]

# Lines of a merged recording can be this much out of order without a row being too late.
_SLACK_NS = 10_000_000
# Rows that may wait for an operation that does not end: 400 MB. Beyond, those of a later time go first.
_MOST_WAITING = 1 << 22
_EVENTS_AT_ONCE = 1 << 16


class Assembler:
    """Makes operations of events; `totals` is indexed by the names in `assembly.state`.

    With `one_process` all tasks share an address space.
    """

    def __init__(self, one_process: bool = False) -> None:
        """Begin a recording."""
        self._state = st.new_state(shipped_holds(), one_process)
        self._waiting: list[np.ndarray] = []
        self._first_ns: int | None = None

    @property
    def totals(self) -> np.ndarray:
        """State and counts so far."""
        return self._state.totals

    def take(self, events: np.ndarray) -> Iterator[Rows]:
        """Take in the next events, an array as `text.events` describes; yield rows that are complete."""
        for start in range(0, len(events), _EVENTS_AT_ONCE):
            some = events[start : start + _EVENTS_AT_ONCE]
            done, room = 0, len(some)
            while done < len(some):
                self._state = st.grown(self._state, len(some) - done, room)
                done, room = assemble(self._state, some, done)
                self._drain()
                # An event that needs more room than there is gets it, and little more.
                room = max(room, 1 << 12)
            yield from self._ready(False)

    def finish(self) -> Iterator[Rows]:
        """End the recording; yield what rows are left."""
        done = 0
        while done < self.totals[st.N_TASKS]:
            self._state = st.grown(self._state, 1, 1 << 12)
            done = finish(self._state, done)
            self._drain()
        yield from self._ready(True)
        if self._first_ns is None:
            return
        if self.totals[st.TASK_NUMBERS] > MAX_TASKS:
            raise InputError(
                f"{int(self.totals[st.TASK_NUMBERS]):,} tasks were recorded, and a trace can have "
                f"{MAX_TASKS:,}; import a part"
            )

    def _drain(self) -> None:
        count = int(self.totals[st.N_ROWS])
        if count:
            self._waiting.append(self._state.rows[:count].copy())
            self.totals[st.N_ROWS] = 0

    def _ready(self, everything: bool) -> Iterator[Rows]:
        earliest = watermark(self._state)
        self._drain()
        if not self._waiting:
            return
        rows = np.concatenate(self._waiting)
        rows = rows[np.lexsort((rows[:, st.R_SEQ], rows[:, st.R_TIME]))]
        limit = int(earliest) - _SLACK_NS
        if len(rows) > _MOST_WAITING:
            limit = max(limit, int(rows[len(rows) // 2, st.R_TIME]))
        count = len(rows) if everything else int(np.searchsorted(rows[:, st.R_TIME], limit))
        self._waiting = [rows[count:]] if count < len(rows) else []
        if not count:
            return
        self.totals[st.WRITTEN_UP_TO] = rows[count - 1, st.R_TIME]
        rows = rows[:count]
        if self._first_ns is None:
            self._first_ns = int(rows[0, st.R_TIME])
        yield _columns(rows, self._first_ns)


def _columns(rows: np.ndarray, first_ns: int) -> Rows:
    return {
        "time_ns": rows[:, st.R_TIME] - first_ns,
        "task": rows[:, st.R_TASK],
        "process": rows[:, st.R_PROCESS],
        "cpu": rows[:, st.R_CPU],
        "kind": rows[:, st.R_KIND],
        "page": rows[:, st.R_PAGE],
        "bytes": rows[:, st.R_BYTES],
        "think_ns": rows[:, st.R_THINK],
        "wait_ns": rows[:, st.R_WAIT],
        "hold_ns": rows[:, st.R_HOLD],
        "block_ns": rows[:, st.R_BLOCK],
        "depth": rows[:, st.R_DEPTH],
    }
