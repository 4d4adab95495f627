"""The conditions of the shipped claims, tested with hand-made figures."""

from __future__ import annotations

import pytest

from tests.studies.made import outcome


def storm(tasks: int, passes: int, freed: int) -> dict[str, int]:
    """Faults of `tasks` tasks on 10 slots; each pass frees `freed`."""
    return {"tasks": tasks, "misses": 1000, "scans": passes, "scanned": 10 * passes, "freed": freed * passes}


def test_each_step_to_more_tasks_must_make_passes_more_frequent_and_less_useful():
    first, most = storm(64, 50, 9), storm(1536, 400, 1)
    assert outcome("pinned_slots", [first, storm(512, 70, 6), most]) == "holds"
    assert outcome("pinned_slots", [first, storm(512, 40, 6), most]) == "depends"
    assert outcome("pinned_slots", [first, storm(512, 70, 9), most]) == "depends"
    assert outcome("pinned_slots", [storm(64, 400, 6), storm(1536, 50, 9)]) == "does not hold"
    assert outcome("pinned_slots", [first, storm(1536, 400, 5)]) == "depends"


def taken_away(
    tasks: int, flushes_ms: int = 600, sleeps_ms: int = 50, exhaustion_ms: int = 0, sleeps: int = 40
) -> list[dict[str, object]]:
    """A storm of 1 s, and the same storm without flushes, refills (100 ms), sleeps and exhaustion."""
    unflushed_ms = 1000 - flushes_ms
    grids = {
        "storm": 1000,
        "free_flushes": unflushed_ms,
        "free_misses": unflushed_ms - 100,
        "free_slots": unflushed_ms - 100 - sleeps_ms,
        "sleepless": 1000 - exhaustion_ms,
    }
    slept = {"sleeps": sleeps, "tasks": tasks}
    return [{"grid": name, "wall_ns": ms * 1_000_000} | slept for name, ms in grids.items()]


def test_flushes_and_refills_must_cost_more_than_sleeping_however_that_is_counted():
    assert outcome("caching", taken_away(1500)) == "holds"
    assert outcome("caching", taken_away(1500) + taken_away(2000, flushes_ms=200, sleeps_ms=500)) == "depends"
    assert (
        outcome("caching", taken_away(1500, flushes_ms=200, sleeps_ms=400, exhaustion_ms=600))
        == "does not hold"
    )


def test_flushes_that_are_there_only_because_tasks_sleep_count_for_sleeping_too():
    # Of 750 ms that flushes, refills and sleeps take, 700 go when nobody can sleep: 50 ms are left.
    assert outcome("caching", taken_away(1500, exhaustion_ms=700)) == "depends"
    assert outcome("caching", taken_away(1500, exhaustion_ms=300)) == "holds"


def test_chance_where_nobody_sleeps_does_not_count_for_sleeping():
    calm = taken_away(300, flushes_ms=-3, sleeps_ms=90, sleeps=0)
    assert outcome("caching", [*taken_away(1500), *calm]) == "holds"


DESIGNS = {
    "global_pool": "global_pool_slots",
    "series_pool": "series_pool_slots",
    "percpu_pinned": "percpu_pinned_slots_per_cpu",
}


def maps_at_once(
    design: str, first: int | None, sharing: str = "process", slots: int = 256
) -> list[dict[str, object]]:
    """Runs with 128, 129, 256, 257 and 320 simultaneous maps; map number `first` is the first to sleep."""
    factors = (*DESIGNS.values(), "kinds_page_fault_block_time_mean_ns")
    given = {"grid": "at_once", "allocator": design, DESIGNS[design]: slots}
    given |= {"page_sets_page_tables_sharing": sharing}
    return [
        dict.fromkeys(factors)
        | given
        | {"trace_operations": maps, "sleeps": int(first is not None and maps >= first)}
        for maps in (128, 129, 256, 257, 320)
    ]


def test_a_pool_of_256_slots_must_make_the_257th_map_sleep_and_no_other():
    pool, series = maps_at_once("global_pool", 257), maps_at_once("series_pool", 257)
    assert outcome("simultaneous", pool + series) == "holds"
    assert outcome("simultaneous", pool + maps_at_once("series_pool", 256)) == "depends"
    assert outcome("simultaneous", maps_at_once("global_pool", 256)) == "does not hold"
    assert outcome("simultaneous", maps_at_once("global_pool", None)) == "does not hold"
    # Other arrangements are told of, and decide nothing.
    others = [
        *maps_at_once("percpu_pinned", 129, slots=16),
        *maps_at_once("global_pool", None, "all"),
        *maps_at_once("series_pool", 129, slots=128),
    ]
    assert outcome("simultaneous", pool + others) == "holds"


