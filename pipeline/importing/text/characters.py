"""Compiled reading of numbers, names and fields from a block of text, given as a uint8 array.

`i` and `end` are positions in `text`; a function that finds nothing returns -1, one that reads a number
returns it and the position behind it, which is where it began if there was none.
"""
# mypy: ignore-errors

from __future__ import annotations

import numpy as np

from pipeline.jit.loops import compiled_inside

# Beyond this a decimal number is damage, and a longer one would overflow.
_MOST = 10**17


@compiled_inside
def find_line_end(text, i):
    """Position of the newline that ends the line at `i`; blocks end with one."""
    while text[i] != 10:
        i += 1
    return i


@compiled_inside
def skip_spaces(text, i, end):
    """First position from `i` that holds no space or tab."""
    while i < end and (text[i] == 32 or text[i] == 9):
        i += 1
    return i


@compiled_inside
def read_decimal(text, i, end):
    """Read a decimal number, with its sign, at `i`."""
    start = i
    negative = i < end and text[i] == 45
    if negative:
        i += 1
    first = i
    value = 0
    while i < end and 48 <= text[i] <= 57:
        if value > _MOST:
            return 0, start
        value = value * 10 + (text[i] - 48)
        i += 1
    if i == first:
        return 0, start
    return (-value if negative else value), i


@compiled_inside
def read_hexadecimal(text, i, end):
    """Read a hexadecimal number of up to 64 bits at `i`, with or without 0x, as a signed one."""
    start = i
    if i + 1 < end and text[i] == 48 and text[i + 1] == 120:
        i += 2
    first = i
    value = np.uint64(0)
    while i < end:
        c = text[i]
        if 48 <= c <= 57:
            digit = c - 48
        elif 97 <= c <= 102:
            digit = c - 87
        elif 65 <= c <= 70:
            digit = c - 55
        else:
            break
        value = (value << np.uint64(4)) | np.uint64(digit)
        i += 1
    if i == first or i - first > 16:
        return 0, start
    return np.int64(value), i


@compiled_inside
def read_number(text, i, end):
    """Read a number as C writes it: 0x is hexadecimal, anything else decimal."""
    if i + 1 < end and text[i] == 48 and text[i + 1] == 120:
        return read_hexadecimal(text, i, end)
    return read_decimal(text, i, end)


@compiled_inside
def find_after(text, i, end, key):
    """Position behind the first occurrence of `key`, a bytes object, from `i`; -1 if it is not there."""
    length = len(key)
    first = key[0]
    last = end - length
    while i <= last:
        if text[i] == first:
            k = 1
            while k < length and text[i + k] == key[k]:
                k += 1
            if k == length:
                return i + length
        i += 1
    return -1


@compiled_inside
def starts_with(text, i, end, key):
    """Whether `key`, a bytes object, is at `i`."""
    if i + len(key) > end:
        return False
    for k in range(len(key)):  # noqa: SIM110 - compiled
        if text[i + k] != key[k]:
            return False
    return True


@compiled_inside
def read_seconds(text, i, end):
    """Read a time at `i`: nanoseconds if it has a fraction, else a count of ticks; and whether it has one."""
    whole, j = read_decimal(text, i, end)
    if j == i or whole < 0:
        return 0, i, False
    if j >= end or text[j] != 46:
        return whole, j, False
    j += 1
    fraction = 0
    digits = 0
    while j < end and 48 <= text[j] <= 57:
        if digits < 9:
            fraction = fraction * 10 + (text[j] - 48)
            digits += 1
        j += 1
    if digits == 0 or whole > 4_000_000_000:
        return 0, i, False
    while digits < 9:
        fraction *= 10
        digits += 1
    return whole * 1_000_000_000 + fraction, j, True
