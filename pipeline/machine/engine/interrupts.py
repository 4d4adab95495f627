"""Interrupts of flushes, devices and timers.

An interrupt is not a separate event. A flush records on each receiver when its interrupt arrives and how long
it takes, and each CPU has the time of its next device or timer interrupt. At the scheduled end of the CPU's
current stretch of work, the stolen time is computed and the stretch is extended by it. A CPU that only waits
(idle, spinning, waiting for acknowledgements) loses no progress: it is delayed only if it would continue
before the end of the interrupt. Its interrupts are taken when it continues, or by `catch_up`, which bounds
their number.
"""

from __future__ import annotations

from pipeline.jit.marks import inline, noinline
from pipeline.machine.engine import records
from pipeline.machine.engine.accounting import DRAW_DEVICE, account, draw
from pipeline.machine.engine.agenda import set_key
from pipeline.machine.engine.tables import MachineState
from pipeline.schema import codes


@inline
def _pending(c: int, k: int) -> int:
    """Return the index of interrupt `k` of CPU `c`: the number of entries in a ring is a power of two."""
    return c * records.INTERRUPTS + (k & (records.INTERRUPTS - 1))


@inline
def interrupt(w: MachineState, c: int, at_ns: int, stolen_ns: int) -> None:
    """Deliver an interrupt to CPU `c` at `at_ns` that takes `stolen_ns` of its time."""
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
    """Return the length of the CPU's due device interrupt in ns, and draw the time of the next one.

    Times between interrupts are uniform up to twice the mean. Most handlers are short and a few are long: the
    probability of one longer than x is shortest / x (Pareto, exponent 1), up to the maximum.
    """
    cpu = w.cpus[c]
    costs = w.costs[0]
    seed = w.machine[0].seed
    turn = cpu.devices * 2
    cpu.devices += 1
    cpu.device_at_ns += 1 + ((2 * costs.interrupt_gap_ns * draw(seed, DRAW_DEVICE, c, turn)) >> 16)
    luck = draw(seed, DRAW_DEVICE, c, turn + 1)
    return min((costs.interrupt_ns << 16) // (luck + 1), costs.interrupt_max_ns)


@noinline
def _take_interrupt(w: MachineState, c: int, limit_ns: int) -> int:
    """Book the first pending interrupt, up to `limit_ns`; return when it ends."""
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
    """Take all interrupts that reached a waiting CPU by `t`; return when it can continue, `t` or later."""
    cpu = w.cpus[c]
    end = t
    while cpu.irq_at_ns <= t:
        end = max(end, _take_interrupt(w, c, records.NEVER))
    return end


@noinline
def catch_up(w: MachineState) -> None:
    """Take the interrupts of waiting CPUs that end by `catch_up_ns`, which is past; schedule the next time.

    A CPU may wait for hours. Without this, one event would process all interrupts of that time.
    """
    m = w.machine[0]
    for c in range(m.cpus):
        cpu = w.cpus[c]
        if cpu.phase in (records.P_SPIN, records.P_FLUSH, records.P_IDLE):
            while _ends_at_most_ns(w, c) <= m.catch_up_ns:
                _take_interrupt(w, c, records.NEVER)
    m.catch_up_ns += w.costs[0].interrupt_gap_ns << records.CATCH_UP_BITS


@inline
def _ends_at_most_ns(w: MachineState, c: int) -> int:
    """Return an upper bound of the end of CPU `c`'s next interrupt, in ns."""
    cpu = w.cpus[c]
    begin = max(cpu.irq_at_ns, cpu.irq_done_ns)
    end = begin + w.costs[0].interrupt_max_ns
    if cpu.irqs > 0:
        pending = w.interrupts[_pending(c, cpu.irq_first)]
        end = max(end, begin + pending.stolen_ns, pending.end_ns)
    return end


@noinline
def delay_by_interrupt(w: MachineState, c: int, t: int) -> bool:
    """Take the interrupts that have arrived by `t`; true if they delay the CPU's event."""
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
    """Book everything up to the end of the run at `t`; an interrupt that lasts longer is cut there."""
    while w.cpus[c].irq_at_ns < t:
        _take_interrupt(w, c, t)
    account(w, c, t)
