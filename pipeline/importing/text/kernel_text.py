"""Convert lines of kernel events into neutral events: a head, which depends on the tool, and the fields."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from pipeline.importing import events as ev
from pipeline.importing.text.kernel_events import EVENTS, UNREAD, Event, derive, is_sensible
from pipeline.importing.text.lines import blank_events, hashes, match_first, nanoseconds, read_losses
from pipeline.importing.text.tally import Tally
from pipeline.importing.text.templates import pattern, read_decimals

# Groups of a head, all text. `process` and `cpu` are optional, and `fraction` is missing if times are ticks
# of a clock; `us` replaces `seconds` if times are in microseconds.
_GROUPS = ("name", "process", "task", "cpu", "seconds", "fraction", "us", "event")
# A command's name may contain anything. Names with a later word that begins with a digit are tried last,
# because trying them on each line would double the cost.
_USUAL_NAME, _ANY_NAME = r"[^ ]+(?: +[^ 0-9][^ ]*)*", r"[^ ].*?"
# Placeholders that tools print for unknown names.
_NAME_UNKNOWN = r"^(?:<\.\.\.>|:-?[0-9]+)$"
# An event's name with its mark: a colon, or the text that the tracer prints after a function's name.
EVENT_NAME = r"(?P<event>[^ (]+(?::| <-)|sys_[a-z_0-9]+(?:\(| ->)|PERF_RECORD_[A-Z_0-9]+|<stack|<user stack)"
_BEFORE_FIELDS, _AFTER_FIELDS = r"(?:[:(]|->|PERF_RECORD_[A-Za-z_0-9]+) *", r"\)? *$"
_STACKS = ("<stack", "<user stack", "kernel_stack:", "user_stack:")
STACKS = "call chains"

_NOT_A_HEAD = "the line does not start with task, CPU and time"
_NOT_AN_EVENT = "no event after the time"
_NOT_FIELDS = "a field of the event is missing or invalid"


@dataclass(frozen=True)
class KernelText:
    """The format in which a tool prints kernel events.

    heads: regular expressions with the groups _GROUPS; NAME is a placeholder for a command's name.
    auxiliary: regular expressions of lines that are not events, by kind ("" for lines that are not counted).
    losses: templates of lines that report lost events.
    mistakes: see `TextReader`.
    events: the events to read, by name.
    """

    heads: tuple[str, ...]
    auxiliary: Mapping[str, str]
    losses: tuple[str, ...] = ()
    mistakes: Mapping[str, str] = field(default_factory=dict)
    events: Mapping[str, Event] = field(default_factory=lambda: EVENTS)
    _known: dict[str, tuple[str, Event | None]] = field(default_factory=dict, repr=False)

    def has_events(self, lines: pl.Series) -> bool:
        """Return whether one of the lines can be an event."""
        return self.count_heads(lines) > 0

    def count_heads(self, lines: pl.Series) -> int:
        """Return how many of the lines can be an event, by the form of head that fits most."""
        return max(int(lines.str.contains(head.replace("NAME", _ANY_NAME)).sum()) for head in self.heads)

    def read(self, lines: pl.Series, tally: Tally) -> np.ndarray:
        """Return the events of a block of lines, in order, and count all lines in `tally`."""
        head = self._read_heads(lines)
        headless = np.ones(len(lines), bool)
        headless[head["row"].to_numpy()] = False
        events = self._read_events(lines, head, tally)
        lost = self._read_headless(lines, np.flatnonzero(headless), tally)
        tally.used += len(events) + len(lost)
        if not len(lost):
            return events
        together = np.concatenate([lost, events])
        return together[np.argsort(together["line"], kind="stable")]

    def _read_heads(self, lines: pl.Series) -> pl.DataFrame:
        """Return the groups of the lines that have a head, and their `row`."""
        found: list[pl.DataFrame] = []
        rows = pl.Series("row", np.arange(len(lines)))
        for name in (_USUAL_NAME, _ANY_NAME):
            for head in self.heads:
                text = lines.gather(rows) if found else lines
                groups = text.str.extract_groups(head.replace("NAME", name)).struct.unnest()
                groups = groups.with_columns(rows)
                fits = groups["event"].is_not_null()
                found.append(groups if fits.all() else groups.filter(fits))
                rows = rows.filter(~fits)
                if not len(rows):
                    break
            if not len(rows):
                break
        heads = pl.concat(found, how="diagonal") if len(found) > 1 else found[0]
        heads = heads.sort("row") if len(found) > 1 else heads
        missing = [pl.lit(None, pl.String).alias(name) for name in _GROUPS if name not in heads.columns]
        return heads.with_columns(missing)

    def _read_headless(self, lines: pl.Series, rows: np.ndarray, tally: Tally) -> np.ndarray:
        found, counts, rows = read_losses(lines, rows, self.losses)
        kinds, rows = match_first(lines, rows, self.auxiliary)
        tally.auxiliary.update(kinds)
        timed = np.zeros(len(rows), bool)
        for head in self.heads:
            before_event = head.replace("NAME", _ANY_NAME).replace(EVENT_NAME, "")
            timed |= lines.gather(rows).str.contains(before_event).to_numpy()
        tally.note_unknown(lines, rows[timed], _NOT_AN_EVENT)
        tally.note_unknown(lines, rows[~timed], _NOT_A_HEAD)
        events = blank_events(found, tally)
        events["code"], events["count"] = ev.LOST, counts
        return events

    def _read_events(self, lines: pl.Series, head: pl.DataFrame, tally: Tally) -> np.ndarray:
        if not len(head):
            return blank_events(np.zeros(0, np.int64), tally)
        names = head["event"].unique()
        number = head["event"].replace_strict(names, np.arange(len(names)), return_dtype=pl.Int32).to_numpy()
        counts = np.bincount(number, minlength=len(names))
        calls, flags = np.full((2, len(names)), -1)
        groups: dict[tuple[int, tuple[str, ...]], list[int]] = {}
        for i, (name, count) in enumerate(zip(names.to_list(), counts.tolist(), strict=True)):
            shown, event = self._know(name)
            if shown.startswith("sys_enter"):
                tally.calls += count
            if event is not None:
                calls[i], flags[i] = event.call, event.flag
                groups.setdefault((event.code, event.forms), []).append(i)
            elif name in _STACKS:
                tally.auxiliary[STACKS] += count
            else:
                tally.ignored[shown] += count
                if re.search(UNREAD, shown):
                    tally.note_unread(shown, count, shown.startswith("sys_enter"))
        rows = head["row"].to_numpy()
        events = _read_heads(head, tally)
        events["call"], events["flag"] = calls[number], flags[number]
        good = np.zeros(len(events), bool)
        for members in groups.values():
            event = self._know(names[members[0]])[1]
            assert event is not None
            at = np.flatnonzero(np.isin(number, members))
            _read_fields(lines, rows, events, good, at, event, tally)
        return events if good.all() else events[good]

    def _know(self, text: str) -> tuple[str, Event | None]:
        """Return an event's name for display, and the event if it is one that is read."""
        if text not in self._known:
            name, last = text.rstrip(":"), text.rstrip(":").rpartition(":")[2]
            if text.endswith("("):
                name = text[:-1].replace("sys_", "sys_enter_", 1)
                self._known[text] = name, self.events.get(name)
            elif text.endswith(" ->"):
                name = text[:-3].replace("sys_", "sys_exit_", 1)
                self._known[text] = name, self.events.get(name)
            elif text.endswith(" <-"):
                self._known[text] = "functions", None
            else:
                # "sched:sched_switch" and "cycles:u": the last part is the event's name, or a modifier.
                self._known[text] = (last if len(last) > 3 else name), self.events.get(last)
        return self._known[text]


