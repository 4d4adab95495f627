"""Compiled scanner of events as `perf script`, tracefs and `trace-cmd report` print them.

The three differ in what comes before an event's name, and a little in the fields behind it:

    comm pid/tid [cpu] seconds: system:event: fields         perf script
    comm-tid (pid) [cpu] flags time: event: fields           tracefs, trace-cmd report
    comm-tid [cpu] flags time: sys_read(fd: 3, ...)          tracefs, a system call's entry
    comm-tid [cpu] flags time: sys_read -> 0x10              tracefs, its exit

The shipped record.bt prints the first form, with whole names of probes
("tracepoint:syscalls:sys_enter_read").
"""
# ruff: noqa: PLR1714, SIM109
# mypy: ignore-errors

from __future__ import annotations

from pipeline.importing import events as ev
from pipeline.importing.hashing import find_name, hash_between, mix, name_table
from pipeline.importing.text import characters as chars
from pipeline.importing.text import tally as tl
from pipeline.importing.text.tally import Scanner, note_bad, note_ignored
from pipeline.jit.loops import compiled, compiled_inside

# What the name of an event means: its code, and 100 times the call of a system call, or 1 for a fault of the
# kernel's own.
MEANINGS = (
    {
        "page_fault_user": ev.FAULT, "page_fault_kernel": ev.FAULT + 100, "mm_filemap_get_pages": ev.PAGES,
        "ext4_da_write_begin": ev.WRITE_BEGIN, "ext4_write_begin": ev.WRITE_BEGIN,
        "ext4_da_write_end": ev.WRITE_END, "ext4_write_end": ev.WRITE_END,
        "ext4_journalled_write_end": ev.WRITE_END,
        "sched_switch": ev.SWITCH, "sched_process_fork": ev.FORK, "sched_process_exec": ev.EXEC,
        "sched_process_exit": ev.EXITED, "task_newtask": ev.NEW_TASK, "PERF_RECORD_LOST": ev.LOST,
        "PERF_RECORD_LOST_SAMPLES": ev.LOST,
    }
    | {f"sys_enter_{name}": ev.ENTER + 100 * call for name, call in ev.CALLS.items()}
    | {f"sys_exit_{name}": ev.EXIT + 100 * call for name, call in ev.CALLS.items()}
)  # fmt: skip
# tracefs prints entry and exit of a call under one name, and what follows it tells them apart.
CALL_NAMES = {f"sys_{name}": call for name, call in ev.CALLS.items()}

_LARGEST_RETURN = 0x7FFFF000


