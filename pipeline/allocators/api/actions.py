"""The actions that an allocator's step can return.

A step does its own bookkeeping, records its work (see `effects`), and returns one action. The machine
computes the cost of the recorded work from its profile and lets that time pass on the CPU. It then carries
out the action and calls the allocator again.

    LOCK          take lock `d.lock`, spinning while it is busy; the next step runs with the lock held
    UNLOCK        release the lock
    FLUSH_ALL     interrupt every other CPU, flush every TLB, wait for the slowest acknowledgement
    FLUSH_MASK    the same, only for the CPUs of the bit mask `d.cpu_mask`
    FLUSH_LOCAL   flush the whole TLB of this CPU
    SHOOT_DOWN    interrupt the other CPUs of the bit mask `d.cpu_mask` (at least one), let each invalidate
                  the address given to `invalidate_on` in this step, wait for the slowest acknowledgement
    REPEAT_ALL    interrupt every other CPU, let each repeat this step's scan and its invalidations, wait for
                  the slowest acknowledgement; needs no interrupt if hardware broadcasts invalidations
    SLEEP         join wait queue `d.queue`, release the lock if one is held, leave the CPU until woken
    WAKE_ALL      wake every sleeper of wait queue `d.queue`
    WAKE_WORKER   wake worker number `d.queue` of the design; if it runs, it begins again when it is done
    WAKE_ONE      wake the first sleeper of wait queue `d.queue`
    PREFAULT      block before the mapping, with no lock held: the whole `block_ns`, including the waits of
                  nested operations, elapses off the CPU; then the request continues, and nested operations
                  wait and block that much less
    ATTEMPT       use the mapping in vain: the CPU time of the use passes and must be repeated
    STEP          no action; call the next step when the step's time has passed
    DONE          the map or unmap is complete
"""

from __future__ import annotations

STEP = 0
LOCK = 1
UNLOCK = 2
FLUSH_ALL = 3
FLUSH_MASK = 4
FLUSH_LOCAL = 5
SLEEP = 6
WAKE_ALL = 7
WAKE_ONE = 8
DONE = 9
REPEAT_ALL = 10
PREFAULT = 11
ATTEMPT = 12
SHOOT_DOWN = 13
WAKE_WORKER = 14
