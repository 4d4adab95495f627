"""Reads and writes as `strace -f -ttt -T` prints them, with `-y` or without, and their compiled scanner.

    tid seconds name(arguments) = result <duration>
    tid seconds name(arguments <unfinished ...>
    tid seconds <... name resumed>arguments) = result <duration>
    tid seconds +++ exited with 0 +++
    tid seconds --- SIGCHLD {...} ---

With -y a descriptor is followed by its file: `3</usr/lib/libc.so.6>`.
"""
# ruff: noqa: PLR1714
# mypy: ignore-errors

from __future__ import annotations

import re

from pipeline.importing import events as ev
from pipeline.importing.hashing import find_name, hash_between, name_table
from pipeline.importing.importer import Importer
from pipeline.importing.text import characters as chars
from pipeline.importing.text import tally as tl
from pipeline.importing.text.blocks import read_head
from pipeline.importing.text.read_text import TextFormat
from pipeline.importing.text.tally import Scanner, note_bad, note_ignored
from pipeline.jit.loops import compiled, compiled_inside

# Any other call says what the task did meanwhile, though it maps nothing.
_LARGEST_RETURN = 0x7FFFF000
_LONGEST_CALL_NS = 10**15


@compiled
def scan(text, tables):
    """Turn the lines of `text` into events, as `ftrace.scan` does; names are those of `events.CALLS`."""
    counts = tables.counts[0]
    found = 0
    i = 0
    while i < len(text):
        line = counts.lines
        counts.lines += 1
        start = i
        end = chars.find_line_end(text, i)
        i = end + 1
        if end > start and text[end - 1] == 13:
            end -= 1
        j = chars.skip_spaces(text, start, end)
        if j == end:
            counts.comments += 1
            continue
        tables.events[found] = tables.blank[0]
        row = tables.events[found]
        row.line = line
        row.file = 0
        # "[pid 123] " is how it looks on a terminal; a single process without -f has no number at all.
        if chars.starts_with(text, j, end, b"[pid "):
            j = chars.skip_spaces(text, j + 5, end)
        task, k = chars.read_decimal(text, j, end)
        if k > j and k < end and text[k] == 93:
            k += 1
        if k == j or k >= end or task < 0 or task > 0x7FFFFFFF:
            note_bad(tables, line, tl.BAD_HEAD)
            continue
        if text[k] == 46:
            row.task = 1
            k = j
        else:
            row.task = task
            k = chars.skip_spaces(text, k, end)
        time, j, fraction = chars.read_seconds(text, k, end)
        if j == k or not fraction or j >= end or text[j] != 32:
            note_bad(tables, line, tl.BAD_HEAD)
            continue
        counts.ticks |= 1
        row.time = time
        j = chars.skip_spaces(text, j, end)
        if chars.starts_with(text, j, end, b"+++ "):
            counts.used += 1
            row.code = ev.EXITED
            found += 1
            continue
        if chars.starts_with(text, j, end, b"--- "):
            k = chars.find_after(text, j + 4, end, b" ")
            k = k - 1 if k > 0 else end
            note_ignored(tables, hash_between(text, j, k), j, k)
            continue
        if not _call(text, j, end, row, tables):
            note_bad(tables, line, tl.BAD_CALL)
            continue
        if row.code != ev.ENTER and not _sensible(row):
            note_bad(tables, line, tl.BAD_FIELD)
            continue
        counts.used += 1
        found += 1
    return found


@compiled_inside
def _sensible(row):
    too_much = ev.copies_file(row.call) and row.result > _LARGEST_RETURN
    return not too_much and 0 <= row.duration < _LONGEST_CALL_NS


@compiled_inside
def _call(text, i, end, row, tables):
    """Read a call, or one half of it, at `i` into `row`; whether it is one."""
    resumed = chars.starts_with(text, i, end, b"<... ")
    if resumed:
        i += 5
    k = i
    while k < end and (48 <= text[k] <= 57 or 97 <= text[k] <= 122 or 65 <= text[k] <= 90 or text[k] == 95):
        k += 1
    if k == i:
        return False
    call = find_name(tables.names, hash_between(text, i, k))
    if call < 0:
        call = ev.OTHER_CALL
    row.call = call
    if resumed:
        k = chars.find_after(text, k, end, b"resumed>")
        if k < 0:
            return False
    elif k < end and text[k] == 40:
        k += 1
    else:
        return False
    fd, position, file, thread, k, complete = _arguments(text, k, end, call, resumed)
    if not complete:
        row.code = ev.ENTER
        row.fd, row.position, row.buffer, row.file = fd, position, thread, file
        # -f cuts a call in two where another task comes between.
        return (not resumed) and chars.find_after(text, k, end, b"<unfinished ...>") > 0
    row.code = ev.EXIT if resumed else ev.WHOLE
    row.fd, row.position, row.buffer, row.file = fd, position, thread, file
    k = chars.find_after(text, k, end, b"= ")
    if k < 0:
        return False
    if chars.starts_with(text, k, end, b"?"):
        row.result = -1
        k += 1
        # A call that does not return, like exit, took no time that could be told.
        if chars.skip_spaces(text, k, end) == end or chars.starts_with(
            text, chars.skip_spaces(text, k, end), end, b"<unav"
        ):
            row.duration = 0
            return True
    else:
        row.result, j = chars.read_number(text, k, end)
        if j == k:
            return False
        k = j
        if call == ev.OPEN and k < end and text[k] == 60:
            row.file, k = _file(text, k, end)
    # The duration comes last, behind the words for an error.
    j = end - 1
    while j > k and text[j] <= 32:
        j -= 1
    if j <= k or text[j] != 62:
        return False
    while j > k and text[j] != 60:
        j -= 1
    duration, k, fraction = chars.read_seconds(text, j + 1, end)
    row.duration = duration
    return fraction