@compiled
def scan(text, tables):
    """Turn the lines of `text` into `tables.events`, which has room for one per line; return their number.

    `tables` are a Tally's; names are looked up in MEANINGS, those of calls in CALL_NAMES.
    """
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
        first = chars.skip_spaces(text, start, end)
        if first == end:
            counts.comments += 1
            continue
        tables.events[found] = tables.blank[0]
        row = tables.events[found]
        row.line = line
        lost = _lost(text, first, end)
        if lost != -2:
            if lost == -3:
                counts.comments += 1
                continue
            counts.used += 1
            row.code, row.count = ev.LOST, lost
            found += 1
            continue
        j, ticks = _head(text, start, end, row)
        if j < 0:
            if _is_chain(text, start, first, end):
                counts.chains += 1
            else:
                note_bad(tables, line, tl.BAD_HEAD)
            continue
        counts.ticks |= 2 if ticks else 1

        j = chars.skip_spaces(text, j, end)
        name = j
        k = j
        while k < end:
            c = text[k]
            if c == 58 and k + 1 < end and text[k + 1] > 32 and k > name:
                name = k + 1
            elif c == 58 or c == 40 or c <= 32:
                break
            k += 1
        if k == name or k - name > 200:
            note_bad(tables, line, tl.BAD_NAME)
            continue
        key = hash_between(text, name, k)
        if k < end and text[k] == 58:
            meaning = find_name(tables.names, key)
            k += 1
        elif chars.starts_with(text, k, end, b"("):
            meaning = find_name(tables.calls, key)
            meaning = meaning * 100 + ev.ENTER if meaning >= 0 else -1
        elif chars.starts_with(text, k, end, b" -> "):
            meaning = find_name(tables.calls, key)
            meaning = meaning * 100 + ev.EXIT if meaning >= 0 else -1
            k += 3
        elif chars.starts_with(text, name, end, b"PERF_RECORD_"):
            meaning = find_name(tables.names, key)
        else:
            note_bad(tables, line, tl.BAD_NAME)
            continue
        if meaning < 0:
            note_ignored(tables, key, name, k)
            continue
        row.code = meaning % 100
        if not _fields(text, k, end, meaning % 100, meaning // 100, row):
            note_bad(tables, line, tl.BAD_FIELD)
            continue
        counts.used += 1
        found += 1
    return found


@compiled_inside
def _lost(text, i, end):
    """Events that a line without a task says were lost, -1 unknown; -2: an event's line, -3: says nothing."""
    if text[i] == 35:
        j = chars.find_after(text, i, end, b"entries-in-buffer/entries-written: ")
        if j < 0:
            return -3
        kept, k = chars.read_decimal(text, j, end)
        written, _ = chars.read_decimal(text, k + 1, end)
        return max(written - kept, 0)
    if chars.starts_with(text, i, end, b"CPU:"):
        # "CPU:2 [LOST 5 EVENTS]" of tracefs, "CPU:2 [5 EVENTS DROPPED]" of trace-cmd, which may not know it.
        j = chars.find_after(text, i, end, b"[")
        if j > 0 and chars.find_after(text, j, end, b"EVENTS") > 0:
            if chars.starts_with(text, j, end, b"LOST "):
                j += 5
            count, k = chars.read_decimal(text, j, end)
            return count if k > j else -1
    if chars.starts_with(text, i, end, b"Lost "):
        # As bpftrace says it.
        count, k = chars.read_decimal(text, i + 5, end)
        return count if k > i + 5 and chars.starts_with(text, k, end, b" events") else -2
    if (
        chars.starts_with(text, i, end, b"Attaching ")
        or chars.starts_with(text, i, end, b"cpus=")
        or chars.starts_with(text, i, end, b"version = ")
    ):
        return -3
    return -2


@compiled_inside
def _head(text, start, end, row):
    """Read task, process, CPU and time into `row`; position behind the colon (-1: none), and if in ticks."""
    i = start
    while i < end:
        if text[i] != 91:
            i += 1
            continue
        cpu, j = chars.read_decimal(text, i + 1, end)
        if j == i + 1 or j >= end or text[j] != 93 or cpu < 0 or cpu > 32767:
            i += 1
            continue
        left = _tasks(text, start, i, row)
        if left < 0:
            i += 1
            continue
        first = chars.skip_spaces(text, start, left)
        row.name = hash_between(text, first, left)
        row.cpu = cpu
        j = chars.skip_spaces(text, j + 1, end)
        time, k, fraction = chars.read_seconds(text, j, end)
        if k == j or k >= end or text[k] != 58:
            # Flags of the tracer come first.
            while j < end and text[j] > 32:
                j += 1
            j = chars.skip_spaces(text, j, end)
            time, k, fraction = chars.read_seconds(text, j, end)
            if k == j or k >= end or text[k] != 58:
                return -1, False
        row.time = time
        return k + 1, not fraction
    return -1, False


@compiled_inside
def _tasks(text, start, i, row):
    """Read the task, and the process if it is there, that end before `i`; where the command's name ends."""
    i = _back_over_spaces(text, start, i)
    process = -1
    if i > start and text[i - 1] == 41:
        closed = i - 1
        while i > start and text[i - 1] != 40:
            i -= 1
        if i == start:
            return -1
        inside = chars.skip_spaces(text, i, closed)
        number, k = chars.read_decimal(text, inside, closed)
        process = number if k > inside and number >= 0 else -1
        i = _back_over_spaces(text, start, i - 1)
    right = i
    while i > start and 48 <= text[i - 1] <= 57:
        i -= 1
    if i == right or i == start or right - i > 10:
        return -1
    row.task, _ = chars.read_decimal(text, i, right)
    separator = text[i - 1]
    if separator == 47:
        right = i - 1
        i = right
        while i > start and 48 <= text[i - 1] <= 57:
            i -= 1
        if i == right or right - i > 10:
            return -1
        process, _ = chars.read_decimal(text, i, right)
        i = _back_over_spaces(text, start, i)
    elif separator == 45:
        i -= 1
    elif separator == 32 or separator == 9:
        i = _back_over_spaces(text, start, i)
    else:
        return -1
    row.process = process
    return i


@compiled_inside
def _back_over_spaces(text, start, i):
    while i > start and (text[i - 1] == 32 or text[i - 1] == 9):
        i -= 1
    return i


@compiled_inside
def _is_chain(text, start, first, end):
    """Whether the line is a frame of the call chain that perf prints under an event."""
    if first == start:
        return False
    _, j = chars.read_hexadecimal(text, first, end)
    return j >= first + 6 and j < end and text[j] == 32


@compiled_inside
def _hex_field(text, i, end, key, absent):
    """Value of the hexadecimal field `key`, `absent` if it is not there; and whether it is well formed."""
    j = chars.find_after(text, i, end, key)
    if j < 0:
        return absent, True
    value, k = chars.read_hexadecimal(text, j, end)
    return value, k > j


@compiled_inside
def _decimal_field(text, i, end, key):
    """Value of the decimal field `key`, and whether it is there."""
    j = chars.find_after(text, i, end, key)
    if j < 0:
        return 0, False
    value, k = chars.read_decimal(text, j, end)
    return value, k > j


@compiled_inside
def _file(text, i, end, hexadecimal_inode):
    """Hash of device and inode, 0 if they are not there. The inode is hexadecimal in filemap events alone."""
    j = chars.find_after(text, i, end, b"dev")
    if j < 0:
        return 0
    major, k = chars.read_decimal(text, j + 1, end)
    if k == j + 1 or k >= end:
        return 0
    minor, m = chars.read_decimal(text, k + 1, end)
    j = chars.find_after(text, m, end, b"ino")
    if m == k + 1 or j < 0:
        return 0
    inode, k = (
        chars.read_hexadecimal(text, j + 1, end)
        if hexadecimal_inode
        else chars.read_decimal(text, j + 1, end)
    )
    if k == j + 1:
        return 0
    return mix((major << 20) | minor, inode)


@compiled_inside
def _fields(text, i, end, code, call, row):
    """Read an event's fields from `i` into `row`; whether they are all there and make sense."""
    if code == ev.FAULT:
        row.flag = call
        j = chars.find_after(text, i, end, b"address=")
        if j < 0:
            return False
        row.address, k = chars.read_hexadecimal(text, j, end)
        return k > j
    if code == ev.PAGES:
        row.file = _file(text, i, end, True)
        j = chars.find_after(text, i, end, b"ofs=")
        if j < 0 or row.file == 0:
            return False
        row.position, k = chars.read_decimal(text, j, end)
        if k == j or k >= end:
            return False
        row.last, j = chars.read_decimal(text, k + 1, end)
        return j > k + 1 and 0 <= row.position <= row.last
    if code == ev.WRITE_BEGIN or code == ev.WRITE_END:
        row.file = _file(text, i, end, False)
        row.position, good = _decimal_field(text, i, end, b"pos ")
        row.count, copied = _decimal_field(text, i, end, b"copied ")
        if not copied:
            row.count, copied = _decimal_field(text, i, end, b"len ")
        sensible = row.file != 0 and row.position >= 0 and 0 <= row.count <= _LARGEST_RETURN
        return good and copied and sensible
    if code == ev.ENTER:
        row.call = call
        row.fd, good = _hex_field(text, i, end, b"fildes: " if call == ev.DUPLICATE else b"fd: ", -1)
        if not good:
            return False
        if ev.copies_file(call):
            row.count, counted = _hex_field(text, i, end, b"count: ", -1)
            row.position, placed = _hex_field(text, i, end, b"pos: ", -1)
            row.buffer, buffered = _hex_field(text, i, end, b"buf: ", 0)
            return row.fd >= 0 and counted and placed and buffered
        if call == ev.DUPLICATE_TO:
            row.count, good = _hex_field(text, i, end, b"newfd: ", -1)
        return good and (call != ev.CLOSE or row.fd >= 0)
    if code == ev.EXIT:
        row.call = call
        j = chars.skip_spaces(text, i, end)
        row.result, k = chars.read_hexadecimal(text, j, end)
        # A 32-bit kernel prints its errors in 32 bits.
        if 0xFFFFF000 < row.result <= 0xFFFFFFFF:
            row.result -= 1 << 32
        if k == j:
            return False
        return row.result <= _LARGEST_RETURN or not ev.copies_file(call)
    if code == ev.SWITCH:
        return _switch(text, i, end, row)
    if code == ev.FORK:
        row.coming, good = _decimal_field(text, i, end, b"child_pid=")
        row.flag = 0
        return good
    if code == ev.NEW_TASK:
        row.coming, good = _decimal_field(text, i, end, b"pid=")
        flags, flagged = _hex_field(text, i, end, b"clone_flags=", 0)
        row.code = ev.FORK
        row.flag = 1 if flags & 0x10000 else 0
        return good and flagged
    if code == ev.LOST:
        row.count, good = _decimal_field(text, i, end, b"lost ")
        return good
    return code == ev.EXEC or code == ev.EXITED


@compiled_inside
def _switch(text, i, end, row):
    arrow = chars.find_after(text, i, end, b"==> ")
    if arrow < 0:
        return False
    row.leaving, named = _decimal_field(text, i, arrow, b" prev_pid=")
    if named:
        row.coming, good = _decimal_field(text, arrow, end, b" next_pid=")
        j = chars.find_after(text, i, arrow, b" prev_state=")
        if j < 0:
            return False
        row.flag = 0 if text[j] == 82 else 1
        return good
    # trace-cmd's own form: "comm:pid [prio] state ==> comm:pid [prio]".
    row.leaving = _pid_before_priority(text, i, arrow)
    row.coming = _pid_before_priority(text, arrow, end)
    j = _back_over_spaces(text, i, arrow - 4)
    while j > i and text[j - 1] > 32:
        j -= 1
    row.flag = 0 if text[j] == 82 else 1
    return row.leaving >= 0 and row.coming >= 0


@compiled_inside
def _pid_before_priority(text, i, end):
    """Task in "comm:pid [prio]", of which the command's name may hold anything; -1 if it is not there."""
    j = end - 1
    while j > i and text[j] != 91:
        j -= 1
    j = _back_over_spaces(text, i, j)
    right = j
    while j > i and 48 <= text[j - 1] <= 57:
        j -= 1
    if j == right or right - j > 10 or text[j - 1] != 58:
        return -1
    task, _ = chars.read_decimal(text, j, right)
    return task


SCANNER = Scanner(scan, name_table(MEANINGS), name_table(CALL_NAMES))
