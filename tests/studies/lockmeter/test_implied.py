import dataclasses

import pytest

from pipeline.studies.experiment import change_costs
from pipeline.studies.lockmeter.implied import FLUSH_US, imply, simulated
from pipeline.studies.lockmeter.interval import Interval
from pipeline.studies.lockmeter.lockmeter_data import LockmeterRow, SiteFigures, read_rows
from pipeline.studies.lockmeter.prediction import MODEL, predict

A, D = read_rows()


def test_intervals_hold_every_result_of_numbers_inside_them() -> None:
    a, b = Interval(2.0, 3.0), Interval(0.5, 4.0)
    assert a + b == Interval(2.5, 7.0)
    assert a - b == Interval(0.0, 2.5)
    assert a * b == Interval(1.0, 12.0)
    assert a / b == Interval(0.5, 6.0)
    assert (a / Interval(0.0, 1.0)).high == float("inf")
    assert a.meet(b) == a
    assert a.meet(Interval(3.5, 4.0)) is None
    assert [a.nearest(value) for value in (1.0, 2.5, 9.0)] == [2.0, 2.5, 3.0]


def test_row_d_implies_forty_to_sixty_flushes_or_a_few_less_and_a_tenth_of_misses() -> None:
    implied = imply(D)
    assert implied is not None
    # By hand: maps were held 0.219 to 0.239 s longer than unmaps, 0.09 s of that perhaps for other work.
    assert implied.flushes.low == pytest.approx(
        (358_022 * 0.85e-6 - 0.0850 - 358_022 * 0.25e-6) / 4.2085e-3, rel=0.02
    )
    assert implied.flushes.high == pytest.approx(57, abs=1)
    assert implied.misses.low == pytest.approx(1024 * implied.flushes.low)
    assert implied.slot_us.low == pytest.approx((4207.5 - FLUSH_US) / 1024)
    assert implied.unmap_own_us.low > 0.2
    assert implied.wait_s is not None
    # 19,333 contended acquisitions of 28 us.
    assert implied.wait_s.low < 0.541 < implied.wait_s.high
    assert "57 flushes" in implied.text()


def test_row_a_implies_that_hardly_any_of_its_waiting_is_directly_behind_flushes() -> None:
    implied = imply(A)
    assert implied is not None
    assert implied.behind_flushes_percent is not None
    assert implied.behind_flushes_percent < 5.0
    # Two series wrap one by one: each pass frees as many slots as one has, and the longest those of both.
    assert implied.slot_us.low == pytest.approx((7892.5 - FLUSH_US) / 2048)


def _changed(row: LockmeterRow, site: str, **figures: float | None) -> LockmeterRow:
    sites = {**row.sites, site: row.sites[site].model_copy(update=figures)}
    return dataclasses.replace(row, sites=sites)


@pytest.mark.parametrize(
    "row",
    [
        _changed(D, "map", hold_max_us=None),
        _changed(D, "map", hold_max_us=70.0),
        _changed(D, "map", hold_mean_us=9.0),
        dataclasses.replace(D, sites={"all": D.sites["all"]}),
    ],
    ids=["no longest hold", "no pass", "contradiction", "no sites"],
)
def test_a_row_that_lacks_figures_or_contradicts_itself_implies_nothing(row: LockmeterRow) -> None:
    assert imply(row) is None


def test_what_is_implied_of_a_run_is_what_the_run_did() -> None:
    """The intervals implied by a simulated row, printed to a thousandth, contain the run's counts."""
    # A map does less than OWN_WORK_US more than an unmap, and no interrupt lengthens the longest pass.
    model = dataclasses.replace(MODEL, machine_changes=change_costs(shared_entry_ns=140, interrupt_gap_ns=0))
    short = dataclasses.replace(D, slots_per_series=256, sites={"all": SiteFigures(acquisitions=60_000)})
    prediction = predict(short, 0, model)
    totals = prediction.manifest.totals
    digits = {
        (site, name): 5e-4 * (value or 0.0) for site, f in prediction.sites.items() for name, value in f
    }
    row = dataclasses.replace(D, slots_per_series=256, sites=prediction.sites, half_units=digits)
    implied, own = imply(row), simulated(totals)
    assert implied is not None
    assert implied.wall_s is not None
    assert implied.wall_s.low <= prediction.wall_s <= implied.wall_s.high
    assert totals.flushes > 5
    for name in ("flushes", "misses", "map_own_us", "unmap_own_us", "wait_s"):
        interval, value = getattr(implied, name), own[name]
        assert interval.low * 0.95 <= value <= interval.high * 1.05, (name, interval, value)
