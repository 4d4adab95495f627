from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.schema.run import CPU_CATEGORIES
from pipeline.studies.experiment import Experiment
from pipeline.studies.lockmeter import facts
from pipeline.studies.point import Point


def run(**totals: Any) -> Any:
    """A run of which only some totals matter: 1 s on 16 CPUs, idle but for what is given in percent."""
    share = {name: totals.pop(name, 0) for name in CPU_CATEGORIES}
    spent = {f"{name}_ns": percent * 10_000_000 for name, percent in share.items()}
    known = {
        "hits": 0, "misses": 0, "fallbacks": 0, "flushes": 0, "wall_ns": 1_000_000_000, "operations": 1,
        "locks": [], "cpu_time": [SimpleNamespace(**spent) for _ in range(16)],
    }  # fmt: skip
    made: Any = SimpleNamespace(**(known | totals))
    return Point(made, made)


@pytest.mark.parametrize(
    ("with_1024", "with_4096", "outcome"),
    [(100, 10, "holds"), (100, 40, "does not hold"), (100, 0, "does not hold"), (1000, 10, "does not hold")],
)
def test_ten_times_fewer_flushes_are_about_ten_times_fewer(
    monkeypatch: pytest.MonkeyPatch, with_1024: int, with_4096: int, outcome: str
) -> None:
    flushes = {512: 200, 1024: with_1024, 2048: 30, 4096: with_4096}

    def mainline(slots: int, _compiles: int) -> Any:
        return run(hits=900, misses=100, flushes=flushes[slots])

    monkeypatch.setattr(facts, "_mainline", mainline)
    verdict = facts.pool_size()
    assert verdict.outcome == outcome
    assert [row[3] for row in verdict.tables[0].rows] == [f"{count:,}" for count in flushes.values()]
    assert verdict.tables[0].rows[3][4] == (f"{1000 / with_4096:,.0f}" if with_4096 else "-")


@pytest.mark.parametrize(
    ("hits", "outcome"), [((960, 965), "holds"), ((940, 960), "depends"), ((980, 990), "does not hold")]
)
def test_the_hit_rate_is_judged_with_either_pool(
    monkeypatch: pytest.MonkeyPatch, hits: tuple[int, int], outcome: str
) -> None:
    found = dict(zip((1024, 4096), hits, strict=True))
    monkeypatch.setattr(facts, "_mainline", lambda slots: run(hits=found[slots], misses=1000 - found[slots]))
    assert facts.hit_rate().outcome == outcome


@pytest.mark.parametrize(("after_ns", "outcome"), [(999_000_000, "holds"), (900_000_000, "does not hold")])
def test_a_wall_time_that_falls_by_a_tenth_is_a_gain(
    monkeypatch: pytest.MonkeyPatch, after_ns: int, outcome: str
) -> None:
    def simulated(experiment: Experiment) -> Any:
        return run(hits=40, wall_ns=after_ns) if experiment.lowmem else run(hits=490)

    monkeypatch.setattr(facts, "_measure", simulated)
    assert facts.four_way().outcome == outcome


@pytest.mark.parametrize(
    ("spinning", "outcome"),
    [((80, 70, 60), "holds"), ((10, 70, 60), "depends"), ((10, 20, 30), "does not hold")],
)
def test_lock_bound_is_half_of_the_time_spinning_and_none_with_atomic_maps(
    monkeypatch: pytest.MonkeyPatch, spinning: tuple[int, int, int], outcome: str
) -> None:
    share = dict(zip((4096, 2048, 1024), spinning, strict=True))
    monkeypatch.setattr(
        facts,
        "_dbench",
        lambda size, allocator: run(misses=5, spin=share[size] if allocator == "global_pool" else 0),
    )
    assert facts.dbench().outcome == outcome


def test_copies_of_another_size_ask_for_the_same_bytes_and_work(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Experiment] = []
    monkeypatch.setattr(facts, "_measure", asked.append)
    facts._dbench(2048, "atomic")
    facts._dbench(1024, "atomic")
    whole, half = asked
    assert half.operations == 2 * (whole.operations or 0)
    kinds = {key.split(".")[1] for key in whole.changes}
    for experiment, size, mean_ns in ((whole, 2048, 192_000), (half, 1024, 96_000)):
        assert {experiment.changes[f"kinds.{kind}.bytes"] for kind in kinds} == {size}
        assert mean_ns in experiment.changes.values()


@pytest.mark.parametrize(
    ("with_a", "with_d", "outcome"), [(1, 1, "holds"), (39, 1, "depends"), (39, 39, "does not hold")]
)
def test_the_flush_hurts_where_most_of_the_spinning_goes_with_it(
    monkeypatch: pytest.MonkeyPatch, with_a: int, with_d: int, outcome: str
) -> None:
    def simulated(experiment: Experiment) -> Any:
        free = {"series_pool": with_a, "global_pool": with_d}[experiment.allocator]
        return run(hits=40, flushes=1, spin=free if experiment.machine_changes else 40)

    monkeypatch.setattr(facts, "_measure", simulated)
    verdict = facts.flush_hurts()
    assert verdict.outcome == outcome
    assert "at most 4 % and 100 %" in verdict.because
