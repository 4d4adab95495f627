"""Calling a design step by step, without the engine: who goes next is up to the caller.

A task is at home (free to map or unmap), running in the kernel on a CPU, ready (woken, without a CPU) or
asleep. A CPU runs one task in the kernel until that is done or falls asleep, as the machine does; between map
and unmap the task is at home and takes no CPU, unless it must not leave the one it has. A CPU stays in the
address space of the task that it ran last. One `step` carries out the task's last action and asks the design
for the next. A worker is at home until a step wakes it; it is then ready, and steps like a task.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from pipeline.allocators.api import actions
from pipeline.allocators.api.allocator import Allocator
from pipeline.allocators.api.contract import Check, Shape, parse_options
from pipeline.allocators.api.protocols import StepCost
from pipeline.machine.engine.records import STEP_COST
from pipeline.machine.machine_state import build_allocator
from pipeline.schema import codes

FLUSHES = (actions.FLUSH_ALL, actions.FLUSH_MASK, actions.FLUSH_LOCAL, actions.REPEAT_ALL, actions.SHOOT_DOWN)
HOME, KERNEL, READY, ASLEEP = "at home", "in the kernel", "ready", "asleep"
_SPENDING = (
    "shared_entries", "local_entries", "probes", "scans", "scanned", "freed", "pte_writes",
    "invalidations",
)  # fmt: skip


class Request(SimpleNamespace):
    """What the design sees of one operation, and what its steps have spent since it last got a lock."""

    def spent(self) -> dict[str, int]:
        """Everything spent, by its name in the step cost; `flushes` too."""
        return {name: getattr(self, name) for name in ("flushes", *_SPENDING)}

    def forget_spending(self) -> None:
        """Begin to count anew."""
        vars(self).update(dict.fromkeys(("flushes", *_SPENDING), 0))


@dataclass
class Task:
    """One task: `mapped` holds its mappings in force, innermost last; `request` is what it is in."""

    number: int
    process: int
    state: str = HOME
    cpu: int = 0
    pinned: int = 0
    atomic: int = 0
    mapped: list[Any] = field(default_factory=list)
    request: Any = None
    action: int = actions.STEP
    argument: int = 0
    again: bool = False
    """of a worker: it was woken while it ran"""


class Bench:
    """A design's state, some tasks and some CPUs."""

    def __init__(
        self, allocator: Allocator, options: dict[str, str], cpus: int, tasks: int, pages: int,
        processes: int | None = None,
    ) -> None:  # fmt: skip
        """Tasks are dealt to `processes` processes in turn; left out, each is one of its own."""
        self.shape = Shape(cpus, tasks, processes or tasks, pages)
        self.module = allocator.module
        self.state = build_allocator(
            allocator, parse_options(allocator.options, options, allocator.name), self.shape
        )
        self.tasks = [Task(number, number % self.shape.processes) for number in range(tasks)]
        coded = allocator.encode(parse_options(allocator.options, options, allocator.name))
        workers = allocator.size("workers", coded, self.shape)
        self.workers = [self._worker(tasks, k) for k in range(workers)]
        self.running: list[Task | None] = [None] * cpus
        self.holders: dict[int, Task] = {}
        self.moment = 0
        self.queues: list[list[Task]] = [[] for _ in self.state.queues]
        self.flushing: set[int] = set()
        self.asked = 0

    @staticmethod
    def _worker(tasks: int, number: int) -> Task:
        request = Request(
            op=-1, page=number, pages=1, task=tasks + number, process=-1, unmapping=codes.WORK, step=0,
            slot=-1, served=-1, budget=0, mark=0, mask=0,
        )  # fmt: skip
        request.forget_spending()
        return Task(tasks + number, -1, request=request)

    def cpus_for(self, task: Task) -> list[int]:
        """CPUs that could run the task now."""
        if task.atomic:
            return [task.cpu]
        free = [c for c, running in enumerate(self.running) if running is None]
        return [c for c in free if c == task.cpu] if task.pinned else free

    def hand_over(self, owner: Task, number: int, task: Task) -> None:
        """Mapping `number` of a task becomes the innermost of another, which can then undo it."""
        task.mapped.append(owner.mapped.pop(number))

    def begin(self, task: Task, cpu: int, page: int | None, kind: int = 0, pages: int = 1) -> None:
        """The task enters the kernel on `cpu` to map from `page` on, or to undo its innermost mapping."""
        if page is None:
            task.request = task.mapped[-1]
            task.request.unmapping = 1
        else:
            self.asked += 1
            task.request = Request(
                op=self.asked, page=page, pages=pages, task=task.number, process=task.process, kind=kind,
                depth=len(task.mapped),
                cpu_map=cpu, slot=-1, served=-1, unmapping=0, budget=0, mark=0, mask=0,
            )  # fmt: skip
            task.request.forget_spending()
        task.request.step = 0
        task.action = actions.STEP
        self._enter(task, cpu)

    def _enter(self, task: Task, cpu: int) -> None:
        assert self.running[cpu] is (task if task.atomic else None)
        self.running[cpu] = task
        task.cpu = cpu
        task.state = KERNEL
        self._come(task, cpu)

    def _come(self, task: Task, cpu: int) -> None:
        """The task has the CPU: it is in the task's address space, and has what the task has mapped."""
        space = self.state.spaces[cpu]
        if task.process >= 0 and space.process != task.process:
            self.moment += 1
            space.process, space.emptied = task.process, self.moment
            if getattr(self.module, "NON_GLOBAL", False):
                self._forget_all([cpu])
        self._switch(task, cpu, "switch_in")

    def _leave(self, task: Task) -> None:
        """The task gives up its CPU."""
        self.running[task.cpu] = None
        self._switch(task, task.cpu, "switch_out")

    def _switch(self, task: Task, cpu: int, hook: str) -> None:
        for request in task.mapped if hasattr(self.module, hook) else ():
            d = self._step_cost(cpu)
            getattr(self.module, hook)(self.state, request, d)
            assert d.pte_writes == 1

    def _forget_all(self, cpus: Iterable[int]) -> None:
        """Nothing is left in the TLBs of these CPUs."""
        for cpu in cpus:
            self.state.tlb.loaded[cpu :: self.shape.cpus] = 0

    def _flush_everywhere(self, first: int, slots: int) -> None:
        """Nothing of these slots' addresses is left in any TLB; 0 slots: nothing at all."""
        cpus = self.shape.cpus
        end = (first + slots) * cpus if slots else None
        self.state.tlb.loaded[first * cpus : end] = 0

    def runnable(self) -> list[Task]:
        """Tasks whose next step can be taken: not those that spin, sleep, or find no CPU."""
        return [task for task in [*self.tasks, *self.workers] if self._can_step(task)]

    def _can_step(self, task: Task) -> bool:
        if task.state == READY:
            return bool(self.cpus_for(task))
        return task.state == KERNEL and (task.action != actions.LOCK or task.argument not in self.holders)

    def step(self, task: Task, cpu: int) -> list[Task]:
        """Carry out the task's action and ask for the next; `cpu` is for a woken task. Return who was woken.

        A task that has fallen asleep or is done leaves the kernel at once, so that its CPU is free.
        """
        if task.state == READY:
            self._enter(task, cpu)
        woken = self._carry_out(task)
        self._ask(task)
        if task.action == actions.SLEEP:
            self._fall_asleep(task)
        elif task.action == actions.PREFAULT:
            self._prefault(task)
        elif task.action == actions.DONE:
            self._finish(task)
        return woken

    def _carry_out(self, task: Task) -> list[Task]:
        action = task.action
        if action == actions.LOCK:
            self.holders[task.argument] = task
            task.request.forget_spending()
        elif action == actions.UNLOCK:
            assert self.holds(task), "released a lock that it does not hold"
            self._release(task)
        elif action in FLUSHES:
            mask = task.request.mask
            if action == actions.FLUSH_ALL:
                self._flush_everywhere(task.request.range_first, task.request.range_slots)
            elif action == actions.FLUSH_LOCAL:
                self._forget_all([task.cpu])
            elif action == actions.FLUSH_MASK:
                self._forget_all(cpu for cpu in range(self.shape.cpus) if mask >> cpu & 1)
            task.request.flushes += 1
        elif action == actions.ATTEMPT:
            self._touch(task.request, task.cpu)
        elif action in (actions.WAKE_ALL, actions.WAKE_ONE):
            return self._wake(task.argument, 1 if action == actions.WAKE_ONE else len(self.tasks))
        elif action == actions.WAKE_WORKER:
            self._wake_worker(self.workers[task.argument])
        return []

    def holds(self, task: Task) -> bool:
        """Whether the task holds a lock."""
        return task in self.holders.values()

    def _release(self, task: Task) -> None:
        self.holders = {lock: holder for lock, holder in self.holders.items() if holder is not task}

    def _step_cost(self, cpu: int) -> Any:
        names = (*(STEP_COST.names or ()), *StepCost.__annotations__)
        step_cost: dict[str, int] = dict.fromkeys(names, 0)
        own = {"cpu": cpu, "cpus": self.shape.cpus, "finding": -1, "moment": self.moment}
        return SimpleNamespace(**step_cost | own)

    def _ask(self, task: Task) -> None:
        d = self._step_cost(task.cpu)
        steps = {codes.MAP: "map_step", codes.UNMAP: "unmap_step", codes.WORK: "work_step"}
        task.action = getattr(self.module, steps[task.request.unmapping])(self.state, task.request, d)
        task.argument = d.lock if task.action == actions.LOCK else d.queue
        task.request.mask = d.cpu_mask
        task.request.range_first, task.request.range_slots = d.range_first, d.range_slots
        task.pinned += d.pin
        task.atomic += d.atomic
        assert d.finding == -1, f"finding {d.finding}"
        for name in _SPENDING:
            setattr(task.request, name, getattr(task.request, name) + getattr(d, name))
        assert (d.cpu_mask != 0) == (task.action in (actions.FLUSH_MASK, actions.SHOOT_DOWN))
        if task.action in FLUSHES:
            self.flushing.add(task.number)
            for slot in self.state.invalidated.slot[: d.everywhere].tolist():
                self.state.tlb.loaded[slot * self.shape.cpus : (slot + 1) * self.shape.cpus] = 0
        else:
            self.flushing.discard(task.number)

    def _prefault(self, task: Task) -> None:
        """An outermost operation blocks, and goes on where it finds a CPU; a nested one has nothing to do."""
        assert not self.holds(task), "blocks with the lock held"
        if not task.mapped:
            self._leave(task)
            task.state = READY

    def _fall_asleep(self, task: Task) -> None:
        assert not task.atomic, "sleeps where it must not"
        self.queues[task.argument].append(task)
        self.state.queues[task.argument].sleepers += 1
        task.state = ASLEEP
        self._leave(task)
        self._release(task)

    def _wake(self, queue: int, most: int) -> list[Task]:
        woken = self.queues[queue][:most]
        del self.queues[queue][:most]
        self.state.queues[queue].sleepers = len(self.queues[queue])
        for task in woken:
            task.state = READY
        return woken

    @staticmethod
    def _wake_worker(worker: Task) -> None:
        if worker.state == HOME:
            worker.state, worker.action, worker.request.step = READY, actions.STEP, 0
        worker.again = worker.state in (KERNEL, ASLEEP)

    def _finish(self, task: Task) -> None:
        assert not self.holds(task), "done with the lock held"
        task.state = HOME
        if task.request.unmapping == codes.WORK:
            if task.again:
                self._wake_worker(task)
        elif task.request.unmapping:
            task.mapped.pop()
        else:
            task.mapped.append(task.request)
            self._touch(task.request, task.cpu)
        if not task.atomic:
            self._leave(task)

    def use(self, task: Task, cpu: int) -> None:
        """The task uses its innermost mapping on `cpu`, and then has no CPU: its TLB entry must fit."""
        self._come(task, cpu)
        self._touch(task.mapped[-1], cpu)
        self._switch(task, cpu, "switch_out")

    def _touch(self, request: Request, cpu: int) -> None:
        for slot in range(request.slot, request.slot + request.pages) if request.slot >= 0 else ():
            page = request.page + slot - request.slot
            entry = self.state.tlb[slot * self.shape.cpus + cpu]
            assert entry.loaded in (0, page + 1), f"cpu {cpu} uses slot {slot} with a stale translation"
            entry.loaded = page + 1

    def users(self) -> dict[int, int]:
        """Mappings in force per slot, as the tasks at home have them."""
        users: dict[int, int] = {}
        for task in self.tasks:
            for request in task.mapped:
                users[request.slot] = users.get(request.slot, 0) + 1
        return users

    def problems(self) -> list[str]:
        """What the design's own check says; only while no task is in the kernel or ready."""
        check = getattr(self.module, "check", None)
        return check(self.state, self.live()) if check else []

    def live(self) -> Check:
        """What a design's check is told."""
        return Check(self.shape, self.users(), [len(queue) for queue in self.queues])
