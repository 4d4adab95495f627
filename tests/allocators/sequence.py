"""Requests one after another, to a design and to its reference: each is over, or asleep, before the next."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from random import Random

from pipeline.allocators.api import actions
from pipeline.allocators.api.allocator import Allocator
from pipeline.schema import codes
from pipeline.schema.names import KINDS
from tests.allocators.answer import Answer, Asked, Flush, Reference
from tests.machine.steps import FLUSHES, HOME, KERNEL, READY, Bench, Task

MAP, UNMAP, USE = "map", "unmap", "use"
MOST_NESTED = 3
_MOST_STEPS = 5_000
_SERVED = {codes.HIT: "hit", codes.MISS: "miss", codes.FALLBACK: "fallback", codes.DIRECT: "direct"}
_PAGE_TABLE = KINDS.index("page_fault")
_COPIES = [k for k, kind in enumerate(KINDS) if kind in ("copy_to_user", "copy_from_user")]


@dataclass(frozen=True)
class Request:
    """What is to happen next; `who` and `where` choose among the tasks and CPUs that can do it."""

    what: str
    who: int = 0
    where: int = 0
    page: int = 0
    kind: int = _PAGE_TABLE
    pages: int = 1


class Sequence:
    """A design beside its reference."""

    def __init__(
        self, allocator: Allocator, options: dict[str, str], reference: Reference,
        tasks: int, pages: int, processes: int,
    ) -> None:  # fmt: skip
        self.bench = Bench(allocator, options, reference.cpus, tasks, pages, processes)
        self.reference = reference
        self.asked: dict[int, Asked] = {}
        self.woken: deque[Task] = deque()
        self.areas = allocator.maps_areas
        self.worked: list[Answer] = []
        self.log: list[tuple[str, Asked, Answer]] = []

    def play(self, requests: Iterable[Request]) -> None:
        """Put every request that somebody can make."""
        for request in requests:
            self.put(request)
        self.work()
        assert self.bench.problems() == []

    def put(self, request: Request) -> Answer | None:
        """Put one request; None if nobody can make it now."""
        tasks = [task for task in self.bench.tasks if task.state == HOME and self.bench.cpus_for(task)]
        if request.what == MAP:
            tasks = [task for task in tasks if len(task.mapped) < MOST_NESTED]
        else:
            tasks = [task for task in tasks if task.mapped]
        if not tasks:
            return None
        task = tasks[request.who % len(tasks)]
        cpu = self._cpu_for(task, request.where)
        if request.what == USE:
            self.reference.enter(cpu, task.process)
            self.bench.use(task, cpu)
            return None
        return self.start(task, cpu, request)

    def start(self, task: Task, cpu: int, request: Request) -> Answer:
        """Let the task map on `cpu`, or undo its innermost mapping, and those that it wakes go on."""
        page = request.page if request.what == MAP else None
        self.bench.begin(task, cpu, page, request.kind, request.pages)
        r = task.request
        self.asked[task.number] = Asked(
            r.op, r.task, r.process, cpu, r.page, r.kind == _PAGE_TABLE, r.kind in _COPIES, r.depth, r.pages
        )
        answer = self._attempt(task, woken=False)
        self._wake()
        return answer

    def _wake(self) -> None:
        while self.woken and self.bench.cpus_for(self.woken[0]):
            self._attempt(self.woken.popleft(), woken=True)

    def work(self) -> None:
        """Let the workers run that were woken, and the tasks that they wake."""
        while ready := [worker for worker in self.bench.workers if worker.state == READY]:
            answer = self._run(ready[0], self.bench.cpus_for(ready[0])[0])
            wanted = self.reference.work(ready[0].request.page)
            assert answer == wanted, f"worker: expected {wanted}, found {answer}"
            self.worked.append(answer)
            self._wake()

    def _cpu_for(self, task: Task, where: int) -> int:
        cpus = self.bench.cpus_for(task)
        return cpus[where % len(cpus)]

    def _attempt(self, task: Task, *, woken: bool) -> Answer:
        """Let the design make one attempt, and hold what it did against the reference."""
        cpu = self._cpu_for(task, self.asked[task.number].op) if woken else task.cpu
        asked = self.asked[task.number] = replace(self.asked[task.number], cpu=cpu)
        unmapping = bool(task.request.unmapping)
        slot = int(task.request.slot)
        answer = self._run(task, cpu)
        self.reference.enter(cpu, task.process)
        wanted = self.reference.unmap(asked, slot) if unmapping else self.reference.map(asked, woken)
        self.log.append(("unmap" if unmapping else "map", asked, answer))
        assert answer == wanted, f"{asked}: expected {wanted}, found {answer}"
        return answer

    def _run(self, task: Task, cpu: int) -> Answer:
        answer, r = Answer(), task.request
        for _ in range(_MOST_STEPS):
            r.forget_spending()
            woken = self.bench.step(task, cpu)
            self.woken += woken
            answer.woken += [sleeper.number for sleeper in woken]
            answer.looked_at += r.probes
            answer.passes += [(r.scanned, r.freed)] * r.scans
            answer.flushes += self._flushes(task, cpu)
            if task.action == actions.WAKE_WORKER:
                answer.works.append(task.argument)
            if task.state not in (KERNEL, READY):
                break
        else:
            raise AssertionError("the attempt does not end")
        if task.action == actions.SLEEP:
            answer.served = "sleeps"
        elif r.unmapping:
            answer.served = "worked" if r.unmapping == codes.WORK else "unmapped"
        else:
            answer.served = _SERVED[r.served]
            answer.slot = None if r.slot < 0 else int(r.slot)
        return answer

    def _flushes(self, task: Task, cpu: int) -> list[Flush]:
        """What the step's action flushes, and what the step invalidated before that."""
        r, everyone = task.request, range(self.bench.shape.cpus)
        masked = {other for other in everyone if r.mask >> other & 1}
        if task.action == actions.REPEAT_ALL:
            slots = self.bench.state.invalidated.slot[: r.invalidations].tolist()
            return [(frozenset(slots), frozenset(everyone))] if slots else []
        if task.action in FLUSHES and task.action != actions.SHOOT_DOWN:
            assert r.invalidations == 0
            cpus = {actions.FLUSH_ALL: set(everyone), actions.FLUSH_LOCAL: {cpu}}.get(task.action, masked)
            covered = range(r.range_first, r.range_first + r.range_slots)
            return [(frozenset(covered) if self.areas and covered else None, frozenset(cpus))]
        cpus = masked | ({cpu} if r.invalidations else set())
        assert r.invalidations <= 1
        return [(frozenset({int(r.slot)}), frozenset(cpus))] if cpus else []


def random_requests(seed: int, count: int, pages: int, busy: float) -> list[Request]:
    """Maps of pages of which a few are popular, and unmaps; `busy`: how much maps are ahead of unmaps."""
    chance = Random(seed)
    requests = []
    for _ in range(count):
        what = chance.choices([MAP, UNMAP, USE], [busy, 1.0, 0.2])[0]
        page = min(int(pages * chance.random() ** 2), pages - 1)
        kind = chance.randrange(len(KINDS))
        requests.append(Request(what, chance.randrange(1 << 16), chance.randrange(1 << 16), page, kind))
    return requests