@compiled_inside
def _file(text, i, end):
    """Hash of the path in `<...>` at `i`, ev.NO_FILE if it has no pages; and the position behind it."""
    k = i + 1
    # A path may hold ">": strace prints that as an escape.
    while k < end and text[k] != 62:
        k += 1
    if k >= end:
        return 0, end
    file = _path(text, i + 1, k, end) if text[i + 1] == 47 else ev.NO_FILE
    k += 1
    # A device is followed by its number: </dev/null<char 1:3>>.
    if k < end and text[k] == 62:
        k += 1
        file = ev.NO_FILE
    return file, k


@compiled_inside
def _arguments(text, i, end, call, resumed):
    """Descriptor, position, file, thread, where the list ends, and whether it ends with a parenthesis."""
    fd = position = thread = -1
    file = 0
    argument = 0
    depth = 0
    first = True
    while i < end:
        c = text[i]
        if first and depth == 0:
            i = chars.skip_spaces(text, i, end)
            if i >= end:
                break
            c = text[i]
            value, k = chars.read_number(text, i, end)
            if k > i:
                if argument == 0 and not resumed:
                    fd = value
                    if k < end and text[k] == 60:
                        file, k = _file(text, k, end)
                # The position of pread and pwrite is the last of the numbers behind the data.
                elif (call == ev.READ_AT or call == ev.WRITE_AT) and value >= 0:
                    position = value
                i = k
                first = False
                continue
            first = False
        if c == 34:
            begin = i + 1
            i += 1
            while i < end and text[i] != 34:
                i += 2 if text[i] == 92 else 1
            # Without -y, the path that was asked for has to do.
            if call == ev.OPEN and file == 0 and i < end:
                file = _path(text, begin, i, i)
            i += 1
        elif c == 40 or c == 91 or c == 123:
            depth += 1
            i += 1
        elif c == 41 or c == 93 or c == 125:
            if depth == 0:
                return fd, position, file, thread, i + 1, True
            depth -= 1
            i += 1
        elif c == 47 and i + 1 < end and text[i + 1] == 42:
            k = chars.find_after(text, i + 2, end, b"*/")
            i = k if k > 0 else i + 2
        elif c == 60:
            if chars.starts_with(text, i, end, b"<unfinished"):
                return fd, position, file, thread, i, False
            _, i = _file(text, i, end)
        elif c == 44:
            argument += 1
            first = True
            i += 1
        elif c == 67 and call == ev.CLONE and chars.starts_with(text, i, end, b"CLONE_THREAD"):
            thread = 1
            i += 12
        else:
            i += 1
    return fd, position, file, thread, end, False


@compiled_inside
def _path(text, begin, end, limit):
    """Hash of the path from `begin` to `end`, NO_FILE if it has no pages; text is looked at up to `limit`."""
    is_file = (
        not chars.starts_with(text, begin, limit, b"/dev/")
        and not chars.starts_with(text, begin, limit, b"/proc/")
        and not chars.starts_with(text, begin, limit, b"/sys/")
    )
    return hash_between(text, begin, end) if is_file else ev.NO_FILE


_LINE = re.compile(
    rb"^(?:\[pid +)?(?:\d+\]? +)?\d{9,}\.\d{3,} +"
    rb"(?:\w+\(.*<\d+\.\d+>|<\.\.\. \w+ resumed|\w+\(.*<unfinished)",
    re.MULTILINE,
)

SCANNER = Scanner(scan, name_table(ev.CALLS), name_table({}))

IMPORTER = Importer(
    name="strace",
    summary="reads and writes as `strace -f -ttt -T -y` prints them, plain or gz/xz/zst",
    sniff=lambda path: _LINE.search(read_head(path)) is not None,
    read=TextFormat(
        scanner=SCANNER,
        what="output of strace -f -ttt -T",
        recorder="strace",
        clock="strace's time of day, cut to microseconds; the tracer's own delays are in every interval",
        calls_only=True,
        says_lost=True,
        to_record="run strace -f -ttt -T -y -o FILE COMMAND",
    ).read,
)
