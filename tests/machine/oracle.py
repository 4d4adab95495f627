"""What the designs must do, told a second time with dicts and lists, and the state machine that compares.

The oracles know pages, users and sleepers, and nothing of counts that mean more than they say, of free lists
or of steps. A `AllocatorMachine` drives a design in an order that Hypothesis chooses, and holds every answer
against its oracle's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, ClassVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from pipeline.allocators.api.allocator import Allocator
from pipeline.schema.names import KINDS
from tests.machine.steps import ASLEEP, HOME, Bench, Task

PAGES = 12
MOST_NESTED = 3
_ANY = st.integers(0, 1 << 16)

THOROUGH = settings(
    max_examples=100,
    stateful_step_count=60,
    deadline=None,
    derandomize=True,
    database=None,
    report_multiple_bugs=False,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@dataclass
class Answer:
    """What became of one map: its slot (None: it must sleep) and what finding it took."""

    slot: tuple[int, int] | None = None
    hit: bool = False
    probed: int = 0
    scans: int = 0
    freed: int = 0
    flushes: int = 0


@dataclass
class CachedPools:
    """Pools of cached mappings, each with a cursor that goes round; a pass and a flush each time one wraps.

    Pool `s` has the slots (s, 0) to (s, slots - 1); a pass is over its own slots only, or over all.
    """

    slots: int
    flush_if_any: bool
    pools: int = 1
    pass_over_all: bool = False
    cursor: list[int] = field(default_factory=list)
    page_in: dict[tuple[int, int], int] = field(default_factory=dict)
    users: dict[tuple[int, int], int] = field(default_factory=dict)
    sleepers: list[list[int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.cursor = [0] * self.pools
        self.sleepers = [[] for _ in range(self.pools)]

    def map(self, page: int, s: int = 0) -> Answer:
        """Find the page anywhere or a clean slot of pool `s` for it, or say that the task must sleep."""
        for slot, cached in self.page_in.items():
            if cached == page:
                self.users[slot] += 1
                return Answer(slot, hit=True)
        answer = Answer()
        left = self.slots
        while left > 0:
            wraps = self.cursor[s] == self.slots - 1
            self.cursor[s] = 0 if wraps else self.cursor[s] + 1
            slot = (s, self.cursor[s])
            answer.probed += 1
            if wraps:
                self._pass(s, answer)
                left = self.slots
            if slot not in self.page_in:
                self.page_in[slot] = page
                self.users[slot] = 1
                answer.slot = slot
                return answer
            left -= 1
        return answer

    def _pass(self, s: int, answer: Answer) -> None:
        passed = [slot for slot in self.page_in if self.pass_over_all or slot[0] == s]
        unused = [slot for slot in passed if self.users[slot] == 0]
        for slot in unused:
            del self.page_in[slot], self.users[slot]
        answer.scans += 1
        answer.freed += len(unused)
        answer.flushes += bool(unused) or not self.flush_if_any

    def unmap(self, slot: tuple[int, int]) -> bool:
        """Drop one use; return whether sleepers must be woken."""
        self.users[slot] -= 1
        return self.users[slot] == 0 and bool(self.sleepers[slot[0]])

    def full(self, s: int) -> bool:
        """Whether every slot of pool `s` is mapped by users."""
        return all(self.users.get((s, k)) for k in range(self.slots))


@dataclass
class PerCpuPools:
    """A few slots for each CPU; a task that finds none free on its CPU sleeps there."""

    cpus: int
    slots_per_cpu: int
    taken: dict[int, set[int]] = field(default_factory=dict)
    sleepers: dict[int, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.taken = {cpu: set() for cpu in range(self.cpus)}
        self.sleepers = {cpu: [] for cpu in range(self.cpus)}

    def full(self, cpu: int) -> bool:
        """Whether all slots of the CPU are taken."""
        return len(self.taken[cpu]) == self.slots_per_cpu

    def take(self, cpu: int, slot: int) -> None:
        """`slot` is taken by a task on `cpu`: it must be that CPU's, and free."""
        assert cpu * self.slots_per_cpu <= slot < (cpu + 1) * self.slots_per_cpu
        assert slot not in self.taken[cpu]
        self.taken[cpu].add(slot)

    def free(self, cpu: int, slot: int) -> bool:
        """`slot` is free again; return whether sleepers of the CPU must be woken."""
        self.taken[cpu].remove(slot)
        return bool(self.sleepers[cpu])