def cost_of_maps(
    invlpg_ns: int, flush_ns: int, uncached_ns: int, skew: float = 1.2, scans: int = 1
) -> list[dict[str, object]]:
    """A map through the pool with invlpg, through the pool with a flush, and through no pool."""
    wall_ns = 1_000_000_000
    spent = {"direct_map": 0, "global_pool_invlpg": invlpg_ns, "global_pool": flush_ns, "atomic": uncached_ns}
    return [
        {"grid": "laptop", "page_sets_highmem_skew": skew, "workload": str(skew), "scans": scans}
        | {"allocator": design, "cpu_idle_ns": wall_ns - 1000 * per_map_ns, "misses": 1000}
        | {f"{pool}_slots": 64 if design == pool else None for pool in ("global_pool", "global_pool_invlpg")}
        for design, per_map_ns in spent.items()
    ]


def test_invlpg_in_the_pass_must_be_cheaper_than_a_flush_and_than_no_cache():
    assert outcome("one_cpu", cost_of_maps(1, 2, 3)) == "holds"
    assert outcome("one_cpu", cost_of_maps(2, 1, 3)) == "depends"
    assert outcome("one_cpu", cost_of_maps(2, 3, 1)) == "depends"
    assert outcome("one_cpu", cost_of_maps(3, 2, 1)) == "does not hold"
    assert outcome("one_cpu", cost_of_maps(2, 2, 2)) == "does not hold"
    assert outcome("one_cpu", cost_of_maps(1, 2, 3) + cost_of_maps(2, 1, 3, skew=2.0)) == "depends"


def test_a_pool_that_never_wraps_decides_nothing_about_its_pass():
    never = cost_of_maps(1, 1, 3, skew=2.0, scans=0)
    assert outcome("one_cpu", cost_of_maps(1, 2, 3) + never) == "holds"


def scaling(grid: str, first: float, last: float, **counted: int) -> list[dict[str, object]]:
    """Shares of the bound's throughput on one CPU and on 64."""
    bound = {"trace": grid, "grid": grid, "allocator": "direct_map", "percpu_pinned_slots_per_cpu": 16}
    rows: list[dict[str, object]] = []
    for cpus, share in ((1, first), (64, last)):
        own = {"allocator": "percpu_pinned", "wall_ns": round(1e9 / share)} | counted
        rows += [bound | {"cpus": cpus}, bound | {"cpus": cpus} | own]
    return rows


def test_a_design_that_scales_completely_loses_nothing_per_cpu_anywhere():
    assert outcome("per_cpu", scaling("compiles", 0.9, 0.88)) == "holds"
    assert outcome("per_cpu", scaling("compiles", 0.9, 0.88) + scaling("storms", 0.8, 0.4)) == "depends"
    assert outcome("per_cpu", scaling("storms", 0.8, 0.4)) == "does not hold"


@pytest.mark.parametrize("counted", ["map_lock_acquisitions", "flushes", "ipis"])
def test_a_design_that_shares_anything_between_cpus_does_not_scale_completely(counted):
    assert outcome("per_cpu", scaling("compiles", 1.0, 1.0, **{counted: 1})) == "does not hold"


def falling_back(threads: int, *fallbacks: int, pages: int = 64, entries: int = 4) -> list[dict[str, object]]:
    """Replications of a storm with 10,000 maps each, and their numbers of fallbacks."""
    size = {"mermap_region_pages": pages, "mermap_entries": entries, "threads_per_process": threads}
    counted = {"misses": lambda r: 10_000 - fallbacks[r], "fallbacks": lambda r: fallbacks[r]}
    return [{"grid": "storms"} | size | counted]


def test_at_most_one_map_in_a_thousand_may_fall_back_in_every_trace():
    seldom, often = falling_back(1, 10, 2, 1, 0, 3, 10), falling_back(12, 900, 905, 910, 11, 900, 900)
    assert outcome("mermap_entries", seldom) == "holds"
    assert outcome("mermap_entries", often) == "does not hold"
    assert outcome("mermap_entries", seldom + often) == "depends"
    assert outcome("mermap_entries", falling_back(12, 0, 9, 20, 0, 8, 15)) == "cannot tell"


def test_only_the_authors_size_of_the_mermap_decides():
    own, small = falling_back(1, *[0] * 6), falling_back(1, *[500] * 6, entries=1)
    assert outcome("mermap_entries", own + small) == "holds"


def flushing(machine: str, own_ns: int, pool_ns: int) -> list[dict[str, object]]:
    """1,000 maps with both designs, with the time of flushes, passes and interrupts."""
    rest = pool_ns % 4
    pool = {
        "cpu_flush_ns": pool_ns // 2,
        "cpu_scan_ns": pool_ns // 4,
        "cpu_interrupted_ns": pool_ns // 4 + rest,
    }
    rows = [
        {"allocator": "mermap", "global_pool_slots": None, "cpu_flush_ns": own_ns},
        {"allocator": "global_pool", "global_pool_slots": 128} | pool,
    ]
    return [row | {"machine": machine, "misses": 1_000} for row in rows]


def test_own_flushes_must_take_less_cpu_time_than_all_that_the_pools_take_from_any_cpu():
    cheaper, dearer = flushing("numaq16", 8_000, 8_004), flushing("modern-x86-64", 8_000, 4_000)
    assert outcome("mermap_flushes", cheaper) == "holds"
    assert outcome("mermap_flushes", dearer) == "does not hold"
    assert outcome("mermap_flushes", cheaper + dearer) == "depends"
