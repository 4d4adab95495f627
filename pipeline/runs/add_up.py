"""Loops that sum up the rows of a log, in plain Python; `runs.sums` compiles them."""

from __future__ import annotations

from typing import Any

from pipeline.schema.codes import HIT, MISS

# Holds and waits below this many ns have a counter per nanosecond; longer ones are hashed.
SHORT_NS = 1 << 14
# The histograms. A value of a histogram has `key = value * 4 + histogram`.
MAP_HOLDS, UNMAP_HOLDS, MAP_WAITS, UNMAP_WAITS = range(4)
# Marks an empty place of a hash table.
NO_KEY = -1
# A key is less than 2**48, so its product with this fits in 64 bits.
_SPREAD = 0x6A6B

# The gap before an operation begins at the previous one of the same page, or at the trace's beginning.
AGAIN, FIRST = range(2)


def add_operations(
    rows: Any, count: int, kinds: int, tasks: Any, short: Any, long: Any, blocks: Any, ends: Any
) -> int:
    """Add `count` operations to the sums.

    `tasks` has a record for each task and kind. `blocks` has a record for each block of the trace, which ends
    at operation `ends`. Short holds and waits are counted in `short`; the keys of others are written to
    `long`. Returns the number of these keys.
    """
    found = 0
    block = 0
    for i in range(count):
        r = rows[i]
        map_ns = r.mapped_ns - r.asked_ns
        map_hold_ns, unmap_hold_ns = r.map_hold_ns, r.unmap_hold_ns
        map_wait_ns, unmap_wait_ns = r.map_wait_ns, r.unmap_wait_ns
        s = tasks[r.task * kinds + r.kind]
        s.operations += 1
        s.map_ns += map_ns
        s.map_max_ns = max(s.map_max_ns, map_ns)
        # A mapping that no row unmapped has no such times.
        if r.done_ns >= 0:
            s.mapped_ns += r.done_ns - r.mapped_ns
        s.lock_wait_ns += map_wait_ns + unmap_wait_ns
        s.hold_ns += map_hold_ns + unmap_hold_ns
        if r.served == HIT:
            s.hits += 1
        elif r.served == MISS:
            s.misses += 1
            s.misses_locked += map_hold_ns > 0
        if map_hold_ns > 0 and r.probed > 0:
            s.probed_locked += r.probed
        if r.asleep_ns | r.pin_wait_ns | r.scanned | r.sleeps != 0:
            s.asleep_ns += r.asleep_ns
            s.pin_wait_ns += r.pin_wait_ns
            s.scanned += r.scanned
            s.sleeps += r.sleeps
            s.slept += r.sleeps > 0
        for histogram in range(4):
            value = (map_hold_ns, unmap_hold_ns, map_wait_ns, unmap_wait_ns)[histogram]
            if value >= SHORT_NS:
                long[found] = value * 4 + histogram
                found += 1
            elif value > 0:
                short[histogram * SHORT_NS + value] += 1
        op = r.op
        while op >= ends[block]:
            block += 1
        while block > 0 and op < ends[block - 1]:
            block -= 1
        b = blocks[block]
        b.operations += 1
        if r.done_ns >= 0:
            b.lost_ns += map_ns + r.done_ns - r.unmap_asked_ns
            # In two parts, so no sum overflows 64 bits.
            b.done_low_ns += r.done_ns & 0x3FFFFFFF
            b.done_high += r.done_ns >> 30
    return found


def count_keys(keys: Any, counts: Any, count: int, table: Any, table_counts: Any, places: int) -> int:
    """Add the counts of keys to a hash table with room for them. The number of `places` is a power of two.

    Returns the number of new keys.
    """
    last = places - 1
    new = 0
    for i in range(count):
        place = ((keys[i] * _SPREAD) >> 8) & last
        while table[place] != keys[i] and table[place] != NO_KEY:
            place = (place + 1) & last
        if table[place] == NO_KEY:
            table[place] = keys[i]
            new += 1
        table_counts[place] += counts[i]
    return new


def add_gaps(pages: Any, count: int, first_op: int, latest: Any, gaps: Any) -> None:
    """Add the gaps before operations of a trace; `pages` are those of operations `first_op` onwards.

    `gaps` has 64 records, by power of two, for each kind of gap. `latest` has 1 + the latest operation of
    each page, 0 before its first.
    """
    for i in range(count):
        op = first_op + i
        before = latest[pages[i]]
        latest[pages[i]] = op + 1
        gap = op + 1 - before
        octave = 0
        rest = gap
        for shift in (32, 16, 8, 4, 2, 1):
            if rest >> shift > 0:
                rest >>= shift
                octave += shift
        g = gaps[(FIRST if before == 0 else AGAIN) * 64 + octave]
        g.n += 1
        g.operations += gap