class AllocatorMachine(RuleBasedStateMachine):
    """Tasks map and unmap in any order and interleaving; a subclass compares each step with its oracle."""

    allocator: ClassVar[Allocator]
    bench: Bench
    sound = False

    def lay_out(
        self, options: dict[str, str], cpus: int, tasks: int, nested: int = MOST_NESTED,
        processes: int | None = None,
    ) -> None:  # fmt: skip
        """Set up the design with nothing mapped; a task is to have at most `nested` mappings at once."""
        self.bench = Bench(self.allocator, options, cpus, tasks, PAGES, processes)
        self.nested = nested
        self.sound = True

    def answered(self, task: Task) -> None:
        """The design has been asked for the task's next action."""
        raise NotImplementedError

    def carried_out(self, task: Task, action: int, woken: list[Task]) -> None:
        """The task's last action has been carried out, and has woken `woken`."""
        raise NotImplementedError

    def compare(self) -> None:
        """Hold the design's state against the oracle's."""
        raise NotImplementedError

    def quiet(self) -> None:
        """Check what holds when every task is at home or asleep."""
        assert self.bench.problems() == []

    def kind_of(self, task: Task, page: int, where: int) -> int:
        """Kind of a mapping: half of the pages are page tables; each is now and then mapped as another."""
        page_table = page % 2 == (where % 8 != 0)
        # The kinds of single pages that are no page table.
        return 0 if page_table else 1 + page % (KINDS.index("vmap") - 1)

    def free_tasks(self, mapped: bool) -> list[Task]:
        """Tasks at home that can have a CPU, and have something mapped or may map more."""
        return [
            task
            for task in self.bench.tasks
            if task.state == HOME
            and self.bench.cpus_for(task)
            and (task.mapped if mapped else len(task.mapped) < self.nested)
        ]

    @precondition(lambda self: self.free_tasks(mapped=False))
    @rule(who=_ANY, where=_ANY, page=st.integers(0, PAGES - 1))
    def map(self, who: int, where: int, page: int) -> None:
        task = one_of(self.free_tasks(mapped=False), who)
        self.bench.begin(
            task, one_of(self.bench.cpus_for(task), where), page, self.kind_of(task, page, where)
        )

    @precondition(lambda self: self.free_tasks(mapped=True))
    @rule(who=_ANY, where=_ANY)
    def unmap(self, who: int, where: int) -> None:
        task = one_of(self.free_tasks(mapped=True), who)
        self.bench.begin(task, one_of(self.bench.cpus_for(task), where), None)

    @precondition(lambda self: self.free_tasks(mapped=True))
    @rule(who=_ANY, where=_ANY)
    def use(self, who: int, where: int) -> None:
        task = one_of(self.free_tasks(mapped=True), who)
        self.bench.use(task, one_of(self.bench.cpus_for(task), where))

    @precondition(lambda self: self.bench.runnable())
    @rule(who=_ANY, where=_ANY)
    def step(self, who: int, where: int) -> None:
        self.advance(who, where)

    def advance(self, who: int, where: int) -> int:
        """Take one step, compare, and return the action that the design asks for."""
        task = one_of(self.bench.runnable(), who)
        self.sound = False
        action = task.action
        woken = self.bench.step(task, one_of(self.bench.cpus_for(task) or [task.cpu], where))
        self.carried_out(task, action, woken)
        self.answered(task)
        if not self.bench.flushing:
            self.compare()
        self.sound = True
        return task.action

    @precondition(lambda self: self.bench.runnable())
    @rule(who=st.lists(_ANY, min_size=4, max_size=4))
    def come_to_rest(self, who: list[int]) -> None:
        turn = 0
        while self.bench.runnable():
            self.advance(who[turn % 4] + turn, who[-1])
            turn += 1
            assert turn < 10_000, "the tasks never come to rest"
        self.quiet()

    @precondition(lambda self: all(task.state == ASLEEP for task in self.bench.tasks))
    @rule()
    def be_deadlocked(self) -> None:
        self.quiet()
        assert any(task.mapped for task in self.bench.tasks)

    def teardown(self) -> None:
        """Undo every mapping of a task that is not asleep, until nothing is mapped or all sleep."""
        # After a failure the state is not worth undoing, and an error in doing so would hide the first.
        if not self.sound:
            return
        while True:
            if self.bench.runnable():
                self.come_to_rest([0, 1, 2, 3])
            tasks = self.free_tasks(mapped=True)
            if not tasks:
                break
            self.bench.begin(tasks[0], one_of(self.bench.cpus_for(tasks[0]), 0), None)
        self.quiet()
        # Who still sleeps waits for a mapping that a sleeper holds.
        asleep = [task for task in self.bench.tasks if task.state == ASLEEP]
        assert not asleep or any(task.mapped for task in asleep)


def one_of(among: list[Any], number: int) -> Any:
    return among[number % len(among)]


def wander(machine: AllocatorMachine, seed: int, turns: int, start: Callable[[], None]) -> Counter[int]:
    """Drive a machine at random for longer than Hypothesis does; count the actions the design took.

    Maps come faster than they go, so that a pool is exhausted much of the time. A deadlock, which nested maps
    bring about sooner or later, is checked and left by starting anew.
    """
    chance = Random(seed)
    taken: Counter[int] = Counter()
    start()
    for _ in range(turns):
        who, where = chance.randrange(1 << 16), chance.randrange(1 << 16)
        outermost = [k for k, task in enumerate(machine.free_tasks(mapped=False)) if not task.mapped]
        if all(task.state == ASLEEP for task in machine.bench.tasks):
            machine.be_deadlocked()
            start()
        elif machine.bench.runnable() and chance.random() < 0.8:
            taken[machine.advance(who, where)] += 1
        elif outermost and chance.random() < 0.7:
            machine.map(outermost[who % len(outermost)], where, chance.randrange(PAGES))
        elif machine.free_tasks(mapped=False) and chance.random() < 0.1:
            machine.map(who, where, chance.randrange(PAGES))
        elif machine.free_tasks(mapped=True):
            machine.use(who, where)
            machine.unmap(who, where)
    machine.teardown()
    return taken
