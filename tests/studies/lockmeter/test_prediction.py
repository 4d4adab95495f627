import dataclasses
from pathlib import Path

import pytest

from pipeline.errors import InputError, UsageError
from pipeline.schema.manifest import LockTotals
from pipeline.studies.experiment import change_costs
from pipeline.studies.lockmeter.comparison import Comparison, compare
from pipeline.studies.lockmeter.lockmeter_data import LockmeterRow, SiteFigures, read_rows
from pipeline.studies.lockmeter.prediction import MODEL, configure, mapped_share, predict, workload_of

A, D = read_rows()


def short(row: LockmeterRow, maps: int, **changes: object) -> LockmeterRow:
    """The same configuration with fewer maps."""
    sites = {
        "all": SiteFigures(acquisitions=2.0 * maps),
        "map": SiteFigures(hold_mean_us=0.9, wait_max_us=100.0),
    }
    return dataclasses.replace(row, sites=sites, half_units={}, **changes)


def test_row_a_runs_in_two_series_and_row_d_leaves_page_tables_in_low_memory() -> None:
    a = predict(short(A, 5_000)).manifest
    d = predict(short(D, 5_000)).manifest
    assert (a.allocator.name, a.allocator.options["series"], a.allocator.options["slots"]) == (
        "series_pool",
        2,
        1024,
    )
    assert (d.allocator.name, d.allocator.options["slots"]) == ("global_pool", 1024)
    assert (a.lowmem, d.lowmem) == ([], ["page_fault"])
    assert {m.machine.name for m in (a, d)} == {"numaq16"}
    assert {m.loop for m in (a, d)} == {"closed"}


def test_the_acquisitions_of_a_row_decide_how_much_is_mapped_and_nothing_else_does() -> None:
    a = predict(short(A, 5_000))
    assert a.sites["all"].acquisitions == 10_000
    assert a.sites["map"].acquisitions == a.sites["unmap"].acquisitions == 5_000
    # Of the maps of page tables only those are left out that ask for none: the others are as many as wanted.
    # Copies come in long runs, so that chance decides by some per cent how many there are in a short trace.
    d = predict(short(D, 40_000))
    assert d.sites["map"].acquisitions == pytest.approx(40_000, rel=0.15)
    assert d.manifest.totals.operations > 3 * 40_000
    unknown = dataclasses.replace(short(D, 1), sites={"map": SiteFigures()})
    assert unknown.maps is None


def test_fewer_cpus_have_as_many_jobs_each() -> None:
    eight = predict(short(A, 5_000, cpus=8)).manifest
    assert eight.machine.cpus == 8
    assert eight.machine.costs["nodes"].value == 2
    assert configure(short(A, 1, cpus=8)).changes == {"tasks": 24}
    assert configure(short(A, 1, cpus=16)).changes == {"tasks": 48}


def test_a_series_of_another_size_is_taken_from_the_row() -> None:
    found = predict(short(A, 5_000, slots_per_series=256, series=3)).manifest
    assert (found.allocator.options["series"], found.allocator.options["slots"]) == (3, 256)


def test_the_share_that_is_mapped_counts_nested_operations() -> None:
    # 0.717 page faults and 0.226 copies of which 5 % contain one.
    assert mapped_share("kernel_build", ()) == pytest.approx(1.0)
    assert mapped_share("kernel_build", ("page_fault",)) == pytest.approx(0.283 / (1 + 0.226 * 0.05))


def test_columns_are_those_of_lockmeter() -> None:
    found = predict(short(A, 20_000))
    totals = found.manifest.totals
    mapping, unmapping = totals.locks
    both = found.sites["all"]
    assert isinstance(mapping, LockTotals)
    assert both.util_pct == pytest.approx(100 * (mapping.hold_ns + unmapping.hold_ns) / totals.wall_ns)
    assert both.hold_max_us == max(mapping.hold_max_ns, unmapping.hold_max_ns) / 1e3
    assert both.wait_mean_us == pytest.approx(
        (mapping.wait_ns + unmapping.wait_ns) / (mapping.contended + unmapping.contended) / 1e3
    )
    spun = 100 * sum(cpu.spin_ns for cpu in totals.cpu_time) / (16 * totals.wall_ns)
    assert both.wait_cpu_pct == pytest.approx(spun, rel=0.01)


def test_a_comparison_judges_what_was_measured_and_leaves_out_what_was_not() -> None:
    compared = compare(short(A, 5_000, wall_s=None), seeds=2)
    comparable = {(figure.site, figure.name): figure for figure in compared.comparable}
    assert set(comparable) == {("all", "acquisitions"), ("map", "hold_mean_us"), ("map", "wait_max_us")}
    assert comparable["all", "acquisitions"].ratio == 1.0
    assert comparable["map", "wait_max_us"].factor == 2.0
    # It is no row that the model was fitted to.
    assert comparable["map", "hold_mean_us"].factor == 1.25
    text = compared.text()
    assert "closed loop, seeds 0 to 1 (means)" in text
    assert "range over seeds" in text
    assert "3 figures meet the goal" in text.replace(f"{_within(compared)} of 3", "3")


def _within(compared: Comparison) -> int:
    return sum(bool(figure.within) for figure in compared.comparable)


def test_the_same_seed_predicts_the_same_and_another_something_else() -> None:
    row = short(A, 5_000)
    first, again, other = (predict(row, seed).manifest.fingerprint for seed in (0, 0, 1))
    assert first == again != other


def test_a_mechanism_can_be_changed_without_touching_the_files() -> None:
    row = short(A, 20_000)
    free = predict(row, 0, dataclasses.replace(MODEL, machine_changes=change_costs(hold_per_spinner_ns=0)))
    hold_us, free_hold_us = (p.sites["unmap"].hold_max_us or 0.0 for p in (predict(row), free))
    assert free_hold_us < hold_us


def test_a_number_of_seeds_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="seeds must be 1 to 1000, found 0"):
        compare(A, 0)


def test_a_row_of_an_unknown_workload_is_compared_in_what_the_pool_alone_decides() -> None:
    sites = {site: figures.model_copy(update={"acquisitions": 40_000.0}) for site, figures in D.sites.items()}
    quiet = dataclasses.replace(D, sites=sites, workload="8-way database", slots_per_series=128)
    compared = compare(quiet)
    assert {(f.site, f.name) for f in compared.figures} >= {("unmap", "hold_mean_us"), ("map", "hold_max_us")}
    assert not {"contended_pct", "util_pct", "wait_mean_us", "wall_s"} & {f.name for f in compared.figures}
    assert "the workload '8-way database' is unknown" in compared.text()
    loud = {site: figures.model_copy(update={"contended_pct": 50.0}) for site, figures in sites.items()}
    compared = compare(dataclasses.replace(quiet, sites=loud))
    assert [(f.site, f.name) for f in compared.figures] == [("map", "hold_max_us")]


def test_a_row_names_its_workload_or_is_of_the_one_that_is_asked_for(tmp_path: Path) -> None:
    assert workload_of(D) == "kernel_build"
    assert workload_of(dataclasses.replace(D, workload="dbench")) != workload_of(D)
    assert workload_of(dataclasses.replace(D, workload="oltp")) is None
    own = tmp_path / "mine.toml"
    model = dataclasses.replace(MODEL, workload=str(own))
    assert workload_of(dataclasses.replace(D, workload="mine"), model) == str(own)
    assert workload_of(D, model) == str(own)
    with pytest.raises(InputError, match=r"absent\.toml"):
        workload_of(dataclasses.replace(D, workload=str(tmp_path / "absent.toml")))
