"""How the trace is read, how the log is written, and compiling must make no difference; the seed may."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.machine.drive import COLUMNS
from pipeline.machine.engine.records import CLOSED, S_FINISHED, TIMED
from pipeline.machine.profile import load_profile
from pipeline.workload.draws import Drawer
from pipeline.workload.read_spec import read_workload
from pipeline.workload.stream import RowStream
from tests.machine.runs import Rows, machine, rows, simulate

WORKLOAD = """
description = "nested operations that think, wait, hold and block"
tasks = 12
operations = 1_000
start = { dist = "uniform", low_ns = 0, high_ns = 50_000 }
[page_sets.cache]
pages = 60
skew = 1.0
[kinds.page_fault]
share = 0.4
page_set = "cache"
think = { dist = "exponential", mean_ns = 9_000 }
hold = { dist = "exponential", mean_ns = 900 }
[kinds.copy_to_user]
share = 0.6
page_set = "cache"
think = { dist = "exponential", mean_ns = 9_000 }
wait = { probability = 0.3, time = { dist = "exponential", mean_ns = 20_000 } }
hold = { dist = "exponential", mean_ns = 2_000 }
block = { probability = 0.3, time = { dist = "constant", ns = 9_000 } }
nested = { page_fault = 0.3 }
"""
# Few enough for tasks to sleep, enough for nested maps not to deadlock.
SMALL = {"slots": "8"}
LOOPS = pytest.mark.parametrize("loop", [CLOSED, TIMED], ids=["closed", "timed"])


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """The first 5,000 operations of a synthetic workload."""
    path = tmp_path_factory.mktemp("workload") / "test.toml"
    path.write_text(WORKLOAD)
    batches: list[dict[str, np.ndarray]] = []
    for columns in RowStream(Drawer(read_workload(path), 1)).batches():
        batches.append(columns)
        if sum(len(batch["task"]) for batch in batches) >= 5_000:
            break
    columns = {name: np.concatenate([batch[name] for batch in batches]) for name in COLUMNS}
    return rows(len(columns["task"]), **columns)[:5_000]


@LOOPS
def test_where_mapping_is_free_every_operation_asks_at_its_recorded_time(
    loop: int, trace: Rows, tmp_path: Path
) -> None:
    outcome = simulate("direct_map", machine(tmp_path, 12), trace[:1_000], loop=loop)
    assert (outcome.operations["asked_ns"] == trace.time_ns[:1_000]).all()
    assert (outcome.operations["depth"] == 1).sum() > 50
    assert (trace.block_ns > 0).sum() > 50


def test_a_timed_operation_never_asks_before_its_time_and_a_late_task_catches_up(tmp_path: Path) -> None:
    # The first hold, made longer than recorded by page-table walks, is still going on when 20 and 30 are due.
    trace = rows(5, time_ns=[0, 20, 30, 100, 200], think_ns=[0, 5, 5, 65, 95], page=np.arange(5), hold_ns=5)
    outcome = simulate(
        "global_pool", machine(tmp_path, 1, walk_ns=36), trace, loop=TIMED, options={"slots": "8"}
    )
    # Each use takes 41: the second and third begin as soon as the one before is over, without thinking.
    assert outcome.operations["asked_ns"].tolist() == [0, 41, 82, 123, 200]


@pytest.mark.parametrize("seed", [1, 2])
def test_no_timed_operation_asks_early_under_contention(seed: int, trace: Rows, tmp_path: Path) -> None:
    profile = load_profile("smp4-2002")
    outcome = simulate("global_pool", profile, trace, loop=TIMED, seed=seed, compiled=True, options=SMALL)
    late_ns = outcome.operations["asked_ns"] - trace.time_ns
    assert late_ns.min() >= 0
    assert (late_ns > 0).mean() > 0.2


@LOOPS
def test_how_much_is_read_ahead_and_how_large_the_log_is_make_no_difference(loop: int, trace: Rows) -> None:
    profile, part = load_profile("smp4-2002"), trace[:3_000]

    def run(**how: Any) -> Any:
        return simulate("global_pool", profile, part, loop=loop, options=SMALL, compiled=True, **how)

    whole = run()
    assert whole.status == S_FINISHED
    assert min(whole.totals["sleeps"], whole.totals["ipis"], whole.sites["contended"].min()) > 0
    for chunk_rows in (1, 7, 640):
        assert run(chunk_rows=chunk_rows).fingerprint == whole.fingerprint
    for log_rows in (1, 10):
        other = run(log_rows=log_rows)
        assert other.fingerprint == whole.fingerprint
        assert (other.operations == whole.operations).all()
        assert (other.events == whole.events).all()


@LOOPS
@pytest.mark.parametrize(
    ("allocator", "options"), [("global_pool", SMALL), ("percpu_pinned", {"slots_per_cpu": "2"})]
)
def test_compiled_and_plain_give_the_same_log_bit_for_bit(
    loop: int, allocator: str, options: dict[str, str], trace: Rows
) -> None:
    profile, part = load_profile("smp4-2002"), trace[:400]
    plain, compiled = (
        simulate(allocator, profile, part, loop=loop, options=options, compiled=how) for how in (False, True)
    )
    assert plain.fingerprint == compiled.fingerprint
    assert plain.totals == compiled.totals
    assert (plain.operations == compiled.operations).all()
    assert (plain.events == compiled.events).all()


def test_an_unfair_lock_loses_no_waiter_and_the_seed_decides_its_luck(trace: Rows, tmp_path: Path) -> None:
    profile = machine(
        tmp_path, 12, arbitration="unfair", shared_entry_ns=1_500, handoff_local_ns=2_000,
        handoff_spread_percent=80, hold_per_spinner_ns=100,
    )  # fmt: skip

    def run(seed: int) -> Any:
        return simulate("global_pool", profile, trace, seed=seed, options={"slots": "64"}, compiled=True)

    one, again, other = run(1), run(1), run(2)
    for outcome in (one, other):
        assert outcome.status == S_FINISHED
        assert outcome.totals["operations"] == len(trace)
        assert outcome.sites["contended"].sum() > len(trace)
    assert one.fingerprint == again.fingerprint != other.fingerprint


def test_a_fifo_lock_has_no_luck(trace: Rows, tmp_path: Path) -> None:
    profile = machine(tmp_path, 12, shared_entry_ns=1_500, handoff_local_ns=2_000)
    runs = [
        simulate("global_pool", profile, trace, seed=seed, options={"slots": "64"}, compiled=True)
        for seed in (1, 2)
    ]
    assert runs[0].fingerprint == runs[1].fingerprint
