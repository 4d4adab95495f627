"""Verdicts of single designs beside the pool, on made-up totals."""

from __future__ import annotations

from typing import Any

from pipeline.schema.run import LockTotals
from pipeline.studies.claims import cpu_cache, epochs, flush_apart, process_local
from pipeline.studies.claims.against_pool import Case, rows
from tests.studies.claims.made import totals


def locked(hold_ns: int, **known: Any):
    lock = LockTotals(
        site="map",
        acquisitions=1,
        contended=0,
        hold_ns=hold_ns,
        hold_max_ns=hold_ns,
        wait_ns=0,
        wait_max_ns=0,
    )
    return totals(**{"hits": 900, "misses": 100} | known, locks=[lock])


def case(name: str, own: dict[str, Any], pool: dict[str, Any], cpus: int = 4, page_struct_bytes: int = 16):
    own_hold, pool_hold = own.pop("hold", 50), pool.pop("hold", 90)
    return Case(name, "d", locked(own_hold, **own), locked(pool_hold, **pool), cpus, page_struct_bytes)


def test_a_process_local_pool_must_interrupt_and_pin_nobody():
    calm = case("one thread", {}, {"ipis": 3})
    threads = case("two threads", {"ipis": 7}, {"ipis": 3})
    assert process_local.judge([calm])[0] == "holds"
    outcome, because = process_local.judge([calm, threads])
    assert outcome == "depends"
    assert "7 IPIs in 1 compiles (two threads), by the pool's flushes 3" in because
    assert process_local.judge([threads])[0] == "does not hold"
    assert process_local.judge([case("pinned", {"pin_waits": 1}, {})])[0] == "does not hold"


def test_a_flush_apart_must_shorten_the_longest_hold_wherever_both_flush():
    shorter = case("a", {"flushes": 2}, {"flushes": 1})
    longer = case("b", {"flushes": 2, "hold": 91}, {"flushes": 1})
    unflushed = case("c", {"hold": 91}, {"flushes": 1})
    assert flush_apart.judge([shorter, unflushed])[0] == "holds"
    outcome, because = flush_apart.judge([shorter, longer])
    assert outcome == "depends"
    assert "(not in b)" in because
    assert flush_apart.judge([longer])[0] == "does not hold"


def test_a_cache_per_cpu_must_interrupt_nobody_and_take_four_bytes_for_each():
    good, interrupting = case("a", {"misses": 100}, {}), case("b", {"ipis": 1}, {})
    assert cpu_cache.judge([good])[0] == "holds"
    assert "0 IPIs" in cpu_cache.judge([good])[1]
    assert cpu_cache.judge([good, interrupting])[0] == "depends"
    assert cpu_cache.judge([case("c", {}, {}, page_struct_bytes=4)])[0] == "does not hold"


def test_reuse_after_switches_must_interrupt_fewer_than_flushes_do():
    fewer = case("a", {"flushes": 20, "ipis": 30}, {"flushes": 4, "ipis": 60})
    more = case("b", {"flushes": 90, "ipis": 270}, {"flushes": 4, "ipis": 60})
    assert epochs.judge([fewer])[0] == "holds"
    assert "80 % interrupt nobody" in epochs.judge([fewer])[1]
    assert epochs.judge([fewer, more])[0] == "depends"
    assert epochs.judge([more])[0] == "does not hold"


def test_throughput_is_told_as_a_ratio_with_where_it_was():
    half = case("slow", {"wall_ns": 2_000_000}, {})
    twice = case("fast", {}, {"wall_ns": 2_000_000})
    said = process_local.judge([half, twice])[1]
    assert "Throughput is 0.50 (slow) to 2.00 times (fast) that of the pool." in said
    assert [row[1] for row in rows([half])] == ["d", "global_pool"]
