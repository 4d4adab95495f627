"""The simulator gives the same logs, totals and fingerprint compiled and as plain Python.

`simulate` also holds every run's CPU time against its wall time, category by category.
"""

import pytest

from pipeline.allocators.registry import shipped_allocators
from pipeline.machine.engine.records import CLOSED, S_DEADLOCK, S_FINISHED, TIMED
from pipeline.machine.profile import load_profile
from pipeline.schema.names import KINDS
from pipeline.studies.theory.runs import mixed_rows
from tests.machine.runs import Outcome, Rows, simulate

LOOPS = pytest.mark.parametrize("loop", [CLOSED, TIMED], ids=["closed", "timed"])
CPUS = pytest.mark.parametrize("cpus", [1, 4])
# Options with which the allocators run short of slots, and combinations; others have their defaults.
CASES = {
    "global_pool": ("global_pool", {"slots": "16"}),
    "series_pool": ("series_pool", {"slots": "16"}),
    "global_pool_invlpg": ("global_pool_invlpg", {"slots": "16"}),
    "percpu_pinned": ("percpu_pinned", {"slots_per_cpu": "16"}),
    "atomic": ("atomic", {"refault_per_1000": "300", "slots": "16"}),
    "per_process": ("per_process", {"slots": "8"}),
    "percpu_cached": ("percpu_cached", {"slots": "8"}),
    "sf_buf": ("sf_buf", {"slots": "16", "cpu_private": "false"}),
    "epoch_pool": ("epoch_pool", {"slots": "16"}),
    "lockless_pool": ("lockless_pool", {"slots": "16"}),
    "deferred_flush": ("deferred_flush", {"slots": "16", "spare": "4", "batch": "3"}),
    "split_pool": ("split_pool", {"slots": "16", "batch": "3"}),
    "always_flush": ("always_flush", {"slots": "16"}),
    "percpu_pinned with a pool": (
        "percpu_pinned",
        {"slots_per_cpu": "1", "overflow": "global", "slots": "16"},
    ),
    "clairvoyant": ("clairvoyant", {"slots": "16"}),
    "mermap": ("mermap", {"region_pages": "3", "entries": "1", "slots": "4"}),
    "mermap with a page in reserve": (
        "mermap",
        {"region_pages": "3", "entries": "1", "fall_back": "reserve"},
    ),
    "xen_mapcache": ("xen_mapcache", {"slots_per_cpu": "1", "slots": "16"}),
    "global_pool with colours and slots set aside": (
        "global_pool",
        {"slots": "16", "colours": "2", "reserve": "2"},
    ),
    "atomic and global_pool": (
        "page_fault=atomic,default=global_pool",
        {"nesting": "2", "global_pool.slots": "16"},
    ),
    "kmap_local, lockless_pool and global_pool_invlpg": (
        "page_fault=kmap_local,copy_to_user=lockless_pool,default=global_pool_invlpg",
        {"lockless_pool.slots": "16", "global_pool_invlpg.slots": "16"},
    ),
    "global and other PTEs": (
        "page_fault=per_process,default=global_pool",
        {"per_process.slots": "8", "global_pool.slots": "16"},
    ),
}
CASES = {name: (name, {}) for name in shipped_allocators()} | CASES
ALLOCATORS = pytest.mark.parametrize(("allocator", "options"), CASES.values(), ids=CASES)


def both(allocator: str, options: dict[str, str], cpus: int, rows: Rows, loop: int) -> Outcome:
    """Simulate plain and compiled, and return what both came to, after holding them against each other."""
    rows.kind = rows.page % len(KINDS)
    plain, compiled = (
        simulate(
            allocator, load_profile("numaq16").with_cpus(cpus), rows, options=options, loop=loop, seed=3,
            compiled=compiled, chunk_rows=100, log_rows=64,
        )
        for compiled in (False, True)
    )  # fmt: skip
    assert plain.totals == compiled.totals
    assert plain.status == compiled.status
    assert plain.problems == compiled.problems == []
    for name in ("operations", "events", "spent", "sites"):
        ours, theirs = getattr(plain, name), getattr(compiled, name)
        assert ours.dtype == theirs.dtype
        assert ours.tolist() == theirs.tolist(), name
    return plain


@LOOPS
@CPUS
@ALLOCATORS
def test_with_waits_and_blocking_uses(allocator: str, options: dict[str, str], cpus: int, loop: int) -> None:
    rows = mixed_rows(tasks=12, each=30, nested=False)
    outcome = both(allocator, options, cpus, rows, loop)
    assert outcome.status == S_FINISHED
    assert outcome.totals["operations"] == len(rows) == len(outcome.operations)


@LOOPS
@CPUS
@ALLOCATORS
def test_with_nested_mappings(allocator: str, options: dict[str, str], cpus: int, loop: int) -> None:
    rows = mixed_rows(tasks=7, each=45, nested=True)
    outcome = both(allocator, options, cpus, rows, loop)
    assert outcome.status == S_FINISHED
    assert (outcome.operations["depth"] == 1).sum() == 7 * 15


@LOOPS
@CPUS
@pytest.mark.parametrize("slots", [2, 3, 4])
@pytest.mark.parametrize("wake", ["all", "one"])
def test_where_slots_run_out_and_tasks_sleep(slots: int, wake: str, cpus: int, loop: int) -> None:
    rows = mixed_rows(tasks=12, each=25, nested=False)
    outcome = both("global_pool", {"slots": str(slots), "wake": wake}, cpus, rows, loop)
    assert outcome.status == S_FINISHED
    assert outcome.totals["sleeps"] > 0
    assert outcome.totals["flushes"] > 0


@LOOPS
@CPUS
@pytest.mark.parametrize("wait_pinned", ["true", "false"])
def test_where_a_cpu_runs_out_of_slots(wait_pinned: str, cpus: int, loop: int) -> None:
    rows = mixed_rows(tasks=12, each=25, nested=False)
    options = {"slots_per_cpu": "1", "wait_pinned": wait_pinned}
    outcome = both("percpu_pinned", options, cpus, rows, loop)
    assert outcome.status == S_FINISHED
    assert outcome.totals["sleeps"] > 0


@CPUS
def test_where_nested_mappings_run_into_a_deadlock(cpus: int) -> None:
    rows = mixed_rows(tasks=7, each=45, nested=True)
    outcome = both("global_pool", {"slots": "2"}, cpus, rows, CLOSED)
    assert outcome.status == S_DEADLOCK
