"""Linux 2.4's mm/highmem.c, and designs that differ from it in little."""

from __future__ import annotations

from tests.allocators.answer import Answer, Asked, Reference


class KernelPool(Reference):
    """`pkmap_count`, `last_pkmap_nr` and `page->virtual`; with colours, of each its own `last_pkmap_nr`."""

    first = 0

    def __init__(
        self,
        cpus: int,
        tasks: int,
        slots: int,
        flush_if_any: bool = False,
        wake: str = "all",
        colours: int = 1,
    ) -> None:
        super().__init__(cpus, tasks)
        self.flush_if_any, self.how, self.groups = flush_if_any, wake, colours
        self.count = [0] * (slots // colours * colours)
        self.last = [self.first] * colours
        self.virtual: dict[int, int] = {}

    def group_of(self, asked: Asked) -> int:
        return asked.page % self.groups

    def members(self, group: int) -> list[int]:
        """The slots whose address has the colour."""
        return [slot for slot in range(len(self.count)) if slot % self.groups == group]

    def map(self, asked: Asked, woken: bool) -> Answer:
        if asked.page in self.virtual:
            slot = self.virtual[asked.page]
            self.count[slot] += 1
            return Answer("hit", slot)
        answer = Answer()
        group = self.group_of(asked)
        slots = self.members(group)
        left = len(slots)
        while left > 0:
            wraps = self.last[group] == len(slots) - 1
            self.last[group] = 0 if wraps else self.last[group] + 1
            answer.looked_at += 1
            if wraps:
                self.flush_all_zero_pkmaps(group, answer)
                left = len(slots)
            slot = slots[self.last[group]]
            if self.count[slot] == 0:
                self.count[slot] = 2
                self.virtual[asked.page] = slot
                answer.slot = slot
                return answer
            left -= 1
        return self.sleep(asked, group, answer)

    def flush_all_zero_pkmaps(self, group: int, answer: Answer) -> None:
        slots = self.passed_over(group)
        freed = {slot for slot in slots if self.count[slot] == 1}
        for slot in freed:
            self.count[slot] = 0
        self.virtual = {page: slot for page, slot in self.virtual.items() if slot not in freed}
        answer.passes.append((len(slots), len(freed)))
        if freed or not self.flush_if_any:
            self.flush_freed(freed, answer)

    def passed_over(self, group: int) -> list[int]:
        return list(range(len(self.count)))

    def flush_freed(self, freed: set[int], answer: Answer) -> None:
        answer.flush(self.all_cpus)

    def unmap(self, asked: Asked, slot: int) -> Answer:
        self.count[slot] -= 1
        group = next(group for group in range(self.groups) if slot in self.members(group))
        return Answer("unmapped", woken=self.wake(group, self.how) if self.count[slot] == 1 else [])


class SeriesPool(KernelPool):
    """-aa: `series` pools of `slots` in a row; page tables in the second, deeper ones in the next."""

    def __init__(
        self, cpus: int, tasks: int, slots: int, series: int = 2, scan: str = "all",
        flush_if_any: bool = False, wake: str = "all",
    ) -> None:  # fmt: skip
        super().__init__(cpus, tasks, slots * series, flush_if_any, wake)
        self.groups, self.size, self.scan = series, slots, scan
        self.last = [0] * series

    def group_of(self, asked: Asked) -> int:
        return min(1 + asked.depth, self.groups - 1) if asked.page_table else 0

    def members(self, group: int) -> list[int]:
        return list(range(group * self.size, (group + 1) * self.size))

    def passed_over(self, group: int) -> list[int]:
        return self.members(group) if self.scan == "own" else super().passed_over(group)


class InvlpgPool(KernelPool):
    """Each freed slot's address goes from every TLB, instead of all that they hold."""

    def flush_freed(self, freed: set[int], answer: Answer) -> None:
        answer.flush(self.all_cpus, freed)


class ClairvoyantPool(KernelPool):
    """The kernel's, but begins with slot 0 and never flushes for nothing."""

    first = -1

    def __init__(self, cpus: int, tasks: int, slots: int, wake: str = "all") -> None:
        super().__init__(cpus, tasks, slots, flush_if_any=True, wake=wake)


class PartedPool(Reference):
    """Dickins (one part) and Bligh (two): the part that is used up is left and made clean."""

    def __init__(self, cpus: int, tasks: int, slots: int, parts: int, batch: int = 0, spare: int = 0) -> None:
        super().__init__(cpus, tasks)
        self.size, self.spare = slots // parts, spare
        self.batch = batch or self.size
        self.parts = [list(range(p * self.size, (p + 1) * self.size)) for p in range(parts)]
        self.current = 0
        self.last = [self.size - 1] * parts
        self.users: dict[int, int] = {}
        self.slot_of: dict[int, int] = {}

    def map(self, asked: Asked, woken: bool) -> Answer:
        if asked.page in self.slot_of:
            slot = self.slot_of[asked.page]
            self.users[slot] += 1
            return Answer("hit", slot)
        answer = Answer()
        if len(self.users) == sum(map(len, self.parts)) and all(self.users.values()):
            return self.sleep(asked, 0, answer)
        while not self.take(asked.page, answer):
            left, self.current = self.current, (self.current + 1) % len(self.parts)
            self.make_clean(self.parts[left], answer)
        if 0 < self.spare == sum(slot not in self.users for slot in self.parts[self.current]):
            # The last before the spare ones is taken; this is for a pool of one part.
            self.make_clean(self.parts[self.current], answer)
        return answer

    def take(self, page: int, answer: Answer) -> bool:
        """Take the first clean slot of the current part after the one taken last."""
        p = self.current
        for distance in range(1, self.size + 1):
            at = (self.last[p] + distance) % self.size
            slot = self.parts[p][at]
            if slot not in self.users:
                self.last[p] = at
                self.users[slot] = 1
                self.slot_of[page] = answer.slot = slot
                answer.looked_at += distance
                return True
        return False

    def make_clean(self, slots: list[int], answer: Answer) -> None:
        """Collect what nobody uses, some slots at a time, then flush."""
        unused = {slot for slot in slots if self.users.get(slot) == 0}
        if not unused:
            return
        for k in range(0, len(slots), self.batch):
            some = slots[k : k + self.batch]
            answer.passes.append((len(some), len(unused.intersection(some))))
        self.users = {slot: users for slot, users in self.users.items() if slot not in unused}
        self.slot_of = {page: slot for page, slot in self.slot_of.items() if slot not in unused}
        answer.flush(self.all_cpus)

    def unmap(self, asked: Asked, slot: int) -> Answer:
        self.users[slot] -= 1
        return Answer("unmapped", woken=self.wake(0) if self.users[slot] == 0 else [])


class LocklessPool(Reference):
    """-rt's mm/highmem.c: `pkmap_try_free`, `pkmap_get_free`, `pkmap_put`."""

    def __init__(self, cpus: int, tasks: int, slots: int, tlb_batch: int = 32, wake: str = "all") -> None:
        super().__init__(cpus, tasks)
        self.count, self.batch, self.how = [1] * slots, tlb_batch, wake
        self.hand = 0
        self.page_in: dict[int, int] = {}

    def try_free(self, slot: int) -> int:
        """Claim a slot that nobody uses: -1: it is in use; 0: it is clean; 1: TLBs may hold it."""
        if self.count[slot] != 1:
            return -1
        self.count[slot] = 0
        return int(self.page_in.pop(slot, None) is not None)

    def put(self, slot: int, count: int, answer: Answer) -> None:
        self.count[slot] = count
        if count == 1:
            answer.woken += self.wake(0, self.how)

    def slot_of(self, page: int) -> int | None:
        return next((slot for slot, mapped in self.page_in.items() if mapped == page), None)

    def map(self, asked: Asked, woken: bool) -> Answer:
        # A woken task is in `pkmap_get_free` and does not look for its page before it has a slot.
        slot = None if woken else self.slot_of(asked.page)
        if slot is not None:
            self.count[slot] += 1
            return Answer("hit", slot)
        answer = Answer()
        for _ in self.count:
            self.hand = (self.hand + 1) % len(self.count)
            answer.looked_at += 1
            freed = self.try_free(self.hand)
            if freed >= 0:
                break
        else:
            return self.sleep(asked, 0, answer)
        if freed == 1:
            self.flush_more(answer)
        slot = self.slot_of(asked.page)
        if slot is not None:
            self.put(self.hand, 1, answer)
            self.count[slot] += 1
            answer.served, answer.slot = "hit", slot
            return answer
        self.page_in[self.hand] = asked.page
        self.count[self.hand] = 2
        answer.slot = self.hand
        return answer

    def flush_more(self, answer: Answer) -> None:
        """Scan ahead of the hand, which stays, for more slots to make clean by the same flush."""
        claimed: list[int] = []
        for ahead in range(1, len(self.count) + 1):
            if len(claimed) == self.batch:
                break
            slot = (self.hand + ahead) % len(self.count)
            answer.looked_at += 1
            freed = self.try_free(slot)
            if freed == 0:
                # The source wakes sleepers here, of which there are none as long as a slot is clean.
                self.count[slot] = 1
            elif freed == 1:
                claimed.append(slot)
        answer.flush(self.all_cpus)
        for slot in claimed:
            self.put(slot, 1, answer)

    def unmap(self, asked: Asked, slot: int) -> Answer:
        answer = Answer("unmapped")
        self.put(slot, self.count[slot] - 1, answer)
        return answer
