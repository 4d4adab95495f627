"""Parsing of a step's values, written as `name=value,key=value`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fractions import Fraction

from pipeline.errors import UsageError, unknown_name
from pipeline.io.numbers import format_whole_duration
from pipeline.schema.trace import MAX_TASKS, MAX_TIME_NS

_UNITS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ns|us|ms|s)")
_LARGEST_FACTOR = 10**6


def duration_text(ns: int) -> str:
    """Return a duration in the syntax of a step: "25us"."""
    return format_whole_duration(ns).replace(" ", "")


class Parameters:
    """The value and keys of one step, with a method for each type of value.

    Every method raises UsageError, which names the step and the key, for a value of the wrong type.
    """

    def __init__(self, step: str, value: str, keys: Mapping[str, str], known: Iterable[str]) -> None:
        """Reject keys that the step does not have."""
        for key in keys:
            if key not in known:
                raise unknown_name(f"key of step {step}", key, known)
        self._step = step
        self._values = {step: value, **keys}

    def text(self, key: str, default: str | None = None) -> str:
        """Return the text of the value."""
        found = self._values.get(key, default)
        if not found:
            raise self.wrong(key, "a value")
        return found

    def share(self, key: str, default: str | None = None) -> float:
        """Return a number from 0 to 1."""
        try:
            number = float(self.text(key, default))
        except ValueError:
            number = -1.0
        if not 0.0 <= number <= 1.0:
            raise self.wrong(key, "a number from 0 to 1")
        return number

    def whole(self, key: str, least: int, default: str | None = None) -> int:
        """Return a whole number of at least `least`."""
        text = self.text(key, default)
        if not text.isascii() or not text.isdigit() or not least <= int(text) < 1 << 63:
            raise self.wrong(key, f"a whole number from {least}")
        return int(text)

    def factor(self, key: str, default: str | None = None) -> Fraction:
        """Return a decimal number of at least 0, exactly as written."""
        text = self.text(key, default)
        try:
            number = Fraction(text)
        except (ValueError, ZeroDivisionError):
            number = Fraction(-1)
        if not 0 <= number <= _LARGEST_FACTOR or number.denominator > _LARGEST_FACTOR:
            raise self.wrong(key, f"a number from 0 to {_LARGEST_FACTOR:,} with at most six decimals")
        return number

    def duration_ns(self, key: str, default: str | None = None) -> int:
        """Return a duration, given with its unit, in ns."""
        return self._duration(key, self.text(key, default))

    def interval_ns(self, key: str) -> tuple[int, int | None]:
        """Return an interval `FROM..TO` in ns; either end can be missing."""
        begin, dots, end = self.text(key).partition("..")
        if not dots:
            raise self.wrong(key, "an interval such as 0.2s..1.5s, 20ms.. or ..3s")
        begin_ns = self._duration(key, begin) if begin else 0
        end_ns = self._duration(key, end) if end else None
        if end_ns is not None and end_ns <= begin_ns:
            raise self.wrong(key, "an interval with its end after its begin")
        return begin_ns, end_ns

    def numbers(self, key: str) -> list[int]:
        """Return the distinct numbers of a list of ranges such as `0-3+7`, sorted."""
        found: set[int] = set()
        for part in self.text(key).split("+"):
            ends = re.fullmatch(r"(\d+)(?:-(\d+))?", part)
            if not ends or int(ends[2] or ends[1]) < int(ends[1]) or int(ends[2] or ends[1]) >= MAX_TASKS:
                raise self.wrong(key, f"numbers below {MAX_TASKS:,} such as 0-3+7")
            found.update(range(int(ends[1]), int(ends[2] or ends[1]) + 1))
        return sorted(found)

    def one_of(self, key: str, known: Iterable[str], default: str) -> str:
        """Return one of the `known` words."""
        text = self.text(key, default)
        if text not in known:
            raise self.wrong(key, " or ".join(known))
        return text

    def wrong(self, key: str, wanted: str) -> UsageError:
        """Build the error for a value other than `wanted`."""
        where = "" if key == self._step else f", key {key}"
        return UsageError(f"step {self._step}{where}: expected {wanted}, found '{self._values.get(key, '')}'")

    def _duration(self, key: str, text: str) -> int:
        found = _DURATION.fullmatch(text)
        if text == "0":
            return 0
        if not found:
            raise self.wrong(key, "a duration with its unit (ns, us, ms or s) such as 20ms")
        nanoseconds = Fraction(found[1]) * _UNITS[found[2]]
        if nanoseconds > MAX_TIME_NS:
            raise self.wrong(key, f"at most {MAX_TIME_NS / 3.6e12:.1f} hours, the maximum length of a trace")
        return int(nanoseconds)
