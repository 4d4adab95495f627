import csv
import math
import tomllib
from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.machine.profile import load_profile
from pipeline.studies import calibration
from pipeline.studies.calibration import calibrate, evaluate, objective, read_procedure
from pipeline.studies.lockmeter.comparison import Figure
from pipeline.studies.lockmeter.lockmeter_data import SiteFigures, read_rows
from pipeline.workload.read_spec import read_workload


def figure(ratio: float, name: str = "hold_mean_us") -> Figure:
    return Figure("all", name, 10.0, (10.0 * ratio,))


def test_the_objective_counts_misfits_in_units_of_the_goal() -> None:
    assert objective([figure(1.0)]) == 0.0
    assert objective([figure(1.14999)]) == pytest.approx(1.0, abs=1e-3)
    assert objective([figure(1.15**2)]) == pytest.approx(4.0 + 2.0)
    assert objective([figure(1 / 1.15**2)]) == pytest.approx(4.0 + 2.0)
    assert objective([figure(4.0, "wait_max_us")]) == pytest.approx(4.0 / 2 + 2.0)
    assert objective([figure(0.0)]) == objective([figure(1e9)]) == 30.0 + 2.0
    assert objective([Figure("all", "wait_mean_us", None, (1.0,))]) == 0.0


def test_every_parameter_stands_in_its_file_within_its_bounds() -> None:
    plan = read_procedure()
    for name, value in plan.present().items():
        (parameter,) = (p for p in plan.parameters if p.name == name)
        assert parameter.low <= value <= parameter.high, name
        assert parameter.value(parameter.place(value)) == pytest.approx(value, rel=2 * 10**-parameter.digits)
        assert parameter.low <= parameter.start <= parameter.high, name
        assert len(parameter.why) > 10


def test_only_what_may_be_fitted_is_and_only_to_rows_a_and_d() -> None:
    plan = read_procedure()
    assert plan.rows == ["A", "D"]
    keys = {key for parameter in plan.parameters for key in parameter.keys}
    kinds = ("page_fault", "copy_to_user", "copy_from_user")
    pinned = {"tasks", "operations", "page_sets.page_cache.pages", "page_sets.page_tables.pages"}
    pinned |= {f"kinds.{kind}.share" for kind in kinds}
    pinned |= {f"costs.{cost}_ns.value" for cost in ("scan_slot", "ipi_send", "ipi_latency", "ipi_handler")}
    assert keys.isdisjoint(pinned)


def test_a_short_search_writes_files_that_load_and_never_gets_worse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = [
        row.__class__(**{**vars(row), "sites": {s: _scaled(f) for s, f in row.sites.items()}, "wall_s": None})
        for row in read_rows()
    ]
    monkeypatch.setattr(calibration, "read_rows", lambda: short)
    monkeypatch.setattr(calibration, "POPULATION", 4)
    found = calibrate(tmp_path / "out", evaluations=4)
    assert found.start == {parameter.name: parameter.start for parameter in read_procedure().parameters}
    assert found.best_objective <= found.start_objective
    assert found.evaluations == 4
    with (tmp_path / "out" / "evaluations.csv").open() as handle:
        lines = list(csv.DictReader(handle))
    assert len(lines) == 1 + 4
    assert min(float(line["objective"]) for line in lines) == found.best_objective
    profile = load_profile(str(tmp_path / "out" / "numaq16.toml"))
    assert profile.costs["barging_percent"].value == round(found.best["barging_percent"])
    assert (
        "pipeline calibrate --evaluations 4 --step 0.2 --seed 1 --seeds 1"
        in profile.costs["barging_percent"].source
    )
    workload = read_workload(tmp_path / "out" / "kernel_build.toml").workload
    assert workload.page_sets["page_cache"].hot_pages == found.best["page_cache_hot"]
    assert "fitted" in (tmp_path / "out" / "kernel_build.toml").read_text()
    assert evaluate(read_procedure(), [found.best])[0][0] == pytest.approx(found.best_objective)
    assert "pipeline study lockmeter --machine" in found.text()


def _scaled(figures: SiteFigures) -> SiteFigures:
    return figures.model_copy(update={"acquisitions": (figures.acquisitions or 0) / 100})


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"evaluations": 0}, "evaluations must be 1 to 100000, found 0"),
        ({"seeds": 0}, "seeds must be 1 to 100, found 0"),
        ({"seed": 0}, "seed must be 1 to"),
        ({"step": 0.0}, "step must be 0.001 to 1, found 0"),
    ],
)
def test_numbers_out_of_range_are_refused(tmp_path: Path, numbers: dict[str, int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        calibrate(tmp_path / "out", **numbers)
    assert not (tmp_path / "out").exists()


def test_places_and_values_are_inverse_and_keep_to_the_bounds() -> None:
    for parameter in read_procedure().parameters:
        assert parameter.value(-1.0) == pytest.approx(parameter.low, rel=0.01, abs=0.01)
        assert parameter.value(2.0) == pytest.approx(parameter.high, rel=0.01)
        for place in (0.1, 0.5, 0.9):
            assert parameter.place(parameter.value(place)) == pytest.approx(place, abs=0.02)
        assert math.isfinite(parameter.place(0.0))


def test_the_shipped_parameters_are_what_the_bounds_file_is_about() -> None:
    table = tomllib.loads(calibration.PARAMETERS.read_text())
    assert {p["file"] for p in table["parameters"]} == {"machine", "workload"}
