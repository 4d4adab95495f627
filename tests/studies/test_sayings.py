"""The conditions of claims about single designs, tested with hand-made figures."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.allocators.registry import kmap_allocators
from tests.studies.made import outcome, study

Row = dict[str, Any]
OPERATIONS = 1_000


def run(allocator: str, busy_us: float = 10.0, wall_s: float = 1.0, **own: Any) -> Row:
    """A run with this CPU time per operation; the CPUs are idle for the rest of the wall-clock time."""
    wall_ns = int(wall_s * 1e9)
    idle_ns = wall_ns * own.get("cpus", 1) - int(busy_us * 1e3) * OPERATIONS
    return {"allocator": allocator, "wall_ns": wall_ns, "cpu_idle_ns": idle_ns, "hits": OPERATIONS} | own


def pool(busy_us: float = 20.0, **own: Any) -> Row:
    return run("global_pool", busy_us, **own)


def on(rows: list[Row], **own: Any) -> list[Row]:
    """The rows with a setting added."""
    return [row | own for row in rows]


BOUND = run("direct_map")


def compile_beside_pool(design: str, own: Row, other: Row, **setting: Any) -> list[Row]:
    setting = {"machine": "numaq16", "cpus": 4, "slots": 128} | setting
    return on([run(design, **own), pool(**other)], **setting)


def hold(
    own_us: int, pool_us: int, design: str = "split_pool", flushes: int = 3, **setting: Any
) -> list[Row]:
    """Longest holds of a design and of the pool."""
    own, other = (
        {"flushes": count, "unmap_lock_hold_max_ns": 9, "map_lock_hold_max_ns": us * 1000}
        for us, count in ((own_us, flushes), (pool_us, 3))
    )
    return compile_beside_pool(design, own, other, **setting)


def cache(slots: int = 16, page_struct_bytes: int = 16, misses: int = 40, **own: Any) -> list[Row]:
    """A cache for each of 4 CPUs, and a pool with the same total number of slots."""
    setting = {"machine": "numaq16", "cpus": 4, "misses": 20}
    rows = [
        run("percpu_cached", **own) | {"percpu_cached_slots": slots, "global_pool_slots": None},
        pool() | {"percpu_cached_slots": None, "global_pool_slots": 4 * slots},
    ]
    rows = on(rows, **setting)
    rows[0] |= {"page_struct_bytes": page_struct_bytes, "misses": misses} | own
    return rows


def process(threads: int, **own: Any) -> list[Row]:
    setting = {"machine": "numaq16", "cpus": 4, "threads_per_process": threads}
    return on([run("per_process", **own), pool(ipis=60)], **setting)


def priced(slots: int, share: float, free_share: float) -> list[Row]:
    """The pool's share of direct_map's throughput, with full costs and with free flushes."""
    rows = []
    for grid, costs, reached in (("full_costs", "{}", share), ("free_flushes", "{free}", free_share)):
        setting = {"grid": grid, "costs": costs}
        rows += [run("direct_map", global_pool_slots=0) | setting]
        rows += [pool(wall_s=1 / reached, global_pool_slots=slots) | setting]
    return rows


def nested(pool_hazards: str | None, series_hazards: str | None) -> list[Row]:
    own = {"grid": "nested"}
    return [pool(hazards=pool_hazards or "") | own, run("series_pool", hazards=series_hazards or "") | own]


def invlpg(own_us: float, pool_us: float, machine: str = "numaq16") -> list[Row]:
    return on([BOUND, pool(pool_us), run("global_pool_invlpg", own_us)], machine=machine)


def lengths(share: float, short_share: float = 1.0) -> list[Row]:
    rows = [
        (
            BOUND | {"trace_operations": count},
            run("percpu_pinned", wall_s=1 / reached, trace_operations=count),
        )
        for count, reached in ((12_000, short_share), (1_200_000, share))
    ]
    return [row for some in rows for row in some]


def slots_of_process(share: float, slots: int) -> list[Row]:
    return [run("direct_map", slots=0), run("per_process", wall_s=1 / share, slots=slots)]


def threads(number: int, share: float, sleeps: int = 0) -> list[Row]:
    rows = [BOUND, run("per_process", wall_s=1 / share, sleeps=sleeps)]
    return on(rows, threads_per_process=number, workload=f"{number} threads")


def atomic(cpus: int, own_us: float, pool_us: float) -> list[Row]:
    designs = {"direct_map": 10.0, "atomic": own_us, "global_pool": pool_us}
    return [run(design, busy_us, cpus=cpus) for design, busy_us in designs.items()]


def switches(own_ns: int, bound_ns: int) -> list[Row]:
    """Switch times per operation, with a walk and an invalidation of 300 ns each per operation."""
    prices = {"walk_ns": 300, "invalidate_ns": 300}
    spent = run("kmap_local", walks=OPERATIONS, local_flushes=OPERATIONS, cpu_switch_ns=own_ns * OPERATIONS)
    return on([spent, BOUND | {"cpu_switch_ns": bound_ns * OPERATIONS}], **prices)


def shares(pool_share: float, split: float, deferred: float) -> list[Row]:
    reached = {"global_pool": pool_share, "split_pool": split, "deferred_flush": deferred}
    return [BOUND, *(run(design, wall_s=1 / share) for design, share in reached.items())]


def map_times(own: str, own_us: int, pool_us: int, grid: str) -> list[Row]:
    return on([run(own, map_ns=own_us * 1_000_000), pool(map_ns=pool_us * 1_000_000)], grid=grid)


def lockless(trace: str, own_us: float) -> list[Row]:
    return on([BOUND, pool(), run("lockless_pool", own_us)], trace=trace)


def epochs(own_us: float, flushes: int) -> list[Row]:
    return [BOUND, pool(walks=9), run("epoch_pool", own_us, flushes=flushes)]


def buffers(own_us: float, ipis: int) -> list[Row]:
    return [
        run("direct_map", cpu_private=""),
        run("sf_buf", own_us, ipis=ipis, cpu_private="true"),
        run("sf_buf", 20.0, ipis=99, misses=9, cpu_private="false"),
    ]


def flushes(pool_flushes: int, best: int, trace: str = "local") -> list[Row]:
    return on([pool(flushes=pool_flushes), run("clairvoyant", flushes=best)], trace=trace)


def xen(own_us: float = 15.0, ipis: int = 0) -> list[Row]:
    beside = on([pool(), run("xen_mapcache", own_us)], grid="comparison")
    return [*beside, run("xen_mapcache", ipis=ipis, grid="workloads")]


def reuse(own: int, other: int, grid: str = "compile", **setting: Any) -> list[Row]:
    return on(compile_beside_pool("epoch_pool", {"ipis": own}, {"ipis": other}, **setting), grid=grid)


def one_lock(share: float, spin_s: float) -> list[Row]:
    wall_s = 1 / share
    return on([BOUND, pool(wall_s=wall_s, cpu_spin_ns=int(spin_s * 1e9 * wall_s))], trace="kernel_build")


def modern(compile_share: float, byte_share: float) -> list[Row]:
    of_compile = on([BOUND, pool(wall_s=1 / compile_share)], trace="kernel_build")
    return of_compile + on([BOUND, pool(wall_s=1 / byte_share)], trace="read_one_byte")


SAYINGS: list[tuple[str, str, list[Row]]] = [
    ("process_pool", "holds", process(1)),
    ("process_pool", "depends", process(1) + process(12, ipis=7)),
    ("process_pool", "does not hold", process(1, pin_waits=1)),
    ("half_flush", "holds", hold(50, 90)),
    ("half_flush", "holds", hold(50, 90) + hold(91, 90, flushes=0, cpus=16)),
    ("half_flush", "depends", hold(50, 90) + hold(90, 90, cpus=16)),
    ("half_flush", "does not hold", hold(91, 90)),
    ("unlocked_flush", "holds", hold(50, 90, "deferred_flush")),
    ("unlocked_flush", "does not hold", hold(91, 90, "deferred_flush")),
    ("cpu_cache", "holds", cache()),
    ("cpu_cache", "depends", cache() + cache(slots=64, ipis=1)),
    ("cpu_cache", "does not hold", cache(page_struct_bytes=4)),
    ("cpu_cache", "does not hold", cache(flushes=1)),
    ("switch_epochs", "holds", reuse(30, 60)),
    ("switch_epochs", "holds", reuse(30, 60) + reuse(0, 0, cpus=16)),
    ("switch_epochs", "depends", reuse(30, 60) + reuse(60, 60, grid="recording", trace="local")),
    ("switch_epochs", "does not hold", reuse(90, 60)),
    ("one_lock", "holds", one_lock(0.5, 0.4)),
    ("one_lock", "does not hold", one_lock(0.5, 0.05)),
    ("one_lock", "does not hold", one_lock(0.95, 0.4)),
    ("flushing_time", "holds", priced(1024, 0.6, 0.66)),
    ("flushing_time", "does not hold", priced(1024, 0.6, 0.61) + priced(128, 0.3, 0.6)),
    ("modern_pool", "holds", modern(0.99, 0.04)),
    ("modern_pool", "does not hold", modern(0.94, 0.99)),
    ("nested_maps", "holds", nested("1 deadlock", None)),
    ("nested_maps", "does not hold", nested("1 deadlock", "2 asleep, 1 deadlock")),
    ("nested_maps", "does not hold", nested(None, None)),
    ("invlpg_many_cpus", "holds", invlpg(30.0, 20.0)),
    ("invlpg_many_cpus", "depends", invlpg(30.0, 20.0) + invlpg(19.0, 20.0, "modern-x86-64")),
    ("invlpg_one_cpu", "holds", invlpg(19.0, 20.0)),
    ("invlpg_one_cpu", "does not hold", invlpg(21.0, 20.0)),
    ("pinning_cost", "holds", lengths(0.995, short_share=0.9)),
    ("pinning_cost", "does not hold", lengths(0.98)),
    ("cheapest_design", "holds", [BOUND, run("per_process", 11.0), pool(), run("atomic", 12.0)]),
    ("cheapest_design", "does not hold", [BOUND, run("per_process", 13.0), pool(), run("atomic", 12.0)]),
    ("low_memory", "holds", [BOUND, run("per_process", 9.0)]),
    ("low_memory", "does not hold", [BOUND, run("per_process", 11.0)]),
    ("process_threads", "holds", slots_of_process(0.96, 64)),
    ("process_threads", "depends", slots_of_process(0.96, 64) + slots_of_process(0.5, 4)),
    ("two_slots", "holds", threads(1, 0.97) + threads(16, 0.2, sleeps=99)),
    ("two_slots", "does not hold", threads(1, 0.97, sleeps=1)),
    ("two_slots", "does not hold", threads(1, 0.9)),
    ("atomic_maps", "depends", atomic(16, 11.0, 20.0) + atomic(1, 11.0, 10.5)),
    ("atomic_maps", "holds", atomic(16, 11.0, 20.0)),
    ("atomic_sleeps", "holds", [run("atomic", trace="local")]),
    ("atomic_sleeps", "does not hold", [run("atomic", trace="local", hazards="1 atomic-sleep")]),
    ("switch_price", "holds", switches(170, 100)),
    ("switch_price", "does not hold", switches(150, 100)),
    ("switch_price", "holds", switches(30, 100)),
    ("unlocked_throughput", "holds", shares(0.5, 0.52, 0.53)),
    ("unlocked_throughput", "depends", shares(0.5, 0.52, 0.505)),
    ("deferred_waits", "holds", map_times("deferred_flush", 3, 4, "compile")),
    ("deferred_waits", "does not hold", map_times("deferred_flush", 4, 4, "compile")),
    ("no_cache", "holds", on([BOUND, run("percpu_cached", 11), run("percpu_pinned", 12)], grid="full_costs")),
    (
        "no_cache",
        "does not hold",
        on([BOUND, run("percpu_cached", 13), run("percpu_pinned", 12)], grid="full_costs"),
    ),
    ("lockless_scaling", "holds", lockless("kernel_build", 15.0)),
    ("lockless_scaling", "depends", lockless("kernel_build", 15.0) + lockless("read_one_byte", 25.0)),
    ("lockless_uncontended", "holds", map_times("lockless_pool", 4, 4, "batches_of_32")),
    ("lockless_uncontended", "does not hold", map_times("lockless_pool", 5, 4, "batches_of_32")),
    ("epochs_one_cpu", "holds", epochs(15.0, 0)),
    ("epochs_one_cpu", "does not hold", epochs(15.0, 1)),
    ("epochs_one_cpu", "does not hold", epochs(25.0, 0)),
    ("private_buffers", "holds", buffers(15.0, 0)),
    ("private_buffers", "does not hold", buffers(25.0, 0)),
    ("private_buffers", "does not hold", buffers(15.0, 1)),
    ("lru_buffers", "holds", [BOUND, pool(), run("sf_buf", 19.0)]),
    ("lru_buffers", "does not hold", [BOUND, pool(), run("sf_buf", 21.0)]),
    ("better_eviction", "holds", flushes(100, 94) + flushes(100, 95, "kernel_build")),
    ("better_eviction", "does not hold", flushes(100, 90) + flushes(100, 100, "kernel_build")),
    (
        "mermap_locks",
        "holds",
        [run("mermap", fallbacks=3, map_lock_acquisitions=4, unmap_lock_acquisitions=2)],
    ),
    ("mermap_locks", "does not hold", [run("mermap", fallbacks=3, map_lock_acquisitions=7)]),
    ("mermap_locks", "does not hold", [run("mermap", ipis=1)]),
    ("xen_epochs", "holds", xen()),
    ("xen_epochs", "depends", xen(ipis=1)),
    ("xen_epochs", "depends", xen(own_us=25.0)),
]


@pytest.mark.parametrize(("name", "expected", "rows"), SAYINGS, ids=[f"{n}-{o}" for n, o, _ in SAYINGS])
def test_a_saying_is_judged_by_its_condition(name, expected, rows):
    assert outcome(name, rows) == expected


def test_the_cheapest_design_is_sought_among_all_that_are_shipped_for_kmap():
    (grid,) = study("cheapest_design").grids.values()
    assert set(grid.allocator) == set(kmap_allocators())
