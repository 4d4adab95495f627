"""The engine against a model of the same machine that shares no code with it, and no author's assumptions.

Times are of the order of 0.1 s, in ns, so that in some 10,000 events no two fall on the same nanosecond (the
chance is below 1 in 1,000 for each run, and seeds are fixed): the two order equal times differently.
"""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.machine.engine.records import S_FINISHED
from tests.machine.runs import Outcome, Rows, machine, rows, simulate

SLOTS = 32
PAGES = 120
US = 1_000


def _load_model() -> Any:
    path = Path(__file__).parents[2] / "benchmarks" / "simpy_model.py"
    spec = importlib.util.spec_from_file_location("simpy_model", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["simpy_model"] = module
    spec.loader.exec_module(module)
    return module


MODEL = _load_model()
PRICES = MODEL.Prices(
    entry_ns=900 * US, probe_ns=300 * US, pte_write_ns=700 * US, scan_slot_ns=200 * US, flush_ns=90_000 * US
)


def both(
    directory: Path, tasks: int, cpus: int, operations: int, *, slots: int = SLOTS, **mean_ns: int
) -> tuple[Any, Outcome]:
    """Run the same operations, dealt to tasks in turn, through the model and through the engine."""
    random = np.random.default_rng(tasks * 100 + cpus)
    weights = 1 / np.arange(1, PAGES + 1)
    page = random.choice(PAGES, operations, p=weights / weights.sum())
    times = {name: random.exponential(mean, operations).astype(np.int64) for name, mean in mean_ns.items()}
    trace = rows(operations, task=np.arange(operations) % tasks, page=page, **times)
    model = MODEL.GlobalPool(_by_task(trace, tasks), cpus, slots, PRICES)
    model.run()
    profile = machine(
        directory, cpus, broadcast=1, broadcast_ns=PRICES.flush_ns, shared_entry_ns=PRICES.entry_ns,
        recent_entry_ns=PRICES.entry_ns, probe_ns=PRICES.probe_ns, pte_write_ns=PRICES.pte_write_ns,
        scan_slot_ns=PRICES.scan_slot_ns,
        )  # fmt: skip
    outcome = simulate("global_pool", profile, trace, options={"slots": str(slots)}, compiled=True)
    assert outcome.status == S_FINISHED
    return model, outcome


def _by_task(trace: Rows, tasks: int) -> list[list[Any]]:
    names = MODEL.Operation._fields
    columns = zip(*(getattr(trace, name).tolist() for name in names), strict=True)
    operations = [MODEL.Operation(*values) for values in columns]
    return [operations[task::tasks] for task in range(tasks)]


def totals(model: Any) -> dict[str, int]:
    return {name: getattr(model, name) for name in ("hits", "misses", "flushes", "sleeps")}


def waits(outcome: Outcome, tasks: int) -> list[list[int]]:
    """Each task's waits for the lock, map and unmap in turn."""
    both_sides = np.stack([outcome.operations["map_wait_ns"], outcome.operations["unmap_wait_ns"]], axis=1)
    return [both_sides[task::tasks].ravel().tolist() for task in range(tasks)]


def test_one_task_on_one_cpu_takes_as_long_as_in_the_model(tmp_path: Path) -> None:
    model, outcome = both(tmp_path, 1, 1, 2_000, think_ns=10_000 * US, hold_ns=5_000 * US)
    assert totals(model).items() <= outcome.totals.items()
    assert min(model.hits, model.misses, model.flushes) > 5
    assert outcome.wall_ns == model.env.now


@pytest.mark.parametrize(("tasks", "cpus"), [(4, 4), (12, 12), (24, 6)])
def test_every_wait_for_a_contended_lock_is_that_of_the_model(tasks: int, cpus: int, tmp_path: Path) -> None:
    model, outcome = both(
        tmp_path, tasks, cpus, 3_000, think_ns=40_000 * US, wait_ns=200_000 * US, hold_ns=9_000 * US,
        block_ns=30_000 * US,
    )  # fmt: skip
    assert totals(model).items() <= outcome.totals.items()
    assert min(model.hits, model.misses, model.flushes) > 20
    assert model.waits == waits(outcome, tasks)
    assert np.mean(np.concatenate(model.waits) > 0) > 0.04
    assert outcome.wall_ns == model.env.now


def test_tasks_that_sleep_on_one_cpu_are_woken_and_served_as_in_the_model(tmp_path: Path) -> None:
    model, outcome = both(
        tmp_path, 12, 1, 1_500, slots=5, think_ns=4_000 * US, wait_ns=90_000 * US, hold_ns=9_000 * US,
        block_ns=300_000 * US,
    )  # fmt: skip
    assert model.sleeps > 100
    assert totals(model).items() <= outcome.totals.items()
    assert outcome.wall_ns == model.env.now
