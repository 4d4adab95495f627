"""Formats of numbers, durations and counts for people."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

_NS = {"s": 10**9, "ms": 10**6, "us": 10**3}
NS_OF_UNIT = _NS | {"ns": 1}
"""Length of each unit of time, in ns."""
_BYTES = {"GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10}
_THOUSANDS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}
_SHORT_NUMBER = re.compile(r"(\d+)(?:\.(\d+))?(?:e\+?(\d{1,2})|([kMG]))", re.ASCII)


def plain_number(text: str) -> str:
    """Expand a whole number such as 200k, 1.5M, 2G or 1e6; return any other text unchanged."""
    found = _SHORT_NUMBER.fullmatch(text)
    if found is None:
        return text
    whole, fraction, exponent, letter = found.groups("")
    scale = 10 ** int(exponent) if exponent else _THOUSANDS[letter]
    value, rest = divmod(int(whole + fraction) * scale, 10 ** len(fraction))
    return text if rest else str(value)


def format_number(value: float | str | None, digits: int = 4) -> str:
    """Format a number with `digits` significant digits and thousands separators; "" for None."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if not math.isfinite(value):
        return str(value)
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(value)))
    if exponent < -digits or exponent >= 15:
        return f"{value:.{digits - 1}e}"
    return _without_zeros(f"{value:,.{max(0, digits - 1 - exponent)}f}")


def format_change(factor: float, minus: str = "-") -> str:
    """Format a factor as a signed change in per cent, without the per cent sign: 0.5 is "-50.0"."""
    percent = 100 * (factor - 1)
    # Near -100 %, the remainder needs more digits: -99.95 leaves half as much as -99.9.
    distance = min(abs(percent), 100 * factor) or 1.0
    decimals = min(4, max(0 if abs(percent) >= 100 else 1, math.ceil(-math.log10(distance))))
    value = round(percent, decimals)
    sign = minus if value < 0 else "+" if value > 0 else ""
    return f"{sign}{abs(value):,.{decimals}f}"


def format_fixed(value: float | None, places: int) -> str:
    """Format a number with `places` decimals and thousands separators; a dash for None."""
    return "-" if value is None else f"{value:,.{places}f}"


def format_exact(ns: int, unit: str) -> str:
    """Format nanoseconds as a number of `unit`, with all decimals: 25500 in us is "25.5"."""
    places = len(str(_NS[unit])) - 1
    return _without_zeros(f"{ns / _NS[unit]:,.{places}f}")


def format_duration(ns: float, micro: str = "us") -> str:
    """Format a duration with three digits and a unit: 25500 is "25.5 us"; `micro` replaces "us"."""
    for unit, size in _NS.items():
        # A value that rounds up to 1000 is shown in the next unit.
        if abs(ns) >= 0.9995 * size:
            number = f"{ns / size:.3g}" if abs(ns) < 999.5 * size else f"{ns / size:,.0f}"
            return f"{number} {micro if unit == 'us' else unit}"
    return f"{ns:.3g} ns"


def format_quantity(value: float | None, unit: str, digits: int = 3) -> str:
    """Format a value with its unit, and times and sizes in the largest suitable unit; "" for None.

    67,385,644 in "us" is "67.4 s", and 4096 in "KiB" is "4 MiB"; other units are kept.
    """
    if value is None:
        return ""
    if unit in NS_OF_UNIT:
        return format_duration(value * NS_OF_UNIT[unit], micro="µs") if value else "0"
    if unit in _BYTES:
        size = value * _BYTES[unit]
        fitting = next((name for name, least in _BYTES.items() if size >= least), "bytes")
        return f"{format_number(size / _BYTES.get(fitting, 1), digits)} {fitting}" if value else "0"
    return f"{format_number(value, digits)} {unit}".rstrip()


def format_whole_duration(ns: int) -> str:
    """Format a duration in the largest unit that gives a whole number: 25000 is "25 us"."""
    unit = next((unit for unit, size in _NS.items() if ns and ns % size == 0), "ns")
    return f"{ns // _NS.get(unit, 1)} {unit}"


def format_count(count: int, noun: str, zero: str = "0") -> str:
    """Format a count with its noun: "1 flush", "2,000 flushes"."""
    if count == 1:
        return f"1 {noun}"
    return f"{f'{count:,}' if count else zero} {noun}{'es' if noun.endswith('sh') else 's'}"


def join_words(words: Iterable[str], conjunction: str = "and") -> str:
    """Join words as in a sentence: "a, b and c"."""
    *most, last = words
    return f"{', '.join(most)} {conjunction} {last}" if most else last


def _without_zeros(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text
