"""The kernel's areas of several pages, by four of its versions; any task may undo any mapping."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from tests.allocators.answer import Answer, Asked, Reference


@dataclass
class Space:
    """Addresses that are taken: the first page and length of each area."""

    pages: int
    areas: dict[int, int] = field(default_factory=dict)

    def lowest_gap(self, pages: int, alignment: int = 1) -> int | None:
        """The lowest multiple of `alignment` from which that many pages are free."""
        ends = sorted([0, *(first + length for first, length in self.areas.items())])
        for at in (-(-end // alignment) * alignment for end in ends):
            if at + pages <= self.pages and not any(
                first < at + pages and at < first + length for first, length in self.areas.items()
            ):
                return at
        return None

    def below(self, page: int) -> int:
        """How many areas begin below a page."""
        return sum(first < page for first in self.areas)

    def depth(self) -> int:
        """Levels of a balanced tree of the areas."""
        return (len(self.areas) + 1).bit_length()


class VmapGlobal(Reference):
    """`__get_vm_area` and `__remove_vm_area` of 2.6.27: `vmlist`."""

    def __init__(self, cpus: int, tasks: int, space_pages: int, guard_pages: int = 1) -> None:
        super().__init__(cpus, tasks)
        self.vmlist = Space(space_pages)
        self.guard = guard_pages

    def map(self, asked: Asked, woken: bool) -> Answer:
        size = asked.pages + self.guard
        addr = self.vmlist.lowest_gap(size)
        if addr is None:
            return self.sleep(asked, 0, Answer(looked_at=len(self.vmlist.areas) + 1))
        passed = self.vmlist.below(addr)
        self.vmlist.areas[addr] = size
        return Answer("miss", addr, looked_at=passed + 1)

    def unmap(self, asked: Asked, slot: int) -> Answer:
        answer = Answer("unmapped", looked_at=self.vmlist.below(slot) + 1)
        answer.flush(self.all_cpus, set(range(slot, slot + self.vmlist.areas.pop(slot))))
        answer.woken = self.wake(0)
        return answer


class VmapLazy(Reference):
    """`alloc_vmap_area`, `free_unmap_vmap_area_noflush` and `__purge_vmap_area_lazy` of 2.6.28."""

    def __init__(
        self, cpus: int, tasks: int, space_pages: int, guard_pages: int = 1, lazy_pages: int = 0,
        drain: str = "caller",
    ) -> None:  # fmt: skip
        super().__init__(cpus, tasks)
        self.tree, self.guard = Space(space_pages), guard_pages
        self.lazy: dict[int, int] = {}
        self.lazy_max = lazy_pages or cpus.bit_length() * 32 * 1024 // 4
        self.by_worker = drain == "worker"

    def purge(self, answer: Answer) -> None:
        answer.passes.append((len(self.tree.areas), len(self.lazy)))
        if self.lazy:
            end = max(first + length for first, length in self.lazy.items())
            answer.flush(self.all_cpus, set(range(min(self.lazy), end)))
        for first in self.lazy:
            del self.tree.areas[first]
        self.lazy = {}
        answer.woken += self.wake(0)

    def retire(self) -> None:
        """Make lazy what is kept for later maps, as there is no room."""

    def find(self, asked: Asked, answer: Answer, size: int, alignment: int = 1) -> int | None:
        """Take the lowest gap; None: there is none, now or after a purge."""
        addr = self.tree.lowest_gap(size, alignment)
        passed = len(self.tree.areas) if addr is None else self.tree.below(addr)
        answer.looked_at += passed + 1
        if addr is not None:
            self.tree.areas[addr] = size
            return addr
        self.retire()
        if self.lazy and not self.by_worker:
            self.purge(answer)
            return self.find(asked, answer, size, alignment)
        if self.lazy:
            answer.works.append(0)
        return None

    def map(self, asked: Asked, woken: bool) -> Answer:
        answer = Answer()
        answer.slot = self.find(asked, answer, asked.pages + self.guard)
        return self.sleep(asked, 0, answer) if answer.slot is None else answer

    def unmap(self, asked: Asked, slot: int) -> Answer:
        answer = Answer("unmapped", looked_at=self.tree.depth())
        self.free_lazily(slot, answer)
        return answer

    def free_lazily(self, first: int, answer: Answer) -> None:
        self.lazy[first] = self.tree.areas[first]
        if sum(self.lazy.values()) > self.lazy_max or self.asleep.get(0):
            if self.by_worker:
                answer.works.append(0)
            else:
                self.purge(answer)

    def work(self, number: int) -> Answer:
        answer = Answer("worked")
        self.purge(answer)
        return answer


@dataclass
class VmapBlock:
    """`struct vmap_block`."""

    first: int
    used: int = 0
    dirty: int = 0


class VmapBlocks(VmapLazy):
    """`vb_alloc` and `vb_free`: `vmap_block_queue` of each CPU, the newest block first."""

    def __init__(self, cpus: int, tasks: int, space_pages: int, block_pages: int = 0, **how: object) -> None:
        super().__init__(cpus, tasks, space_pages, **how)  # type: ignore[arg-type]
        share = space_pages // (1 << (cpus - 1).bit_length()) // 16
        wanted = block_pages or min(1024, max(128, share))
        self.size = 1 << min((wanted - 1).bit_length(), space_pages.bit_length() - 1)
        self.blocks: dict[int, VmapBlock] = {}
        self.queues: dict[int, list[VmapBlock]] = defaultdict(list)

    def rounded(self, asked: Asked) -> int | None:
        """1 << order, or None for a mapping that is an area of its own."""
        pages = 1 << (asked.pages - 1).bit_length()
        return pages if asked.pages <= 64 and pages <= self.size else None

    def map(self, asked: Asked, woken: bool) -> Answer:
        pages, queue, answer = self.rounded(asked), self.queues[asked.cpu], Answer()
        if pages is None:
            return super().map(asked, woken)
        block = next((block for block in queue if block.used + pages <= self.size), None)
        if block is None:
            self.purge_fragmented(asked.cpu, self.size // 4)
            first = self.find(asked, answer, self.size, self.size)
            if first is None:
                return self.sleep(asked, 0, answer)
            block = self.blocks[first] = VmapBlock(first)
            queue.insert(0, block)
        answer.slot = block.first + block.used
        block.used += pages
        if block.used == self.size:
            queue.remove(block)
        return answer

    def retire(self) -> None:
        for cpu in range(self.cpus):
            self.purge_fragmented(cpu, self.size)

    def purge_fragmented(self, cpu: int, most_left: int) -> None:
        for block in list(self.queues[cpu]):
            if block.used == block.dirty and self.size - block.used < most_left:
                self.queues[cpu].remove(block)
                del self.blocks[block.first]
                self.lazy[block.first] = self.size

    def unmap(self, asked: Asked, slot: int) -> Answer:
        pages, answer = self.rounded(asked), Answer("unmapped")
        if pages is None:
            return super().unmap(asked, slot)
        block = next(block for first, block in self.blocks.items() if first <= slot < first + self.size)
        block.dirty += pages
        if block.dirty == self.size:
            del self.blocks[block.first]
            self.free_lazily(block.first, answer)
        return answer


class VmapNodes(Reference):
    """`vmap_node` of 6.9: `pool` by length, `lazy`, and the global tree `free_vmap_area`."""

    LONGEST = 256

    def __init__(
        self, cpus: int, tasks: int, space_pages: int, nodes: int = 0, guard_pages: int = 1,
        lazy_pages: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(cpus, tasks)
        self.tree, self.guard, self.nodes = Space(space_pages), guard_pages, nodes or cpus
        self.lazy_max = lazy_pages or cpus.bit_length() * 32 * 1024 // 4
        # Newest last.
        self.pool: dict[tuple[int, int], list[int]] = defaultdict(list)
        self.lazy: dict[int, list[int]] = defaultdict(list)
        self.owner: dict[int, int] = {}

    def map(self, asked: Asked, woken: bool) -> Answer:
        size, node, answer = asked.pages + self.guard, asked.cpu % self.nodes, Answer()
        if self.pool[node, size]:
            answer.slot = self.pool[node, size].pop()
        else:
            answer.looked_at = self.tree.depth()
            answer.slot = self.tree.lowest_gap(size)
        if answer.slot is None:
            if any(self.pool.values()) or any(self.lazy.values()):
                answer.works.append(0)
            return self.sleep(asked, 0, answer)
        self.tree.areas[answer.slot] = size
        self.owner[answer.slot] = node
        return answer

    def unmap(self, asked: Asked, slot: int) -> Answer:
        answer = Answer("unmapped")
        self.lazy[self.owner[slot]].append(slot)
        vmap_lazy_nr = sum(self.tree.areas[first] for lazy in self.lazy.values() for first in lazy)
        if vmap_lazy_nr > self.lazy_max or self.asleep.get(0):
            answer.works.append(0)
        return answer

    def work(self, number: int) -> Answer:
        answer, short = Answer("worked"), bool(self.asleep.get(0))
        for areas in self.pool.values():
            decayed = len(areas) if short else len(areas) // 4
            for first in areas[len(areas) - decayed :]:
                del self.tree.areas[first]
            del areas[len(areas) - decayed :]
        purged = [first for lazy in self.lazy.values() for first in lazy]
        answer.passes.append((len(purged), len(purged)))
        if purged:
            end = max(first + self.tree.areas[first] for first in purged)
            answer.flush(self.all_cpus, set(range(min(purged), end)))
        for node, lazy in self.lazy.items():
            for first in reversed(lazy):
                length = self.tree.areas[first]
                if short or length > self.LONGEST:
                    del self.tree.areas[first]
                else:
                    self.pool[node, length].append(first)
            lazy.clear()
        answer.woken = self.wake(0)
        return answer
