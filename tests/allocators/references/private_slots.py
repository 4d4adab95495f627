"""Designs in which a CPU, a task or a process has slots for itself."""

from __future__ import annotations

from tests.allocators.answer import Answer, Asked, Reference
from tests.allocators.references.kernel_pools import KernelPool


class PerCpuPinned(Reference):
    """Arcangeli: slots per CPU, the one freed last first; then sleep there, or use the kernel's pool."""

    def __init__(
        self, cpus: int, tasks: int, slots_per_cpu: int, overflow: str = "sleep", slots: int = 0,
        wait_pinned: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(cpus, tasks)
        self.pool = KernelPool(cpus, tasks, slots) if overflow == "global" else None
        self.first, self.per_cpu = (slots if self.pool else 0), slots_per_cpu
        self.how = "one" if wait_pinned else "all"
        starts = [self.first + cpu * slots_per_cpu for cpu in range(cpus)]
        self.free = [list(range(start, start + slots_per_cpu))[::-1] for start in starts]

    def map(self, asked: Asked, woken: bool) -> Answer:
        free = self.free[asked.cpu]
        if self.pool and (woken or not free):
            answer = self.pool.map(asked, woken)
            answer.looked_at += not woken
            answer.served = "sleeps" if answer.served == "sleeps" else "fallback"
            return answer
        if not free:
            return self.sleep(asked, asked.cpu, Answer(looked_at=1))
        slot = free.pop()
        answer = Answer(slot=slot, looked_at=1)
        answer.flush({asked.cpu}, {slot})
        return answer

    def unmap(self, asked: Asked, slot: int) -> Answer:
        if self.pool and slot < self.first:
            return self.pool.unmap(asked, slot)
        self.free[asked.cpu].append(slot)
        return Answer("unmapped", woken=[] if self.pool else self.wake(asked.cpu, self.how))


class PerCpuCached(Reference):
    """`page->virtual[NR_CPUS]`: the kernel's pool once per CPU, its flushes that CPU's."""

    def __init__(self, cpus: int, tasks: int, slots: int, wake: str = "all") -> None:
        super().__init__(cpus, tasks)
        self.slots = slots
        self.pools = [KernelPool(1, tasks, slots, flush_if_any=True, wake=wake) for _ in range(cpus)]

    def map(self, asked: Asked, woken: bool) -> Answer:
        answer = self.pools[asked.cpu].map(asked, woken)
        answer.flushes = [(None, frozenset({asked.cpu})) for _ in answer.flushes]
        if answer.slot is not None:
            answer.slot += asked.cpu * self.slots
        return answer

    def unmap(self, asked: Asked, slot: int) -> Answer:
        assert slot // self.slots == asked.cpu
        return self.pools[asked.cpu].unmap(asked, slot % self.slots)


class PerProcess(Reference):
    """Van Riel, UKVA: the kernel's pool once per process, flushed on CPUs that have stayed in it."""

    def __init__(
        self, cpus: int, tasks: int, processes: int, slots: int, cache: bool = True, semaphore: bool = False,
        wake: str = "all",
    ) -> None:  # fmt: skip
        super().__init__(cpus, tasks)
        self.slots, self.cache, self.semaphore, self.how = slots, cache, semaphore, wake
        self.pools = [KernelPool(1, tasks, slots, True) for _ in range(processes)]
        # When each slot, and any of a process, was last released.
        self.released = [[0] * slots for _ in range(processes)]
        self.holding: list[list[int]] = [[] for _ in range(processes)]

    def stale_on(self, process: int, released: int) -> set[int]:
        """CPUs that may hold what the process had mapped when it released it."""
        return {c for c, (p, since) in self.space.items() if p == process and since <= released}

    def map(self, asked: Asked, woken: bool) -> Answer:
        p = asked.process
        if self.semaphore and set(self.holding[p]) - {asked.task}:
            return self.sleep(asked, p, Answer())
        pool = self.pools[p]
        # Without a cache no two maps share a slot.
        answer = pool.map(asked if self.cache else _of_its_own(asked), woken)
        wrapped, answer.flushes = bool(answer.flushes), []
        # Priced as memory of its own, a pass is none of the log's.
        answer.passes = []
        if answer.slot is None:
            pool.asleep.clear()
            return self.sleep(asked, p, answer)
        self.holding[p].append(asked.task)
        if not self.cache:
            stale = self.stale_on(p, self.released[p][answer.slot])
            answer.flush(stale, {answer.slot + p * self.slots})
        elif wrapped and (stale := self.stale_on(p, max(self.released[p]))):
            answer.flush(stale | {asked.cpu})
        answer.slot += p * self.slots
        return answer

    def unmap(self, asked: Asked, slot: int) -> Answer:
        p, at = divmod(slot, self.slots)
        pool = self.pools[p]
        pool.unmap(asked, at)
        self.released[p][at] = self.clock
        self.holding[p].remove(asked.task)
        free = pool.count[at] == 1
        if not self.cache:
            pool.count[at] = 0
            pool.virtual = {page: s for page, s in pool.virtual.items() if s != at}
        return Answer("unmapped", woken=self.wake(p, self.how) if free else [])


def _of_its_own(asked: Asked) -> Asked:
    return Asked(**vars(asked) | {"page": -1 - asked.op})


class Atomic(Reference):
    """kmap_atomic: the CPU's slot of the nesting depth; a copy that faults again uses the kernel's pool."""

    def __init__(
        self, cpus: int, tasks: int, slots: int, nesting: int = 16, invalidate_at_unmap: bool = False,
        refault_per_1000: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(cpus, tasks)
        assert refault_per_1000 in (0, 1000)
        self.pool, self.slots, self.nesting = KernelPool(cpus, tasks, slots), slots, nesting
        self.at_unmap, self.refaults = invalidate_at_unmap, refault_per_1000 > 0

    def map(self, asked: Asked, woken: bool) -> Answer:
        slot = self.slots + asked.cpu * self.nesting + asked.depth
        invalidation = (frozenset({slot}), frozenset({asked.cpu}))
        if not (self.refaults and asked.copy):
            return Answer(slot=slot, flushes=[] if self.at_unmap else [invalidation])
        answer = self.pool.map(asked, woken)
        answer.served = "sleeps" if answer.served == "sleeps" else "fallback"
        # In vain: once mapped, and unmapped again.
        answer.flushes[:0] = [] if woken else [invalidation]
        return answer

    def unmap(self, asked: Asked, slot: int) -> Answer:
        if slot < self.slots:
            return self.pool.unmap(asked, slot)
        answer = Answer("unmapped")
        if self.at_unmap:
            answer.flush({asked.cpu}, {slot})
        return answer


class KmapLocal(Reference):
    """kmap_local_page: a stack per task, its slots those of the CPU; invalidated at the unmap, or the map."""

    def __init__(self, cpus: int, tasks: int, nesting: int = 16, invalidate_at: str = "unmap") -> None:
        super().__init__(cpus, tasks)
        self.nesting, self.at = nesting, invalidate_at
        self.stacks: list[list[int]] = [[] for _ in range(tasks)]

    def map(self, asked: Asked, woken: bool) -> Answer:
        stack = self.stacks[asked.task]
        # kmap_local_idx_push: BUG_ON(++idx >= KM_MAX_IDX).
        assert len(stack) + 1 < self.nesting
        stack.append(asked.cpu * self.nesting + len(stack))
        return self._invalidate("map", asked, Answer(slot=stack[-1]))

    def unmap(self, asked: Asked, slot: int) -> Answer:
        assert self.stacks[asked.task].pop() == slot
        return self._invalidate("unmap", asked, Answer("unmapped", slot))

    def _invalidate(self, at: str, asked: Asked, answer: Answer) -> Answer:
        if at == self.at and answer.slot is not None:
            answer.flush({asked.cpu}, {answer.slot})
        return Answer("unmapped", flushes=answer.flushes) if at == "unmap" else answer
