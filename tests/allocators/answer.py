"""What is asked of a design and of its reference, and what both answer."""

from __future__ import annotations

from dataclasses import dataclass, field

EVERYTHING = None
"""In place of addresses: all that a TLB holds."""

Flush = tuple[frozenset[int] | None, frozenset[int]]
"""Slots whose addresses are invalidated (or EVERYTHING), and the CPUs on which they are."""


@dataclass(frozen=True)
class Asked:
    """One mapping, asked for or to be undone on `cpu`; `depth` mappings of its task lie round it."""

    op: int
    task: int
    process: int
    cpu: int
    page: int
    page_table: bool
    copy: bool
    depth: int
    pages: int = 1


@dataclass
class Answer:
    """What became of one attempt, which ends when the request is done or when its task falls asleep."""

    served: str = "miss"
    """hit, miss, fallback, direct; sleeps; unmapped; of a worker: worked"""
    slot: int | None = None
    looked_at: int = 0
    """slots looked at in search of one"""
    passes: list[tuple[int, int]] = field(default_factory=list)
    """of each pass: slots passed over, and those of them made clean"""
    flushes: list[Flush] = field(default_factory=list)
    woken: list[int] = field(default_factory=list)
    """tasks, in the order in which they fell asleep"""
    works: list[int] = field(default_factory=list)
    """workers that were woken, whether or not they slept"""

    def flush(self, cpus: set[int] | frozenset[int], slots: set[int] | None = EVERYTHING) -> None:
        """Note that TLBs are flushed, where there are any and anything is to go."""
        if cpus and slots != set():
            self.flushes.append((None if slots is None else frozenset(slots), frozenset(cpus)))


class Reference:
    """A design told in plain Python; a subclass answers requests that come one after another."""

    def __init__(self, cpus: int, tasks: int) -> None:
        self.cpus = cpus
        self.all_cpus = frozenset(range(cpus))
        self.clock = 0
        # Of each CPU that has run anything: the process in whose address space it is, and since when.
        self.space: dict[int, tuple[int, int]] = {}
        self.asleep: dict[int, list[int]] = {}

    def enter(self, cpu: int, process: int) -> None:
        """A task of `process` gets `cpu`."""
        self.clock += 1
        if self.space.get(cpu, (None, 0))[0] != process:
            self.space[cpu] = (process, self.clock)

    def map(self, asked: Asked, woken: bool) -> Answer:
        """Answer one attempt to map; `woken`: the task has slept for it before."""
        raise NotImplementedError

    def unmap(self, asked: Asked, slot: int) -> Answer:
        """Undo a mapping that has `slot`."""
        raise NotImplementedError

    def work(self, number: int) -> Answer:
        """Let a worker run, from its first step to its last."""
        raise NotImplementedError

    def sleep(self, asked: Asked, queue: int, answer: Answer) -> Answer:
        """Let the task fall asleep."""
        self.asleep.setdefault(queue, []).append(asked.task)
        answer.served = "sleeps"
        return answer

    def wake(self, queue: int, how: str = "all") -> list[int]:
        """Wake the sleepers of a queue, or the first."""
        sleepers = self.asleep.get(queue, [])
        woken = sleepers[: 1 if how == "one" else None]
        self.asleep[queue] = sleepers[len(woken) :]
        return woken
