"""Interrupts: of flushes, devices and timers.

An interrupt is not an event of its own. A flush notes on each receiver when its interrupt arrives and how
long it takes, and each CPU knows when its next device or timer interrupt is due; when the CPU's current
stretch of work would end, the stolen time is found and the stretch ends that much later. A CPU that only
waits (idle, spinning, waiting for answers) loses no progress: it is delayed only if it would go on before the
interrupt is over. Its interrupts are taken when it goes on, or by `catch_up`, which bounds how many that are.
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
    cpu.device_at_ns += 1 + ((2 * costs.interrupt_gap_ns * draw(seed, DRAW_DEVICE, c, turn)) >> 16)
    luck = draw(seed, DRAW_DEVICE, c, turn + 1)
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
def catch_up(w: MachineState) -> None:
    """Take what has reached the waiting CPUs and is over by `catch_up_ns`, which is past; look again later.

    A CPU may wait for hours, and its interrupts of all that time were one event's work.
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
    """Return when CPU `c` is done with its next interrupt at the latest."""
    cpu = w.cpus[c]
    begin = max(cpu.irq_at_ns, cpu.irq_done_ns)
    end = begin + w.costs[0].interrupt_max_ns
    if cpu.irqs > 0:
        pending = w.interrupts[_pending(c, cpu.irq_first)]
        end = max(end, begin + pending.stolen_ns, pending.end_ns)
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
