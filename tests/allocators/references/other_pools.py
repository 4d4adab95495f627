"""Designs with one pool for the machine that is not the kernel's."""

from __future__ import annotations

from tests.allocators.answer import Answer, Asked, Reference


class DirectMap(Reference):
    """Every page has its address."""

    def map(self, asked: Asked, woken: bool) -> Answer:
        return Answer("direct")

    def unmap(self, asked: Asked, slot: int) -> Answer:
        return Answer("unmapped")


class AlwaysFlush(Reference):
    """Pages in force have a slot, of the free ones that freed last; each new one flushes."""

    def __init__(self, cpus: int, tasks: int, slots: int) -> None:
        super().__init__(cpus, tasks)
        self.free = list(range(slots))[::-1]
        self.slot_of: dict[int, int] = {}
        self.users: dict[int, int] = {}

    def map(self, asked: Asked, woken: bool) -> Answer:
        if asked.page in self.slot_of:
            self.users[asked.page] += 1
            return Answer("hit", self.slot_of[asked.page])
        if not self.free:
            return self.sleep(asked, 0, Answer())
        slot = self.slot_of[asked.page] = self.free.pop()
        self.users[asked.page] = 1
        answer = Answer(slot=slot)
        answer.flush(self.all_cpus)
        return answer

    def unmap(self, asked: Asked, slot: int) -> Answer:
        self.users[asked.page] -= 1
        if self.users[asked.page]:
            return Answer("unmapped")
        self.free.append(self.slot_of.pop(asked.page))
        return Answer("unmapped", woken=self.wake(0))


class EpochPool(Reference):
    """Bligh: a slot is taken anew when its address has gone from CPUs that ran on since its release."""

    def __init__(self, cpus: int, tasks: int, slots: int, wake: str = "all") -> None:
        super().__init__(cpus, tasks)
        self.slots, self.how, self.cursor = slots, wake, 0
        self.page_in: dict[int, int] = {}
        self.users: dict[int, int] = {}
        self.released: dict[int, int] = {}

    def map(self, asked: Asked, woken: bool) -> Answer:
        for slot, page in self.page_in.items():
            if page == asked.page:
                self.users[slot] += 1
                return Answer("hit", slot)
        answer = Answer()
        for _ in range(self.slots):
            self.cursor = slot = (self.cursor + 1) % self.slots
            answer.looked_at += 1
            if self.users.get(slot, 0) == 0:
                break
        else:
            return self.sleep(asked, 0, answer)
        stale = {c for c, (_, since) in self.space.items() if since <= self.released.get(slot, 0)}
        answer.flush(stale, {slot})
        self.page_in[slot], self.users[slot] = asked.page, 1
        answer.slot = slot
        return answer

    def unmap(self, asked: Asked, slot: int) -> Answer:
        self.users[slot] -= 1
        self.released[slot] = self.clock
        return Answer("unmapped", woken=self.wake(0, self.how) if self.users[slot] == 0 else [])


class SfBuf(Reference):
    """sf_buf_alloc and sf_buf_free: `sf_buf_freelist`, and each buffer's `m`, `ref_count` and `cpumask`."""

    def __init__(
        self, cpus: int, tasks: int, slots: int, cpu_private: bool = True, wake: str = "one"
    ) -> None:
        super().__init__(cpus, tasks)
        self.private, self.how = cpu_private, wake
        self.freelist = list(range(slots))
        self.m: dict[int, int] = {}
        self.ref_count = [0] * slots
        self.cpumask: list[set[int]] = [set() for _ in range(slots)]
        # Buffers of each page, the one entered last first.
        self.active: dict[int, list[int]] = {}

    def map(self, asked: Asked, woken: bool) -> Answer:
        found = self.active.get(asked.page, [])
        if found and not woken:
            slot, served = found[0], "hit"
            if self.ref_count[slot] == 0:
                self.freelist.remove(slot)
        elif not self.freelist:
            return self.sleep(asked, 0, Answer())
        else:
            slot, served = self.freelist.pop(0), "miss"
            if slot in self.m:
                self.active[self.m[slot]].remove(slot)
            self.active.setdefault(asked.page, []).insert(0, slot)
            self.m[slot] = asked.page
            self.cpumask[slot] = set()
        self.ref_count[slot] += 1
        answer = Answer(served, slot)
        wanted = {asked.cpu} if self.private else set(self.all_cpus)
        answer.flush(wanted - self.cpumask[slot], {slot})
        self.cpumask[slot] |= wanted
        return answer

    def unmap(self, asked: Asked, slot: int) -> Answer:
        self.ref_count[slot] -= 1
        if self.ref_count[slot]:
            return Answer("unmapped")
        self.freelist.append(slot)
        return Answer("unmapped", woken=self.wake(0, self.how))
