from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, run_state_machine_as_test

from pipeline.allocators.api.actions import DONE
from pipeline.allocators.registry import load_allocator
from pipeline.schema.codes import DIRECT
from tests.machine.oracle import THOROUGH, AllocatorMachine
from tests.machine.steps import Task


class DirectMapMachine(AllocatorMachine):
    """Every map and unmap is done at once, takes no slot, and costs nothing."""

    allocator = load_allocator("direct_map")

    @initialize(cpus=st.integers(1, 3), tasks=st.integers(1, 6))
    def start(self, cpus: int, tasks: int) -> None:
        self.lay_out({}, cpus, tasks)

    def answered(self, task: Task) -> None:
        assert task.action == DONE
        assert (task.request.slot, task.request.served) == (-1, DIRECT)
        assert not any(task.request.spent().values())
        assert task.pinned == 0

    def carried_out(self, task: Task, action: int, woken: list[Task]) -> None:
        assert not woken

    def compare(self) -> None:
        assert not any(self.bench.queues)


def test_the_direct_map_does_nothing_in_every_interleaving() -> None:
    run_state_machine_as_test(DirectMapMachine, settings=settings(THOROUGH, max_examples=20))
