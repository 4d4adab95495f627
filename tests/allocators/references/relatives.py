"""Living relatives of the kernel's pool, with that pool to fall back on."""

from __future__ import annotations

from collections import defaultdict

from tests.allocators.answer import Answer, Asked, Reference
from tests.allocators.references.kernel_pools import KernelPool


class FallsBack(Reference):
    """A cache of slots behind the first `slots`, which are the kernel's pool."""

    def __init__(self, cpus: int, tasks: int, slots: int) -> None:
        super().__init__(cpus, tasks)
        self.slots = slots
        self.pool = KernelPool(cpus, tasks, slots)

    def fall_back(self, asked: Asked, woken: bool, answer: Answer) -> Answer:
        """Let the pool answer after what `answer` says has been tried in vain."""
        found = self.pool.map(asked, woken)
        found.looked_at += answer.looked_at
        found.passes[:0] = answer.passes
        found.flushes[:0] = answer.flushes
        found.served = "sleeps" if found.served == "sleeps" else "fallback"
        return found

    def unmap(self, asked: Asked, slot: int) -> Answer:
        if slot < self.slots:
            return self.pool.unmap(asked, slot)
        self.unmap_own(asked, slot - self.slots)
        return Answer("unmapped")

    def unmap_own(self, asked: Asked, slot: int) -> None:
        """Undo a mapping that has a slot of the cache."""
        raise NotImplementedError


class Mermap(FallsBack):
    """`mermap_alloc`: `next_addr`, and `allocs` by their bases, in pages from the first of the region."""

    def __init__(
        self, cpus: int, tasks: int, slots: int, region_pages: int, entries: int, fall_back: str = "pool"
    ) -> None:
        super().__init__(cpus, tasks, slots)
        self.end, self.entries, self.reserves = region_pages, entries, fall_back == "reserve"
        self.next_addr: dict[tuple[int, int], int] = defaultdict(int)
        self.allocs: dict[tuple[int, int], list[int]] = defaultdict(list)
        self.reserve: dict[tuple[int, int], str] = defaultdict(lambda: "clean")

    def alloc(self, at: tuple[int, int], answer: Answer) -> int | None:
        """The page of the region, or None; twice in a row it does no more than once."""
        if self.next_addr[at] + 1 > self.end:
            new_next = max((base + 1 for base in self.allocs[at]), default=0)
            if new_next == self.end:
                return None
            self.flush(at, answer)
            self.next_addr[at] = new_next
        if len(self.allocs[at]) == self.entries:
            return None
        self.allocs[at].append(self.next_addr[at])
        self.next_addr[at] += 1
        return self.allocs[at][-1]

    def flush(self, at: tuple[int, int], answer: Answer) -> None:
        answer.flush({at[1]})
        if self.reserve[at] == "stale":
            self.reserve[at] = "clean"

    def map(self, asked: Asked, woken: bool) -> Answer:
        at, answer = (asked.process, asked.cpu), Answer()
        base = self.slots + (asked.process * self.cpus + asked.cpu) * (self.end + 1)
        page = None if woken else self.alloc(at, answer)
        if page is not None:
            answer.slot = base + page
            return answer
        if woken or not self.reserves or self.reserve[at] == "in use":
            return self.fall_back(asked, woken, answer)
        if self.reserve[at] == "stale":
            self.flush(at, answer)
        self.reserve[at] = "in use"
        answer.served, answer.slot = "fallback", base + self.end
        return answer

    def unmap_own(self, asked: Asked, slot: int) -> None:
        region, page = divmod(slot, self.end + 1)
        at = divmod(region, self.cpus)
        assert at == (asked.process, asked.cpu)
        if page == self.end:
            self.reserve[at] = "stale"
        else:
            self.allocs[at].remove(page)


class XenMapcache(FallsBack):
    """`map_domain_page`: `inuse`, `garbage`, `cursor`, `epoch`; of each CPU a hash and a `shadow_epoch`."""

    def __init__(self, cpus: int, tasks: int, slots: int, slots_per_cpu: int) -> None:
        super().__init__(cpus, tasks, slots)
        self.entries = slots_per_cpu * cpus
        self.inuse: set[int] = set()
        self.garbage: set[int] = set()
        self.cursor = self.epoch = self.wrapped_at = 0
        self.shadow_epoch = [0] * cpus
        # Of each CPU and hash value: page, slot, count.
        self.hash: dict[tuple[int, int], list[int]] = {}

    def map(self, asked: Asked, woken: bool) -> Answer:
        answer = Answer()
        if woken:
            return self.fall_back(asked, woken, answer)
        cpu, hashed = asked.cpu, self.hash.get((asked.cpu, asked.page % 8))
        if hashed and hashed[0] == asked.page:
            hashed[2] += 1
            return Answer("hit", self.slots + hashed[1])
        if self.shadow_epoch[cpu] != self.epoch:
            self.shadow_epoch[cpu] = self.epoch
            if self.space[cpu][1] <= self.wrapped_at:
                answer.flush({cpu})
        answer.looked_at = 1
        idx = next((k for k in range(self.cursor, self.entries) if k not in self.inuse), None)
        if idx is None:
            answer.looked_at = 2
            answer.passes = [(1, 0)]
            self.inuse -= self.garbage
            self.garbage = set()
            idx = next((k for k in range(self.entries) if k not in self.inuse), None)
            if idx is None:
                idx = self.replace_entry(cpu, asked.page)
            if idx is None:
                return self.fall_back(asked, woken, answer)
            answer.flush({cpu})
            self.epoch += 1
            self.shadow_epoch[cpu], self.wrapped_at = self.epoch, self.clock
        self.inuse.add(idx)
        self.cursor = idx + 1
        answer.slot = self.slots + idx
        return answer

    def replace_entry(self, cpu: int, page: int) -> int | None:
        """Take the slot of a mapping in the CPU's hash that nobody uses."""
        for k in range(8):
            entry = self.hash.get((cpu, (page + k) % 8))
            if entry and entry[2] == 0:
                return self.hash.pop((cpu, (page + k) % 8))[1]
        return None

    def unmap_own(self, asked: Asked, slot: int) -> None:
        at = (asked.cpu, asked.page % 8)
        entry = self.hash.get(at)
        if entry and entry[1] == slot:
            entry[2] -= 1
        elif entry and entry[2]:
            self.garbage.add(slot)
        else:
            if entry:
                self.garbage.add(entry[1])
            self.hash[at] = [asked.page, slot, 0]