def _read_heads(head: pl.DataFrame, tally: Tally) -> np.ndarray:
    """Return events with only the fields of their heads."""
    events = blank_events(head["row"].to_numpy(), tally)
    ticks = head["fraction"].is_null() & head["us"].is_null()
    tally.note_times(head["row"].to_numpy(), ticks.to_numpy())
    events["time"] = nanoseconds(head["seconds"], head["fraction"])
    if head["us"].null_count() < len(head):
        us = read_decimals(head["us"])
        events["time"] = np.where(us >= 0, us * 1000, events["time"])
    for name in ("process", "task", "cpu"):
        events[name] = read_decimals(head[name])
    # The idle task has number 0; perf prints -1 for an unknown task.
    events["task"] = np.maximum(events["task"], 0)
    unknown = head["name"].str.contains(_NAME_UNKNOWN).to_numpy()
    events["name"] = np.where(unknown, 0, hashes(head["name"]))
    return events


def _read_fields(
    lines: pl.Series,
    rows: np.ndarray,
    events: np.ndarray,
    good: np.ndarray,
    left: np.ndarray,
    event: Event,
    tally: Tally,
) -> None:
    """Read the fields of the events at `left`, which have the same forms, and mark the valid events."""
    events["code"][left] = event.code
    for form in event.forms:
        fits, columns = pattern(form, _BEFORE_FIELDS, _AFTER_FIELDS).read(lines.gather(rows[left]))
        found = left[fits]
        for name, values in derive(columns).items():
            events[name][found] = values
        good[found] = is_sensible(events[found])
        left = left[~good[left]]
        if not len(left):
            return
    for form in event.unread:
        fits, _ = pattern(form, _BEFORE_FIELDS, _AFTER_FIELDS).read(lines.gather(rows[left]))
        tally.note_unread("faults at a symbol", int(fits.sum()), is_call=False)
        tally.ignored["faults at a symbol"] += int(fits.sum())
        left = left[~fits]
    tally.note_unknown(lines, rows[left], _NOT_FIELDS)
