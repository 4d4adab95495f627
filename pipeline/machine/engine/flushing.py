"""TLBs: what each CPU's TLB may hold, and the flushes that clear it.

`a.tlb[slot * cpus + cpu]` is the page whose translation that CPU last loaded through that slot, with the
CPU's flush epoch at that time. The entry is still in the TLB if its epoch is the CPU's current one. Capacity
is not modelled, so an entry stays until it is flushed; this is the worst case for the use of stale entries.
`walks_always` models the other extreme, a TLB that has lost every entry by its next use.

A flush by any allocator clears the whole TLB and ends an epoch, unless it covers so few addresses that each
is invalidated separately. If PTEs are not global, a switch to another address space also ends an epoch,
unless the machine's TLBs distinguish address spaces. If a run combines allocators with global and with
non-global PTEs, entries of global PTEs have a separate epoch, which only flushes end.
"""

from __future__ import annotations

from pipeline.allocators.api.protocols import State
from pipeline.allocators.api.traits import AREAS, MIXED_PTES, NON_GLOBAL, is_global
from pipeline.jit.marks import inline, noinline
from pipeline.machine.costs import MOST_WORK_NS
from pipeline.machine.engine import records
from pipeline.machine.engine.accounting import log_event, log_event_here, log_finding
from pipeline.machine.engine.interrupts import interrupt
from pipeline.machine.engine.tables import MachineState
from pipeline.schema import codes


@inline
def touch_mapping(w: MachineState, a: State, c: int, i: int, t: int) -> None:
    """Use the mapping of request `i` on CPU `c`: walk the page table unless its TLB has the entries."""
    r = w.requests[i]
    if r.slot < 0:
        return
    _touch_page(w, a, c, i, t, r.slot, r.page)
    if AREAS:
        for k in range(1, r.pages):
            _touch_page(w, a, c, i, t, r.slot + k, r.page + k)


@inline
def _touch_page(w: MachineState, a: State, c: int, i: int, t: int, slot: int, page: int) -> None:
    """Use the translation of `slot` to `page`."""
    r = w.requests[i]
    cpu = w.cpus[c]
    entry = a.tlb[slot * w.machine[0].cpus + c]
    epoch = cpu.epoch
    if MIXED_PTES and is_global(a, r):
        epoch = cpu.global_epoch
    fresh = (epoch << records.PAGE_BITS) | page
    if entry.loaded == fresh:
        if w.costs[0].walks_always != 0:
            w.machine[0].walks += 1
            r.walk_ns += w.costs[0].walk_ns
        return
    if entry.loaded >> records.PAGE_BITS == epoch:
        log_finding(w, c, codes.STALE_TRANSLATION, t, r.task, r.op, slot)
    entry.loaded = fresh
    w.machine[0].walks += 1
    r.walk_ns += w.costs[0].walk_ns


@noinline
def touch_again(w: MachineState, a: State, c: int, i: int, t: int) -> None:
    """Use a mapping on CPU `c` that this or another CPU has used before."""
    touch_mapping(w, a, c, i, t)


@noinline
def begin_flush(w: MachineState, c: int, i: int, mask: int, t: int) -> int:
    """Interrupt the CPUs of `mask` other than `c`, flush here too, and return when all have acknowledged.

    Interrupts are sent one after another. Each arrives `ipi_latency_ns` later, waits for an earlier interrupt
    still being handled there, and is acknowledged after `ipi_handler_ns`. The TLB refill that follows is time
    stolen from the receiver, but the sender does not wait for it. A flush of few addresses invalidates each,
    and no refill follows. Hardware that broadcasts does so for each address, and waits once.
    """
    m = w.machine[0]
    costs = w.costs[0]
    flush_ns = costs.tlb_flush_ns
    refill_ns = costs.tlb_refill_ns
    each_ns = 0
    if _is_by_address(w, c):
        each_ns = min(w.cpus[c].range_slots * costs.invalidate_ns, MOST_WORK_NS)
        flush_ns = each_ns
        refill_ns = 0
    before = m.ipis
    begin = _turn(w, t)
    if costs.broadcast != 0:
        last = begin + each_ns + costs.broadcast_ns
    else:
        last = _interrupt_others(w, c, i, mask, costs.ipi_handler_ns + each_ns, refill_ns, begin)
    sent = begin + (m.ipis - before) * costs.ipi_send_ns
    end = max(last, sent + flush_ns) + refill_ns
    _book_flush(w, c, i, t, end, m.ipis - before)
    return end


