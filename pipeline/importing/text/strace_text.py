"""Convert lines of strace into neutral events: a head, then a call, half a call, a signal or an exit.

    tid seconds name(arguments) = result <duration>
    tid seconds name(arguments <unfinished ...>
    tid seconds <... name resumed>arguments) = result <duration>
    tid seconds +++ exited with 0 +++
    tid seconds --- SIGCHLD {...} ---

The number is missing if a single process is traced, and is `[pid 123]` on a terminal. The options -r, -n and
-i add text after the time. With -y, a descriptor is followed by its file: `3</usr/lib/libc.so>`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from pipeline.importing import events as ev
from pipeline.importing.text.kernel_events import LARGEST_RETURN
from pipeline.importing.text.lines import blank_events, match_first, nanoseconds
from pipeline.importing.text.strace_calls import CALLS, UNREAD, Call, clone_flags, derive, file_hashes
from pipeline.importing.text.tally import Tally
from pipeline.importing.text.templates import Pattern, pattern, read_numbers

_HEAD = (
    r"^(?:\[pid +)?(?:(?P<task>[0-9]{1,10})(?:<[^>]*>)?\]? +)?"
    r"(?P<seconds>[0-9]{9,10})\.(?P<fraction>[0-9]+) (?:\(\+ *[0-9.]+\) )?(?:\[[ 0-9a-f?]+\] )*"
    r"(?P<what>[a-z_0-9]+\(|<\.\.\. [a-z_0-9]+ resumed>|\+\+\+ |--- [^ ]+)"
)
# The end of a call: its result, the file of a returned descriptor, the error, and the duration.
_END = Pattern(
    r"\) += (?P<result>-?[0-9]{1,18}|0x[0-9a-f]{1,16}|\?)"
    r"(?:<(?P<file>(?:[^<>]|<[^>]*>|->)*)>)?(?:\(deleted\))?"
    r"(?: [A-Z]+[A-Z0-9_]*)?(?: \(.*\))? <(?P<seconds>[0-9]{1,6})\.(?P<fraction>[0-9]+)>$",
    {"result": "n", "file": "text", "seconds": "text", "fraction": "text"},
)
# A call that does not return, like exit, has no duration.
_NO_END = Pattern(r"\) += (?P<result>\?)(?: <unavailable>)?(?: E[A-Z]+ .*)? *$", {"result": "n"})
_UNFINISHED = " <unfinished ...>"
_ATTACHED = r"strace: Process ([0-9]{1,10}) attached$"
# A new task, as returned by the call that creates it.
_MADE = r"(?:clone3?|v?fork)(?:\(| resumed).*\) += ([0-9]+)(?: <|$)"
_AUXILIARY = {
    "": r"^\s*$|^ <unfinished \.\.\.>$",
    "call chains": r"^ > ",
    "messages of strace": r"^(?:\[pid +[0-9]+\] )?(?:strace: |\[ Process PID=|Process [0-9]+ )",
    "call summaries of strace": r"^(?:% time|------ |[ 0-9]{3}\.[0-9]{2} +[0-9.]+ +[0-9]+ )",
}
_TASK = r"^(?:\[pid +[0-9]+\] +|[0-9]+(?:<[^>]*>)? +)?"
_MISTAKES = {
    r"^% time|^------ |^ *[0-9]+\.[0-9]{2} +[0-9.]+ +[0-9]+ ": (
        "strace -c counts calls without their times; run strace -f -ttt -T -y -o FILE COMMAND"
    ),
    _TASK + r"[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)? [a-z_0-9]+\(": (
        "strace -t and -tt print the time of day; record with -ttt: strace -f -ttt -T -y -o FILE COMMAND"
    ),
    _TASK + r"[0-9]{9,10} [a-z_0-9]+\(": (
        "the times are truncated to seconds; record with -ttt: strace -f -ttt -T -y -o FILE COMMAND"
    ),
    _TASK + r"[0-9]{1,8}\.[0-9]{6} [a-z_0-9]+\(": (
        "strace -r prints times since the previous call; run strace -f -ttt -T -y -o FILE COMMAND"
    ),
    _TASK + r"[0-9]{9,10}\.[0-9]+ .*\) += [^<]+$": (
        "strace without -T does not print the duration of calls; run strace -f -ttt -T -y -o FILE COMMAND"
    ),
    _TASK + r"[a-z_0-9]+\(.*\) += ": (
        "strace without -ttt does not print the times of calls; run strace -f -ttt -T -y -o FILE COMMAND"
    ),
}
# Task number of all lines without one, which belong to the process that strace started.
FIRST_TASK = 1

_NOT_A_HEAD = "the line does not start with task, time and call"
_NOT_A_CALL = "not a call with its result and duration"


@dataclass
class StraceText:
    """Reader of the output of strace; it keeps the first halves of interrupted calls, and the first task."""

    _halves: dict[int, str] = field(default_factory=dict)
    _cut: str = ""
    _has_unnumbered: bool = False
    _first: int | None = None
    _children: set[int] = field(default_factory=set)

    @property
    def mistakes(self) -> Mapping[str, str]:
        """See `TextReader`."""
        return _MISTAKES

    def has_events(self, lines: pl.Series) -> bool:
        """Return whether one of the lines can be a call."""
        return bool(lines.str.contains(_HEAD).any())

    def read(self, lines: pl.Series, tally: Tally) -> np.ndarray:
        """Return the events of a block of lines, in order, and count all lines in `tally`."""
        made: list[tuple[int, int]] = []
        lines = self._join_cut(lines, made)
        head = lines.str.extract_groups(_HEAD).struct.unnest()
        fits = head["what"].is_not_null()
        headless = (~fits).arg_true().to_numpy()
        made += _find_numbers(lines, headless, _ATTACHED)
        kinds, unknown = match_first(lines, headless, _AUXILIARY)
        tally.auxiliary.update(kinds)
        tally.note_unknown(lines, unknown, _NOT_A_HEAD)
        head = head.filter(fits)
        rows = fits.arg_true().to_numpy()
        events = blank_events(rows, tally)
        events["time"] = nanoseconds(head["seconds"], head["fraction"])
        events["task"] = read_numbers(head["task"])
        events["file"] = 0
        if not len(rows):
            self._children.update(child for _, child in made)
            return events
        tally.note_times(rows, np.zeros(len(rows), bool))

        what, text = head["what"], lines.gather(rows)
        signals = what.str.starts_with("---")
        for name, count in what.filter(signals).value_counts().iter_rows():
            tally.ignored[name] += count
        ended = what.str.starts_with("+++").to_numpy()
        events["code"][ended] = ev.EXITED
        second = what.str.starts_with("<").to_numpy()
        calls = ~(signals.to_numpy() | ended)
        first = calls & ~second & text.str.ends_with(_UNFINISHED).to_numpy()
        events["code"][calls] = np.where(second, ev.EXIT, np.where(first, ev.ENTER, ev.WHOLE))[calls]
        if self._first is None:
            made += _find_numbers(lines, rows[what.str.contains("clone|fork").to_numpy()], _MADE)
        self._number_first(events["task"], rows, sorted(made))
        text = self._join_halves(text, events["task"], first, second)
        names = what.str.extract(r"([a-z_0-9]+)(?:\(| resumed)")
        codes = names.replace_strict(ev.CALLS, default=ev.OTHER_CALL, return_dtype=pl.Int64)
        events["call"][calls] = codes.filter(pl.Series(calls)).to_numpy()
        # A new task can have events before its creator's call has returned.
        events["buffer"][first] = clone_flags(text.filter(pl.Series(first)))
        whole = calls & ~first
        good = _read_calls(text, names, events, whole, tally)
        tally.note_unknown(lines, rows[whole & ~good], _NOT_A_CALL)
        good |= ended | first
        tally.used += int(good.sum())
        return events[good]

    def _join_cut(self, lines: pl.Series, made: list[tuple[int, int]]) -> pl.Series:
        """Split a call that is interrupted by a message of strace into two halves, as on two lines.

        The tasks that these messages name are added to `made`, with their lines.
        """
        cut = lines.str.contains("." + _ATTACHED)
        if not cut.any() and not self._cut:
            return lines
        text = lines.to_list()
        for i, line in enumerate(text):
            if self._cut and not re.match(_HEAD, line) and not line.startswith(_UNFINISHED):
                text[i] = self._cut + line
            self._cut = ""
            message = re.search(_ATTACHED, line)
            head = re.match(_HEAD, line)
            if message and head and head["what"].endswith("("):
                made.append((i, int(message[1])))
                text[i] = line[: message.start()] + _UNFINISHED
                self._cut = f"{line[: head.start('what')]}<... {head['what'][:-1]} resumed>"
        return pl.Series(text, dtype=pl.String)

    def _join_halves(
        self, text: pl.Series, tasks: np.ndarray, first: np.ndarray, second: np.ndarray
    ) -> pl.Series:
        """Return the text with second halves of calls completed by their first halves, if known."""
        at = np.flatnonzero(first | second)
        if not len(at):
            return text
        whole: list[str] = []
        for task, half, is_first in zip(
            tasks[at].tolist(), text.gather(at).to_list(), first[at].tolist(), strict=True
        ):
            if is_first:
                self._halves[task] = half.removesuffix(_UNFINISHED)
                whole.append(half)
            else:
                whole.append(self._halves.pop(task, "") + half.partition(" resumed>")[2])
        return text.scatter(at, whole)

    def _number_first(self, tasks: np.ndarray, rows: np.ndarray, made: list[tuple[int, int]]) -> None:
        """Give all lines of the process that strace started the same number, whether it is printed or not.

        strace prints it while another process exists: it is the first number of a task without a creator.
        `made` has the lines that report new tasks, with their numbers; `rows` are the lines of `tasks`.
        """
        begin = self._find_first(tasks, rows, made) if self._first is None else 0
        if self._first is not None:
            later = tasks[begin:]
            later[later == self._first] = FIRST_TASK
        tasks[tasks < 0] = FIRST_TASK

    def _find_first(self, tasks: np.ndarray, rows: np.ndarray, made: list[tuple[int, int]]) -> int:
        """Find the number of the first task; return the index in `tasks` from which it is known."""
        unnumbered = np.flatnonzero(tasks < 0)
        start = 0 if self._has_unnumbered else int(unnumbered[0]) if len(unnumbered) else len(tasks)
        self._has_unnumbered |= len(unnumbered) > 0
        numbered = start + np.flatnonzero(tasks[start:] >= 0)
        told = 0
        for i in numbered[np.sort(np.unique(tasks[numbered], return_index=True)[1])].tolist():
            while told < len(made) and made[told][0] < rows[i]:
                self._children.add(made[told][1])
                told += 1
            if int(tasks[i]) not in self._children:
                self._first = int(tasks[i])
                return i
        self._children.update(child for _, child in made)
        return len(tasks)


def _find_numbers(lines: pl.Series, rows: np.ndarray, regex: str) -> list[tuple[int, int]]:
    """Return the lines at `rows` that match the regular expression, and the number in each."""
    numbers = lines.gather(rows).str.extract(regex).cast(pl.Int64, strict=False).fill_null(-1).to_numpy()
    return list(zip(rows[numbers >= 0].tolist(), numbers[numbers >= 0].tolist(), strict=True))


def _read_calls(
    text: pl.Series, names: pl.Series, events: np.ndarray, whole: np.ndarray, tally: Tally
) -> np.ndarray:
    """Fill in the events of `whole` calls; return which are valid (bool)."""
    good = _read_ends(text, events, np.flatnonzero(whole))
    # A failed call has no effect, whatever its arguments.
    succeeded = pl.Series(good & (events["result"] >= 0))
    groups: dict[Call, list[str]] = {}
    for name, count in names.filter(pl.Series(whole)).value_counts().iter_rows():
        tally.calls += count
        if name in CALLS:
            groups.setdefault(CALLS[name], []).append(name)
        elif re.search(UNREAD, name):
            tally.note_unread(name, count, is_call=True)
    for call, members in groups.items():
        left = at = (names.is_in(members) & succeeded).arg_true().to_numpy()
        before = rf"[ \]](?:{'|'.join(members)})\("
        for form in call.forms:
            if not len(left):
                break
            fits, columns = pattern(form, before, "").read(text.gather(left))
            found = left[fits]
            fields = derive(columns, call.code)
            if "path" in fields:
                # With -y, the opened file follows the returned descriptor.
                opened = (call.code == ev.OPEN) & (events["file"][found] != 0)
                events["file"][found] = np.where(opened, events["file"][found], fields.pop("path"))
                fields["flag"] &= np.where(opened, ~ev.RELATIVE, -1)
            for name, values in fields.items():
                events[name][found] = values
            left = left[~fits]
        if len(left):
            # The second half of a call without its first half does not count as an unknown form.
            strange = text.gather(left).str.contains(before).to_numpy() & (events["result"][left] > 0)
            for name in names.gather(left[strange]):
                tally.note_unread(f"{name} of an unknown form", 1, is_call=True)
        if call.code == ev.OTHER_CALL and (mapped := int((events["file"][at] > 0).sum())):
            tally.note_unread(f"{members[0]} of a file", mapped, is_call=True)
    return good


def _read_ends(text: pl.Series, events: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Read results and durations of calls; return which lines have valid ones (bool)."""
    good = np.zeros(len(text), bool)
    for end in (_END, _NO_END):
        if not len(rows):
            break
        fits, columns = end.read(text.gather(rows))
        found, rows = rows[fits], rows[~fits]
        events["result"][found] = columns["result"]
        events["duration"][found] = (
            nanoseconds(columns["seconds"], columns["fraction"]) if "seconds" in columns else 0
        )
        if "file" in columns:
            opened = events["call"][found] == ev.OPEN
            events["file"][found[opened]] = file_hashes(columns["file"].filter(pl.Series(opened)))
        call = events["call"][found]
        copies = (call >= ev.READ) & (call <= ev.WRITE_AT)
        good[found] = ~copies | (events["result"][found] <= LARGEST_RETURN)
    return good
