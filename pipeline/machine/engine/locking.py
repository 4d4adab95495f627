"""Spinlocks: which CPUs wait, which gets the lock, and what holding and handing over cost.

    lock.holder    CPU that holds it; -1: free
    lock.spinners  CPUs that wait for it
    lock.heir      CPU to which a hand-off is under way; -1: none
    lock.turns     times it was taken; a waiter is due at turn `cpu.due`, if all take their turns
    lock.owner     1 + the CPU that took it last, whose cache its line is in

Taking a lock is an atomic operation on a line that all CPUs share. Whoever asks pays for it, and for the
line's way from the CPU that had it last, before it is seen whether the lock is free: it is part neither of
the hold nor of the wait. The kernel of a machine with one CPU has no spinlocks.

Between a release and the heir's success the lock is free. With `fifo` arbitration (ticket and queued locks)
nobody else may take it then; with `unfair` (test-and-set, as in Linux 2.4) a newcomer may ("barging"), and
the heir spins on. How often one succeeds is `barging_percent`: the line is on its way to the heir, and a
newcomer's request queues behind those of all spinners. The unfair heir is the spinner whose cache happens to
get the line first: each draws a latency around the price for its distance from the releaser, and the
smallest wins.

A waiter is passed over each time another takes the lock, but for once by each that waited before it. More
than `starvation_passes` of that are a finding.

Spinners also slow the holder: the release waits `hold_per_spinner_ns` for each of them, because every one
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
    """Whether request `i` gets a lock that is on its way to somebody else."""
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
    """Return how long CPU `c` takes to find out whether lock `k` is free."""
    if w.machine[0].cpus == 1:
        return 0
    costs = w.costs[0]
    return costs.atomic_ns if w.locks[k].owner == c + 1 else costs.atomic_ns + costs.line_transfer_ns


@inline
def try_lock(w: MachineState, c: int, i: int, k: int, t: int) -> bool:
    """Whether request `i` can have lock `k` now, for `got` to book; if not, the CPU spins from now on."""
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
    # A hand-off draws for every spinner: here it finds its luck without a look at the request.
    r = w.requests[i]
    cpu.luck = accounting.draw_base(w.machine[0].seed, accounting.DRAW_HEIR, r.op)
    cpu.draws = r.draws
    cpu.phase = records.P_SPIN
    cpu.category = codes.C_SPIN
    clear_key(w, c)
    return False


@inline
def heir_takes(w: MachineState, c: int, i: int, t: int) -> bool:
    """A hand-off has reached CPU `c`: whether it can have the lock, for `got` to book."""
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
    """CPU `c` takes the lock that it can have: `cpu.held_lock`. Return the phase that follows."""
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
    """Return how long the release takes against the spinners' cache traffic, in ns."""
    return w.costs[0].hold_per_spinner_ns * w.locks[w.cpus[c].held_lock].spinners


@inline
def release(w: MachineState, c: int, i: int, t: int) -> None:
    """Release the lock that CPU `c` holds and start the hand-off to a spinner, if there is one."""
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
    # Uniform within +- spread per cent of the price.
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
        # A newcomer was faster than this one, which goes on spinning.
        clear_key(w, lock.heir)
    lock.heir = heir
    set_key(w, heir, t + latency)
