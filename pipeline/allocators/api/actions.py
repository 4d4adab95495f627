"""What an allocator's step says next: each step returns one of these actions.

A step does its own book-keeping, records what that took (see `effects`), and returns one action. The machine
prices what was recorded from its profile, lets that time pass on the CPU, then carries the action out and
calls the allocator again.

    LOCK          take lock `d.lock`, spinning while it is busy; the next step runs with it held
    UNLOCK        release the lock
    FLUSH_ALL     interrupt every other CPU, flush every TLB, wait for the slowest answer
    FLUSH_MASK    the same for the CPUs of the bit mask `d.cpu_mask` only
    FLUSH_LOCAL   flush the whole TLB of this CPU
    SHOOT_DOWN    interrupt the other CPUs of the bit mask `d.cpu_mask` (one at least), let each invalidate
                  the address that `invalidate_on` named in this step, wait for the slowest answer
    REPEAT_ALL    interrupt every other CPU, let each make this step's scan and its invalidations again, wait
                  for the slowest answer; needs no interrupt where hardware broadcasts invalidations
    SLEEP         join wait queue `d.queue`, release the lock if one is held, leave the CPU until woken
    WAKE_ALL      wake every sleeper of wait queue `d.queue`
    WAKE_ONE      wake the first sleeper of wait queue `d.queue`
    PREFAULT      before the mapping, with no lock held: what would block while it is mapped (`block_ns`, with
                  the waiting of nested operations) happens now, off the CPU; what is then left is asked for
                  anew, and nested operations wait and block that much less
    ATTEMPT       use the mapping in vain: its CPU time passes and remains to be done
    STEP          nothing; call the next step when the step's time has passed
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
