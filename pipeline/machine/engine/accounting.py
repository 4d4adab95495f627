"""Where time goes and what is written down: CPU time by category, interrupts, the log and its fingerprint.

An interrupt is not an event of its own. A flush notes on each receiver when its interrupt arrives and how
long it takes, and each CPU knows when its next device or timer interrupt is due; when the CPU's current
stretch of work would end, the stolen time is found and the stretch ends that much later. A CPU that only
waits (idle, spinning, waiting for answers) loses no progress: it is delayed only if it would go on before the
interrupt is over.
"""

from __future__ import annotations

from typing import Any

from pipeline.jit.marks import inline, noinline, wrap64
from pipeline.machine.engine import records
from pipeline.machine.engine.agenda import set_key
from pipeline.machine.engine.tables import MachineState
from pipeline.schema import codes

# Odd multipliers of the fingerprint's four lanes and of `draw`; below 2**63 so that they are int64 in NumPy.
_LANE0 = 0x1E3779B97F4A7C15
_LANE1 = 0x3F58476D1CE4E5B9
_LANE2 = 0x14D049BB133111EB
_LANE3 = 0x2545F4914F6CDD1D

# Purposes of random draws.
DRAW_HEIR = 1
DRAW_BARGING = 2
_DEVICE = 3
DRAW_THINK = 4
DRAW_WAIT = 5


@inline
def draw(seed: int, purpose: int, row: int, turn: int) -> int:
    """Return 16 random bits that depend on nothing but the arguments.

    Drawing by what is asked for, never by when, gives two allocators replayed on one trace the same noise.
    The mixing is that of SplitMix64 (Steele, Lea, Flood 2014) on signed 64-bit integers.
    """
    return draw_turn(draw_base(seed, purpose, row), turn)


@inline
def draw_base(seed: int, purpose: int, row: int) -> int:
    """What all turns of a draw have in common."""
    return wrap64(seed * _LANE0 + purpose * _LANE1 + row * _LANE2)


@inline
def draw_turn(base: int, turn: int) -> int:
    """Draw once more of `base`."""
    x = wrap64(base + turn * _LANE3)
    x = wrap64((x ^ ((x >> 30) & 0x3FFFFFFFF)) * _LANE1)
    x = wrap64((x ^ ((x >> 27) & 0x1FFFFFFFFF)) * _LANE2)
    return (x >> 40) & 0xFFFF


@noinline
def _log_stretch(w: MachineState, c: int, t: int) -> None:
    """Write what CPU `c` did until `t`, its parts one after another; interrupts count against the last."""
    cpu = w.cpus[c]
    begin = cpu.since_ns
    begin = _log_part(w, c, codes.C_SWITCH, begin, begin + cpu.switch_ns, 0)
    begin = _log_part(w, c, codes.C_SCAN, begin, begin + cpu.scan_ns, 0)
    begin = _log_part(w, c, codes.C_FLUSH, begin, begin + cpu.flush_ns, 0)
    _log_part(w, c, cpu.category, begin, t, cpu.stolen_ns)


