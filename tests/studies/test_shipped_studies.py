"""Every shipped study can be evaluated: its grid has runs, its SQL is valid, its words have their numbers."""

from __future__ import annotations

import pytest

from pipeline.studies.answer import fill
from pipeline.studies.catalogue import find_studies, shipped_studies
from pipeline.studies.definition import CONDITION, NUMBERS
from pipeline.studies.measure import open_results, plan_study
from pipeline.studies.outcome import Setting
from pipeline.sweeps.directory import create_sweep
from pipeline.sweeps.results import read_grids


@pytest.mark.parametrize("name", shipped_studies())
def test_a_study_can_be_asked(name, tmp_path):
    (study,) = find_studies([name])
    planned = plan_study(study)
    assert planned.runs
    if not study.exact:
        assert min(grid.replications for grid in study.grids.values()) >= 6
    with open_results(study, read_grids(create_sweep(tmp_path / "sweep"), planned.grids)) as session:
        for view in study.sql:
            frame = session.query(f'FROM "{view}" LIMIT 0')
            if view == CONDITION:
                assert "holds" in frame.columns
                assert study.exact or "replication" in frame.columns
        for shown in (*study.charts, *study.tables):
            assert shown.view in study.sql, shown.view
        for chart in study.charts:
            columns = session.query(f'FROM "{chart.view}" LIMIT 0').columns
            assert {chart.x, chart.y, chart.colour or chart.x, chart.panel or chart.x} <= set(columns)
        numbers = session.query(f'FROM "{NUMBERS}"').columns if NUMBERS in study.sql else []
    settings = [Setting("here", 6, 6), Setting("there", 0, 6)]
    for outcome in ("holds", "does not hold", "depends", "cannot tell"):
        text = fill(study, outcome, settings, dict.fromkeys(numbers))
        assert text[:1].isupper() or text[:1].isdigit() or text[:1] == "-", text


def test_a_larger_pool_must_beat_each_smaller_one_in_hits_and_flushes():
    from tests.studies.made import outcome

    def pool(slots, hits, flushes):
        counted = {"hits": hits, "misses": 1000 - hits, "flushes": flushes, "scans": flushes}
        return {"global_pool_slots": slots, **counted}

    sizes = [pool(128, 700, 500), pool(1024, 900, 20), pool(2048, 950, 5)]
    assert outcome("pool_size", sizes) == "holds"
    assert outcome("pool_size", [*sizes[:1], pool(1024, 950, 20), sizes[2]]) == "depends"
    assert outcome("pool_size", [pool(s, 990, 5) for s in (128, 1024, 2048)]) == "does not hold"
    by_chance = pool(2048, 950, lambda replication: 5 if replication % 2 else 30)
    assert outcome("pool_size", [*sizes[1:2], by_chance]) == "cannot tell"
    assert outcome("pool_size", sizes, replications=5) == "cannot tell"
