"""What the campaigns on the engine look for is found where it is put, and not where it is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.allocators.registry import load_allocator
from pipeline.machine.in_memory import free_machine, rows, simulate
from tests.campaigns.extremes import draw_case, find_faults
from tests.campaigns.soak import MOST_GROWTH_BYTES, growth_of


def test_a_case_is_drawn_again_by_its_seed_and_number():
    case = draw_case(3, 5)
    assert draw_case(3, 5) == case
    assert np.array_equal(draw_case(3, 5).rows(), case.rows())


def test_faults_of_an_outcome_are_found():
    trace = rows(3, page=[1, 2, 1], hold_ns=50, think_ns=100)
    case = draw_case(1, 1)
    out = simulate(load_allocator("global_pool"), free_machine(2, probe_ns=7), trace)
    assert list(find_faults(case, trace, out)) == []
    late = out.operations.copy()
    late["mapped_ns"][1] += 10**6
    damaged = {
        "negative: map_ns": replace(out, totals=out.totals | {"map_ns": -1}),
        "CPU time does not add up": replace(out, spent=out.spent - 1),
        "2 of 3 operations are done": replace(out, operations=out.operations[:2]),
        "an operation's times are out of order": replace(out, operations=late),
        "invariant: no": replace(out, problems=["no"]),
    }
    for fault, outcome in damaged.items():
        assert fault in list(find_faults(case, trace, outcome))


def test_memory_that_settles_is_flat_and_one_that_goes_on_growing_is_not():
    settled = np.minimum(np.arange(100) * 20, 400) << 20
    growing = (np.arange(100) * 4) << 20
    assert growth_of(settled.tolist()) == 0
    assert growth_of(growing.tolist()) > MOST_GROWTH_BYTES