@noinline
def _log_part(w: MachineState, c: int, category: int, begin_ns: int, end_ns: int, interrupted_ns: int) -> int:
    """Write one row of the table of stretches, if it lasts; return when it ends."""
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
    """Close the CPU's current stretch at `t` and book its time, less what interrupts took.

    Parts of the stretch that belong to another category than the rest are noted on the CPU.
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
def _pending(c: int, k: int) -> int:
    """Return where interrupt `k` of CPU `c` is: a ring holds a power of two of them."""
    return c * records.INTERRUPTS + (k & (records.INTERRUPTS - 1))


@inline
def interrupt(w: MachineState, c: int, at_ns: int, stolen_ns: int) -> None:
    """Let an interrupt reach CPU `c` at `at_ns` and take `stolen_ns` of its time."""
    cpu = w.cpus[c]
    cpu.irq_end_ns = at_ns + stolen_ns
    if cpu.irqs == records.INTERRUPTS:
        last = w.interrupts[_pending(c, cpu.irq_first + records.INTERRUPTS - 1)]
        last.end_ns = cpu.irq_end_ns
        last.stolen_ns += stolen_ns
        return
    pending = w.interrupts[_pending(c, cpu.irq_first + cpu.irqs)]
    pending.at_ns = at_ns
    pending.end_ns = cpu.irq_end_ns
    pending.stolen_ns = stolen_ns
    cpu.irq_at_ns = min(cpu.irq_at_ns, at_ns)
    cpu.irqs += 1


@noinline
def _device_interrupt_ns(w: MachineState, c: int) -> int:
    """Return how long the CPU's device interrupt takes that is due, and draw when the next one comes.

    Times between them are uniform up to twice the mean. Handlers are many short ones and few long ones: one
    longer than x has the probability shortest / x (Pareto, exponent 1), up to the longest there is.
    """
    cpu = w.cpus[c]
    costs = w.costs[0]
    seed = w.machine[0].seed
    turn = cpu.devices * 2
    cpu.devices += 1
    cpu.device_at_ns += 1 + ((2 * costs.interrupt_gap_ns * draw(seed, _DEVICE, c, turn)) >> 16)
    luck = draw(seed, _DEVICE, c, turn + 1)
    return min((costs.interrupt_ns << 16) // (luck + 1), costs.interrupt_max_ns)


@noinline
def _take_interrupt(w: MachineState, c: int, limit_ns: int) -> int:
    """Book the first pending interrupt, as far as it lies before `limit_ns`; return when it is over."""
    cpu = w.cpus[c]
    pending = w.interrupts[c * records.INTERRUPTS + cpu.irq_first]
    begin = max(cpu.irq_at_ns, cpu.irq_done_ns)
    if cpu.irqs == 0 or cpu.device_at_ns < pending.at_ns:
        stolen = _device_interrupt_ns(w, c)
        end = begin + stolen
    else:
        stolen = pending.stolen_ns
        end = max(pending.end_ns, begin + stolen)
        cpu.irq_first = (cpu.irq_first + 1) & (records.INTERRUPTS - 1)
        cpu.irqs -= 1
    cpu.irq_done_ns = end
    cpu.irq_at_ns = cpu.device_at_ns
    if cpu.irqs > 0:
        cpu.irq_at_ns = min(cpu.irq_at_ns, w.interrupts[c * records.INTERRUPTS + cpu.irq_first].at_ns)
    stolen = max(stolen - max(end - limit_ns, 0), 0)
    w.spent[c * codes.CATEGORIES + codes.C_INTERRUPTED] += stolen
    cpu.stolen_ns += stolen
    return end


@inline
def take_interrupts(w: MachineState, c: int, t: int) -> int:
    """Take all interrupts that reached a waiting CPU by `t`; return when it can go on, `t` or later."""
    cpu = w.cpus[c]
    end = t
    while cpu.irq_at_ns <= t:
        end = max(end, _take_interrupt(w, c, records.NEVER))
    return end


@noinline
def delay_by_interrupt(w: MachineState, c: int, t: int) -> bool:
    """Take the interrupts that have arrived by `t`; true if the CPU's event now comes later."""
    cpu = w.cpus[c]
    if cpu.phase in (records.P_SPIN, records.P_FLUSH, records.P_IDLE):
        end = take_interrupts(w, c, t)
        set_key(w, c, end)
        return end > t
    before = cpu.stolen_ns
    _take_interrupt(w, c, records.NEVER)
    set_key(w, c, t + cpu.stolen_ns - before)
    return True


@inline
def settle(w: MachineState, c: int, t: int) -> None:
    """Book everything up to the end of the run at `t`; of a longer interrupt, what lies before it."""
    while w.cpus[c].irq_at_ns < t:
        _take_interrupt(w, c, t)
    account(w, c, t)


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
    """Write one row of the event table; of a relock, `log_relock` does."""
    log_event_here(w, c, event, time_ns, duration_ns, task, op, slot, value, other)


@inline
def log_event_here(
    w: MachineState, c: int, event: int, time_ns: int, duration_ns: int, task: int, op: int, slot: int,
    value: int, other: int,
) -> None:  # fmt: skip
    """As `log_event`, for what happens often: without a call."""
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
    # Its wait stands in the fingerprint where other events have their quantity.
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
    """Write down a hazard that was met."""
    note = w.findings[finding]
    note.count += 1
    if note.count == 1:
        note.time_ns = t
        note.op = op
        note.task = task
        note.slot = slot
    log_event(w, c, codes.E_FINDING, t, 0, task, op, slot, finding, task)


@inline
def log_operation(w: MachineState, i: int) -> None:
    """Write the finished request `i` as one row of the operation table."""
    m = w.machine[0]
    r = w.requests[i]
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
    """Add one finished hold to its site's totals."""
    s = w.sites[site]
    s.hold_ns += hold_ns
    s.hold_max_ns = max(s.hold_max_ns, hold_ns)


@inline
def book_acquisition(w: MachineState, site: int, wait_ns: int) -> None:
    """Add one acquisition to its site's totals; it was contended if it had to wait at all."""
    s = w.sites[site]
    s.acquisitions += 1
    if wait_ns > 0:
        s.contended += 1
        s.wait_ns += wait_ns
        s.wait_max_ns = max(s.wait_max_ns, wait_ns)


@inline
def first_hold(r: Any, hold_ns: int) -> None:
    """Note the hold of the first acquisition of this side of the operation."""
    if r.unmapping == codes.MAP:
        r.map_hold_ns = hold_ns
    else:
        r.unmap_hold_ns = hold_ns
