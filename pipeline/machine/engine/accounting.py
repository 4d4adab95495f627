"""Accounting: CPU time by category, the log and its fingerprint."""

from __future__ import annotations

from typing import Any

from pipeline.jit.marks import inline, noinline, wrap64
from pipeline.machine.engine.tables import MachineState
from pipeline.schema import codes

# Odd multipliers of the fingerprint's four lanes and of `draw`, below 2**63 to fit into an int64 of NumPy.
_LANE0 = 0x1E3779B97F4A7C15
_LANE1 = 0x3F58476D1CE4E5B9
_LANE2 = 0x14D049BB133111EB
_LANE3 = 0x2545F4914F6CDD1D

# Purposes of random draws.
DRAW_HEIR = 1
DRAW_BARGING = 2
DRAW_DEVICE = 3
DRAW_THINK = 4
DRAW_WAIT = 5


@inline
def draw(seed: int, purpose: int, row: int, turn: int) -> int:
    """Return 16 random bits that depend only on the arguments.

    The draw does not depend on time, so two allocators replayed on one trace get the same noise. The mixing
    is that of SplitMix64 (Steele, Lea, Flood 2014) on signed 64-bit integers.
    """
    return draw_turn(draw_base(seed, purpose, row), turn)


@inline
def draw_base(seed: int, purpose: int, row: int) -> int:
    """Return the common part of all turns of a draw."""
    return wrap64(seed * _LANE0 + purpose * _LANE1 + row * _LANE2)


@inline
def draw_turn(base: int, turn: int) -> int:
    """Draw the bits of one turn from the common part `base`."""
    x = wrap64(base + turn * _LANE3)
    x = wrap64((x ^ ((x >> 30) & 0x3FFFFFFFF)) * _LANE1)
    x = wrap64((x ^ ((x >> 27) & 0x1FFFFFFFFF)) * _LANE2)
    return (x >> 40) & 0xFFFF


@noinline
def _log_stretch(w: MachineState, c: int, t: int) -> None:
    """Write the activity of CPU `c` until `t`, one row per part; interrupts are counted in the last part."""
    cpu = w.cpus[c]
    begin = cpu.since_ns
    begin = _log_part(w, c, codes.C_SWITCH, begin, begin + cpu.switch_ns, 0)
    begin = _log_part(w, c, codes.C_SCAN, begin, begin + cpu.scan_ns, 0)
    begin = _log_part(w, c, codes.C_FLUSH, begin, begin + cpu.flush_ns, 0)
    _log_part(w, c, cpu.category, begin, t, cpu.stolen_ns)


@noinline
def _log_part(w: MachineState, c: int, category: int, begin_ns: int, end_ns: int, interrupted_ns: int) -> int:
    """Write one row of the table of stretches, unless it is empty; return when it ends."""
    if end_ns == begin_ns:
        return end_ns
    m = w.machine[0]
    task = w.cpus[c].task
    row = w.stretches[m.stretches_logged]
    m.stretches_logged += 1
    row.begin_ns = begin_ns
    row.end_ns = end_ns
    row.interrupted_ns = interrupted_ns
    row.op = -1
    if task >= 0 and w.tasks[task].depth >= 0:
        row.op = w.requests[task * m.levels + w.tasks[task].depth].op
    row.task = task
    row.cpu = c
    row.category = category
    return end_ns


@inline
def account(w: MachineState, c: int, t: int) -> None:
    """Close the CPU's current stretch at `t` and book its time, less the time of interrupts.

    Parts of the stretch in another category than the rest are recorded on the CPU.
    """
    cpu = w.cpus[c]
    if w.machine[0].stretches != 0:
        _log_stretch(w, c, t)
    spent = t - cpu.since_ns - cpu.stolen_ns
    base = c * codes.CATEGORIES
    parts = cpu.scan_ns + cpu.flush_ns + cpu.switch_ns
    if parts > 0:
        w.spent[base + codes.C_SCAN] += cpu.scan_ns
        w.spent[base + codes.C_FLUSH] += cpu.flush_ns
        w.spent[base + codes.C_SWITCH] += cpu.switch_ns
        spent -= parts
        cpu.scan_ns = 0
        cpu.flush_ns = 0
        cpu.switch_ns = 0
    w.spent[base + cpu.category] += spent
    cpu.since_ns = t
    cpu.stolen_ns = 0


