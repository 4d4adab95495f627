"""Calling a design step by step, without the engine: who goes next is up to the caller.

A task is at home (free to map or unmap), running in the kernel on a CPU, ready (woken, without a CPU) or
asleep. A CPU runs one task in the kernel until that is done or falls asleep, as the machine does; between map
and unmap the task is at home and takes no CPU, unless it must not leave the one it has. One `step` carries
out the task's last action and asks the design for the next.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from pipeline.allocators.contract import Check, Shape, parse_options
from pipeline.allocators.registry import DesignFile
from pipeline.machine.simulator import actions
from pipeline.machine.simulator.records import DEED
from pipeline.machine.world import build_design

HOME, KERNEL, READY, ASLEEP = "at home", "in the kernel", "ready", "asleep"
_SPENDING = (
    "shared_entries", "local_entries", "probes", "scans", "scanned", "freed", "in_use", "pte_writes",
    "invalidations",
)  # fmt: skip


class Request(SimpleNamespace):
    """What the design sees of one operation, and what its steps have spent since it last got a lock."""

    def spent(self) -> dict[str, int]:
        """Everything spent, by its name in the deed; `flushes` too."""
        return {name: getattr(self, name) for name in ("flushes", *_SPENDING)}

    def forget_spending(self) -> None:
        """Begin to count anew."""
        vars(self).update(dict.fromkeys(("flushes", *_SPENDING), 0))


@dataclass
class Task:
    """One task: `mapped` holds its mappings in force, innermost last; `request` is what it is in."""

    number: int
    state: str = HOME
    cpu: int = 0
    pinned: int = 0
    atomic: int = 0
    mapped: list[Any] = field(default_factory=list)
    request: Any = None
    action: int = actions.STEP
    argument: int = 0


class Bench:
    """A design's state, some tasks and some CPUs."""

    def __init__(
        self, design: DesignFile, options: dict[str, str], cpus: int, tasks: int, pages: int
    ) -> None:
        self.shape = Shape(cpus, tasks, tasks, pages)
        self.module = design.module
        self.state = build_design(design, parse_options(design.options, options, design.name), self.shape)
        self.tasks = [Task(number) for number in range(tasks)]
        self.running: list[Task | None] = [None] * cpus
        self.lock_holder: Task | None = None
        self.queues: list[list[Task]] = [[] for _ in self.state.queues]
        self.flushing: Task | None = None
        self.asked = 0

    def cpus_for(self, task: Task) -> list[int]:
        """CPUs that could run the task now."""
        if task.atomic:
            return [task.cpu]
        free = [c for c, running in enumerate(self.running) if running is None]
        return [c for c in free if c == task.cpu] if task.pinned else free

    def begin(self, task: Task, cpu: int, page: int | None, kind: int = 0) -> None:
        """The task enters the kernel on `cpu` to map `page`, or to undo its innermost mapping."""
        if page is None:
            task.request = task.mapped[-1]
            task.request.unmapping = 1
        else:
            self.asked += 1
            task.request = Request(
                op=self.asked, page=page, task=task.number, process=task.number, kind=kind,
                depth=len(task.mapped),
                cpu_map=cpu, slot=-1, served=-1, unmapping=0, budget=0, mark=0,
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

    def runnable(self) -> list[Task]:
        """Tasks whose next step can be taken: not those that spin, sleep, or find no CPU."""
        return [task for task in self.tasks if self._can_step(task)]

    def _can_step(self, task: Task) -> bool:
        if task.state == READY:
            return bool(self.cpus_for(task))
        return task.state == KERNEL and (task.action != actions.LOCK or self.lock_holder is None)

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
            self.lock_holder = task
            task.request.forget_spending()
        elif action == actions.UNLOCK:
            assert self.lock_holder is task, "released a lock that it does not hold"
            self.lock_holder = None
        elif action in (actions.FLUSH_ALL, actions.REPEAT_ALL):
            if action == actions.FLUSH_ALL:
                self.state.tlb.loaded = 0
            task.request.flushes += 1
        elif action == actions.ATTEMPT:
            self._touch(task.request, task.cpu)
        elif action in (actions.WAKE_ALL, actions.WAKE_ONE):
            return self._wake(task.argument, 1 if action == actions.WAKE_ONE else len(self.tasks))
        return []

    def _ask(self, task: Task) -> None:
        deed: dict[str, int] = dict.fromkeys(DEED.names or (), 0)
        d = SimpleNamespace(**deed | {"cpu": task.cpu, "cpus": self.shape.cpus, "finding": -1})
        step = self.module.unmap_step if task.request.unmapping else self.module.map_step
        task.action = step(self.state, task.request, d)
        task.argument = d.queue
        task.pinned += d.pin
        task.atomic += d.atomic
        assert d.finding == -1, f"finding {d.finding}"
        for name in _SPENDING:
            setattr(task.request, name, getattr(task.request, name) + getattr(d, name))
        if task.action in (actions.FLUSH_ALL, actions.REPEAT_ALL):
            self.flushing = task
            for slot in self.state.invalidated.slot[: d.everywhere].tolist():
                self.state.tlb.loaded[slot * self.shape.cpus : (slot + 1) * self.shape.cpus] = 0
        elif self.flushing is task:
            self.flushing = None

    def _prefault(self, task: Task) -> None:
        """An outermost operation blocks, and goes on where it finds a CPU; a nested one has nothing to do."""
        assert self.lock_holder is not task, "blocks with the lock held"
        if not task.mapped:
            self.running[task.cpu] = None
            task.state = READY

    def _fall_asleep(self, task: Task) -> None:
        assert not task.atomic, "sleeps where it must not"
        self.queues[task.argument].append(task)
        self.state.queues[task.argument].sleepers += 1
        task.state = ASLEEP
        self.running[task.cpu] = None
        if self.lock_holder is task:
            self.lock_holder = None

    def _wake(self, queue: int, most: int) -> list[Task]:
        woken = self.queues[queue][:most]
        del self.queues[queue][:most]
        self.state.queues[queue].sleepers = len(self.queues[queue])
        for task in woken:
            task.state = READY
        return woken

    def _finish(self, task: Task) -> None:
        assert self.lock_holder is not task, "done with the lock held"
        if not task.atomic:
            self.running[task.cpu] = None
        task.state = HOME
        if task.request.unmapping:
            task.mapped.pop()
        else:
            task.mapped.append(task.request)
            self.use(task, task.cpu)

    def use(self, task: Task, cpu: int) -> None:
        """The task uses its innermost mapping on `cpu`: what that CPU's TLB holds for the slot must fit."""
        self._touch(task.mapped[-1], cpu)

    def _touch(self, request: Request, cpu: int) -> None:
        slot, page = request.slot, request.page
        if slot >= 0:
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
        live = Check(self.shape, self.users(), [len(queue) for queue in self.queues])
        check = getattr(self.module, "check", None)
        return check(self.state, live) if check else []