@inline
def _is_by_address(w: MachineState, c: int) -> bool:
    """Whether the flush of CPU `c` covers so few addresses that each is invalidated separately."""
    return 0 < w.cpus[c].range_slots <= w.costs[0].flush_range_slots


@inline
def _turn(w: MachineState, t: int) -> int:
    """Return when a flush requested at `t` can begin: it may have to wait for another."""
    return max(t, w.machine[0].flush_free_ns) if w.costs[0].flushes_queue != 0 else t


@noinline
def begin_repeat(w: MachineState, c: int, i: int, mask: int, again_ns: int, t: int) -> int:
    """Interrupt the CPUs of `mask` except `c` for `again_ns` of their time; return when all have answered.

    Only unused addresses are invalidated, so no TLB refill follows.
    """
    m = w.machine[0]
    costs = w.costs[0]
    before = m.ipis
    begin = _turn(w, t)
    # The interconnect carries the invalidation (ARM TLBI) without interrupts.
    end = begin + costs.broadcast_ns
    if costs.broadcast == 0:
        end = _interrupt_others(w, c, i, mask, costs.ipi_handler_ns + again_ns, 0, begin)
    _book_flush(w, c, i, t, end, m.ipis - before)
    return end


@noinline
def _interrupt_others(
    w: MachineState, c: int, i: int, mask: int, handler_ns: int, refill_ns: int, t: int
) -> int:
    """Interrupt the CPUs of `mask` other than `c`; return when the last of them has acknowledged."""
    m = w.machine[0]
    costs = w.costs[0]
    r = w.requests[i]
    sent = t
    last = t
    for other in range(m.cpus):
        if other == c or (mask >> other) & 1 == 0:
            continue
        cpu = w.cpus[other]
        sent += costs.ipi_send_ns
        begun = max(sent + costs.ipi_latency_ns, cpu.irq_end_ns)
        interrupt(w, other, begun, handler_ns + refill_ns)
        last = max(last, begun + handler_ns)
        m.ipis += 1
        task = -1 if cpu.phase == records.P_IDLE else cpu.task
        log_event_here(w, other, codes.E_IPI, begun, handler_ns + refill_ns, task, r.op, -1, -1, c)
    if last > t:
        m.flush_free_ns = last
    return last


@inline
def _book_flush(w: MachineState, c: int, i: int, t: int, end: int, receivers: int) -> None:
    r = w.requests[i]
    w.machine[0].flushes += 1
    w.cpus[c].flushed_op = r.op
    log_event(w, c, codes.E_FLUSH, t, end - t, w.cpus[c].task, r.op, -1, receivers, -1)


@noinline
def invalidate_elsewhere(w: MachineState, a: State, c: int) -> None:
    """Remove the slots that the last step invalidated everywhere from the TLBs of all CPUs except `c`.

    No task uses these slots, so the exact time before the acknowledgements does not matter.
    """
    cpus = w.machine[0].cpus
    for k in range(w.step_cost[0].everywhere):
        first = a.invalidated[k].slot * cpus
        for other in range(cpus):
            if other != c:
                a.tlb[first + other].loaded = 0


@noinline
def begin_local_flush(w: MachineState, c: int, i: int, t: int) -> int:
    """Flush the whole TLB of CPU `c` only; return when that is done."""
    costs = w.costs[0]
    r = w.requests[i]
    w.machine[0].full_local_flushes += 1
    duration = costs.tlb_flush_ns + costs.tlb_refill_ns
    log_event(w, c, codes.E_LOCAL_FLUSH, t, duration, w.cpus[c].task, r.op, -1, -1, -1)
    return t + duration


@noinline
def end_flush(w: MachineState, a: State, c: int, mask: int) -> None:
    """End the flush of CPU `c`: remove the translations that it covers from the TLBs of `mask`."""
    m = w.machine[0]
    cpu = w.cpus[c]
    by_address = _is_by_address(w, c)
    for other in range(m.cpus):
        if (mask >> other) & 1 == 0:
            continue
        if by_address:
            for slot in range(cpu.range_first, cpu.range_first + cpu.range_slots):
                a.tlb[slot * m.cpus + other].loaded = 0
            continue
        w.cpus[other].epoch += 1
        w.cpus[other].global_epoch += 1
        if NON_GLOBAL:
            w.spaces[other].emptied = m.space_switches
    cpu.range_slots = 0
