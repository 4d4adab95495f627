"""Spinlocks: which CPUs wait, which CPU gets the lock, and the cost of holding it and handing it over.

    lock.holder    CPU that holds it; -1: free
    lock.spinners  number of CPUs that wait for it
    lock.heir      CPU to which a hand-off is in progress; -1: none
    lock.turns     times it was taken; a waiter is due at turn `cpu.due` if the lock is taken in order
    lock.owner     1 + the CPU that took it last, whose cache holds its line

Taking a lock is an atomic operation on a cache line that all CPUs share. The requester pays for it, and for
the transfer of the line from the CPU that had it last, before it can test whether the lock is free. This time
is part neither of the hold nor of the wait. The kernel of a machine with one CPU has no spinlocks.

Between a release and the acquisition by the heir, the lock is free. With `fifo` arbitration (ticket and
queued locks) no other CPU may take it then. With `unfair` arbitration (test-and-set, as in Linux 2.4) a
newcomer may ("barging"), and the heir continues to spin. `barging_percent` is the probability that a newcomer
succeeds: the line is on its way to the heir, and the newcomer's request queues behind those of all spinners.
The unfair heir is the spinner whose cache gets the line first. Each spinner draws a latency around the cost
for its distance
from the releaser, and the smallest latency wins.

A waiter is passed over each time another CPU takes the lock, except once by each CPU that waited before it.
More than `starvation_passes` of these are a finding.

Spinners also slow the holder. The release takes `hold_per_spinner_ns` longer for each of them, because each
keeps pulling the cache line that the release must write. That time is part of the hold.
"""

from __future__ import annotations

from pipeline.jit.marks import inline, noinline
from pipeline.machine.engine import accounting, records
from pipeline.machine.engine.agenda import clear_key, set_key
from pipeline.machine.engine.tables import MachineState
from pipeline.schema import codes


@inline
def _barges(w: MachineState, i: int) -> bool:
    """Whether request `i` gets a lock that is being handed over to another CPU."""
    costs = w.costs[0]
    if costs.arbitration == records.FIFO or costs.barging_percent == 0:
        return False
    if costs.barging_percent == 100:
        return True
    r = w.requests[i]
    r.draws += 1
    return (
        accounting.draw(w.machine[0].seed, accounting.DRAW_BARGING, r.op, r.draws) * 100
        < costs.barging_percent << 16
    )


@inline
def lock_word_ns(w: MachineState, c: int, k: int) -> int:
    """Return the time in which CPU `c` finds out whether lock `k` is free, in ns."""
    if w.machine[0].cpus == 1:
        return 0
    costs = w.costs[0]
    return costs.atomic_ns if w.locks[k].owner == c + 1 else costs.atomic_ns + costs.line_transfer_ns


@inline
def try_lock(w: MachineState, c: int, i: int, k: int, t: int) -> bool:
    """Whether request `i` can have lock `k` now, to be booked by `got`; otherwise the CPU starts to spin."""
    lock = w.locks[k]
    cpu = w.cpus[c]
    if lock.holder < 0 and (lock.heir < 0 or _barges(w, i)):
        cpu.asked_ns = t
        cpu.longest_ns = 0
        cpu.held_lock = k
        return True
    cpu.due = lock.turns + lock.spinners
    lock.spinners += 1
    cpu.spin_lock = k
    cpu.asked_ns = t
    cpu.ticket = lock.ticket
    lock.ticket += 1
    cpu.longest_ns = 0
    cpu.longest_holder = w.cpus[lock.holder if lock.holder >= 0 else lock.heir].task
    cpu.longest_flush_op = -1
    # A hand-off draws a number for every spinner; with this base it need not read the request.
    r = w.requests[i]
    cpu.luck = accounting.draw_base(w.machine[0].seed, accounting.DRAW_HEIR, r.op)
    cpu.draws = r.draws
    cpu.phase = records.P_SPIN
    cpu.category = codes.C_SPIN
    clear_key(w, c)
    return False


@inline
def heir_takes(w: MachineState, c: int, i: int, t: int) -> bool:
    """Whether CPU `c`, which a hand-off has reached, can have the lock, to be booked by `got`."""
    cpu = w.cpus[c]
    k = cpu.spin_lock
    lock = w.locks[k]
    if lock.holder >= 0:
        clear_key(w, c)
        return False
    limit = w.costs[0].starvation_passes
    if limit > 0 and lock.turns - cpu.due > limit:
        accounting.log_finding(w, c, codes.STARVATION, t, cpu.task, w.requests[i].op, -1)
    lock.spinners -= 1
    lock.heir = -1
    cpu.spin_lock = -1
    w.requests[i].draws = cpu.draws
    cpu.held_lock = k
    return True