@inline
def _mix(w: MachineState, a: int, b: int, c: int, d: int) -> None:
    m = w.machine[0]
    h0 = wrap64((m.hash0 ^ a) * _LANE0)
    h1 = wrap64((m.hash1 ^ b) * _LANE1)
    h2 = wrap64((m.hash2 ^ c) * _LANE2)
    h3 = wrap64((m.hash3 ^ d) * _LANE3)
    m.hash0 = h0 ^ (h1 >> 29)
    m.hash1 = h1 ^ (h2 >> 31)
    m.hash2 = h2 ^ (h3 >> 27)
    m.hash3 = h3 ^ (h0 >> 33)


@noinline
def log_event(
    w: MachineState, c: int, event: int, time_ns: int, duration_ns: int, task: int, op: int, slot: int,
    value: int, other: int,
) -> None:  # fmt: skip
    """Write one row of the event table; for a relock use `log_relock`."""
    log_event_here(w, c, event, time_ns, duration_ns, task, op, slot, value, other)


@inline
def log_event_here(
    w: MachineState, c: int, event: int, time_ns: int, duration_ns: int, task: int, op: int, slot: int,
    value: int, other: int,
) -> None:  # fmt: skip
    """Like `log_event`, inlined for frequent events."""
    m = w.machine[0]
    _mix(
        w,
        time_ns,
        duration_ns,
        (value << 8) ^ event ^ (c << 40),
        (op << 20) ^ task ^ (other << 44),
    )
    if m.events == 0:
        return
    row = w.events[m.events_logged]
    m.events_logged += 1
    row.time_ns = time_ns
    row.duration_ns = duration_ns
    row.op = op
    row.value = value
    row.wait_ns = -1
    row.task = task
    row.slot = slot
    row.other = other
    row.lock = -1
    row.cpu = c
    row.event = event
    row.site = -1


@noinline
def log_relock(
    w: MachineState, c: int, lock: int, site: int, got_ns: int, hold_ns: int, wait_ns: int, task: int,
    op: int, holder: int,
) -> None:  # fmt: skip
    """Write one row of the event table: `lock` was held again within one map or unmap."""
    # In the fingerprint, its wait takes the place of the other events' quantity.
    log_event(w, c, codes.E_RELOCK, got_ns, hold_ns, task, op, -1, wait_ns, holder)
    m = w.machine[0]
    if m.events == 0:
        return
    row = w.events[m.events_logged - 1]
    row.value = -1
    row.wait_ns = wait_ns
    row.lock = lock
    row.site = site


@noinline
def log_finding(w: MachineState, c: int, finding: int, t: int, task: int, op: int, slot: int) -> None:
    """Record a hazard."""
    note = w.findings[finding]
    note.count += 1
    if note.count == 1:
        note.time_ns = t
        note.op = op
        note.task = task
        note.slot = slot
    log_event(w, c, codes.E_FINDING, t, 0, task, op, slot, finding, task)


@inline
def log_operation(w: MachineState, r: Any) -> None:
    """Write the finished request `r` as one row of the operation table."""
    m = w.machine[0]
    _mix(w, r.asked_ns, r.locked_ns, r.mapped_ns, r.unmap_asked_ns)
    _mix(w, r.done_ns, r.map_wait_ns, r.map_hold_ns, r.unmap_wait_ns ^ (r.unmap_hold_ns << 20))
    _mix(
        w,
        (r.op << 8) ^ r.served,
        r.asleep_ns ^ (r.pin_wait_ns << 20),
        r.slot ^ (r.probed << 20) ^ (r.flush_op << 40),
        r.cpu_map ^ (r.cpu_unmap << 8) ^ (r.holder << 32) ^ (r.scanned << 16),
    )
    m.operations += 1
    if m.events == 0:
        return
    w.operations[m.operations_logged] = r
    m.operations_logged += 1


@inline
def book_hold(w: MachineState, site: int, hold_ns: int) -> None:
    """Add one finished hold to the totals of its site."""
    s = w.sites[site]
    s.hold_ns += hold_ns
    s.hold_max_ns = max(s.hold_max_ns, hold_ns)


@inline
def book_acquisition(w: MachineState, site: int, wait_ns: int) -> None:
    """Add one acquisition to the totals of its site; it was contended if it waited at all."""
    s = w.sites[site]
    s.acquisitions += 1
    if wait_ns > 0:
        s.contended += 1
        s.wait_ns += wait_ns
        s.wait_max_ns = max(s.wait_max_ns, wait_ns)


@inline
def first_hold(r: Any, hold_ns: int) -> None:
    """Record the hold of the first acquisition of this side of the operation."""
    if r.unmapping == codes.MAP:
        r.map_hold_ns = hold_ns
    else:
        r.unmap_hold_ns = hold_ns
