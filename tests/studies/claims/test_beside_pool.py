"""Verdicts of single allocators beside the pool, on made-up totals."""

from __future__ import annotations

from typing import Any

from pipeline.studies.claims import beside_pool
from pipeline.studies.claims.beside_pool import Pair
from tests.studies.claims.made import lock, point


def case(name: str, own: dict[str, Any], pool: dict[str, Any], page_struct_bytes: int = 16) -> Pair:
    served = {"hits": 900, "misses": 100}
    locks = [[lock(hold_ns=made.pop("hold", longest))] for made, longest in ((own, 50), (pool, 90))]
    return Pair(
        point(
            name, allocator="d", cpus=4, page_struct_bytes=page_struct_bytes, **served | own, locks=locks[0]
        ),
        point(name, allocator="global_pool", **served | pool, locks=locks[1]),
    )


def test_a_process_local_pool_must_interrupt_and_pin_nobody():
    calm = case("one thread", {}, {"ipis": 3})
    threads = case("two threads", {"ipis": 7}, {"ipis": 3})
    assert beside_pool.judge_process_pool([calm])[0] == "holds"
    outcome, because = beside_pool.judge_process_pool([calm, threads])
    assert outcome == "depends"
    assert "7 IPIs in 1 compiles (two threads), by the pool's flushes 3" in because
    assert beside_pool.judge_process_pool([threads])[0] == "does not hold"
    assert beside_pool.judge_process_pool([case("pinned", {"pin_waits": 1}, {})])[0] == "does not hold"


def test_a_flush_without_the_lock_must_shorten_the_longest_hold_wherever_both_flush():
    shorter = case("a", {"flushes": 2}, {"flushes": 1})
    longer = case("b", {"flushes": 2, "hold": 91}, {"flushes": 1})
    unflushed = case("c", {"hold": 91}, {"flushes": 1})
    assert beside_pool.judge_unlocked_flush([shorter, unflushed])[0] == "holds"
    outcome, because = beside_pool.judge_unlocked_flush([shorter, longer])
    assert outcome == "depends"
    assert "(not in b)" in because
    assert beside_pool.judge_unlocked_flush([longer])[0] == "does not hold"


def test_a_cache_per_cpu_must_interrupt_nobody_and_take_four_bytes_for_each():
    good, interrupting = case("a", {"misses": 100}, {}), case("b", {"ipis": 1}, {})
    assert beside_pool.judge_cpu_cache([good])[0] == "holds"
    assert "0 IPIs" in beside_pool.judge_cpu_cache([good])[1]
    assert beside_pool.judge_cpu_cache([good, interrupting])[0] == "depends"
    assert beside_pool.judge_cpu_cache([case("c", {}, {}, page_struct_bytes=4)])[0] == "does not hold"


def test_reuse_after_switches_must_interrupt_fewer_than_flushes_do():
    fewer = case("a", {"flushes": 20, "ipis": 30}, {"flushes": 4, "ipis": 60})
    more = case("b", {"flushes": 90, "ipis": 270}, {"flushes": 4, "ipis": 60})
    assert beside_pool.judge_epochs([fewer])[0] == "holds"
    assert "80 % interrupt nobody" in beside_pool.judge_epochs([fewer])[1]
    assert beside_pool.judge_epochs([fewer, more])[0] == "depends"
    assert beside_pool.judge_epochs([more])[0] == "does not hold"


def test_throughput_is_told_as_a_ratio_with_where_it_was():
    half = case("slow", {"wall_ns": 2_000_000}, {})
    twice = case("fast", {}, {"wall_ns": 2_000_000})
    said = beside_pool.judge_process_pool([half, twice])[1]
    assert "Throughput is 0.50 (slow) to 2.00 times (fast) that of the pool." in said