@inline
def got(w: MachineState, c: int, i: int, t: int) -> int:
    """Take the available lock `cpu.held_lock` on CPU `c`. Return the phase that follows."""
    cpu = w.cpus[c]
    r = w.requests[i]
    k = cpu.held_lock
    lock = w.locks[k]
    lock.holder = c
    lock.owner = c + 1
    lock.turns += 1
    wait = t - cpu.asked_ns
    cpu.got_ns = t
    cpu.got_wait_ns = wait
    cpu.flushed_op = -1
    accounting.book_acquisition(w, r.unmapping, wait)
    if r.locked_once == 0:
        if r.unmapping == codes.MAP:
            r.locked_ns = t
            r.map_wait_ns = wait
            r.map_lock = cpu.held_lock
        else:
            r.unmap_lead_ns = t - wait - r.unmap_asked_ns
            r.unmap_wait_ns = wait
            r.unmap_lock = cpu.held_lock
    if wait > 0 and (cpu.longest_ns > r.waited_ns or r.holder < 0):
        r.waited_ns = cpu.longest_ns
        r.holder = cpu.longest_holder
        r.flush_op = cpu.longest_flush_op
    return records.P_STEP


@inline
def release_delay(w: MachineState, c: int) -> int:
    """Return how long the spinners' cache traffic delays the release, in ns."""
    return w.costs[0].hold_per_spinner_ns * w.locks[w.cpus[c].held_lock].spinners


@inline
def release(w: MachineState, c: int, i: int, t: int) -> None:
    """Release the lock of CPU `c` and start the hand-off to a spinner, if there is one."""
    cpu = w.cpus[c]
    r = w.requests[i]
    k = cpu.held_lock
    lock = w.locks[k]
    hold = t - cpu.got_ns
    accounting.book_hold(w, r.unmapping, hold)
    if r.locked_once == 0:
        r.locked_once = 1
        accounting.first_hold(r, hold)
    else:
        holder = cpu.longest_holder if cpu.got_wait_ns > 0 else -1
        accounting.log_relock(w, c, k, r.unmapping, cpu.got_ns, hold, cpu.got_wait_ns, cpu.task, r.op, holder)
    cpu.held_lock = -1
    lock.holder = -1
    if lock.spinners > 0:
        _hand_off(w, c, k, t)


@noinline
def _hand_off(w: MachineState, c: int, k: int, t: int) -> None:
    costs = w.costs[0]
    lock = w.locks[k]
    releaser = w.cpus[c]
    crowd_ns = costs.handoff_per_spinner_ns * (lock.spinners - 1)
    local_ns = costs.handoff_local_ns + crowd_ns
    remote_ns = costs.handoff_remote_ns + crowd_ns
    # Uniform within +- spread per cent of the cost.
    local_spread = local_ns * costs.handoff_spread_percent // 100
    remote_spread = remote_ns * costs.handoff_spread_percent // 100
    fifo = costs.arbitration == records.FIFO
    best = records.NEVER
    latency = 0
    heir = -1
    for s in range(w.machine[0].cpus):
        cpu = w.cpus[s]
        if cpu.spin_lock != k:
            continue
        stretch = t - max(releaser.got_ns, cpu.asked_ns)
        if stretch > cpu.longest_ns:
            cpu.longest_ns = stretch
            cpu.longest_holder = releaser.task
            cpu.longest_flush_op = releaser.flushed_op
        local = cpu.node == releaser.node
        reach_ns = local_ns if local else remote_ns
        rank = cpu.ticket
        if not fifo:
            spread = local_spread if local else remote_spread
            luck = accounting.draw_turn(cpu.luck, cpu.draws)
            cpu.draws += 1
            reach_ns += ((2 * spread * luck) >> 16) - spread
            rank = reach_ns
        if rank < best:
            best = rank
            heir = s
            latency = reach_ns
    if lock.heir >= 0 and lock.heir != heir:
        # This heir was overtaken by a newcomer and continues to spin.
        clear_key(w, lock.heir)
    lock.heir = heir
    set_key(w, heir, t + latency)
