"""Cases that an engine gets wrong easily: each is named after what must be so."""

from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.schema.codes import E_IPI
from tests.machine.runs import machine, rows, simulate


def test_the_cpu_that_mapped_is_where_the_mapping_was_got_not_where_it_was_asked_for(tmp_path: Path) -> None:
    trace = rows(2, task=[0, 2], page=[0, 1], time_ns=[0, 10], hold_ns=[50, 7], block_ns=[100, 0])
    options = {"slots_per_cpu": "1", "wait_pinned": "false"}
    outcome = simulate("percpu_pinned", machine(tmp_path, 2), trace, options=options)
    # With one slot per CPU, the slot is the CPU.
    assert outcome.operations["slot"].tolist() == [0, 1]
    assert outcome.operations["cpu_map"].tolist() == [0, 1]


def test_waiting_for_the_own_cpu_before_a_nested_operation_asks_is_in_the_log(tmp_path: Path) -> None:
    trace = rows(
        3, task=[0, 0, 2], depth=[0, 1, 0], page=[0, 1, 2], time_ns=[0, 100, 250], wait_ns=[0, 100, 0],
        block_ns=[100, 0, 0], think_ns=[0, 0, 200],
    )  # fmt: skip
    outcome = simulate("percpu_pinned", machine(tmp_path, 2), trace)
    assert outcome.totals["pin_wait_ns"] == 150
    assert outcome.operations["pin_wait_ns"].sum() == 150


def test_an_outer_mapping_used_after_a_nested_one_moved_the_task_is_walked_there(tmp_path: Path) -> None:
    trace = rows(
        3, task=[0, 0, 2], depth=[0, 1, 0], page=[0, 1, 2], time_ns=[0, 100, 5_000], wait_ns=[0, 2_000, 0],
        block_ns=[2_000, 0, 0], hold_ns=[500, 0, 0], think_ns=[0, 0, 4_500],
    )  # fmt: skip
    outcome = simulate("global_pool", machine(tmp_path, 2, walk_ns=1_000), trace, options={"slots": "4"})
    assert outcome.operations[["cpu_map", "cpu_unmap"]].tolist()[0] == (0, 1)
    # Page 0 on CPU 0 and again on CPU 1, pages 1 and 2 once each.
    assert outcome.totals["walks"] == 4


def test_an_interrupt_delays_nothing_that_is_over_before_it_arrives(tmp_path: Path) -> None:
    profile = machine(tmp_path, 2, ipi_latency_ns=20, ipi_handler_ns=10)
    trace = rows(6, task=[0, 0, 0, 0, 1, 1], page=range(6), think_ns=[0, 0, 0, 0, 35, 1_000])
    outcome = simulate("global_pool", profile, trace, options={"slots": "2"})
    assert outcome.of_kind(E_IPI)["time_ns"].tolist()[:2] == [20, 50]
    # Computing for 35 is over at 45, after the first interrupt and before the second.
    assert outcome.operations["asked_ns"][4] == 45


def test_a_time_slice_of_0_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="timeslice_ns: expected 1 to"):
        machine(tmp_path, 1, timeslice_ns=0)
