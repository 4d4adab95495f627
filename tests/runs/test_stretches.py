"""What each CPU did from when to when: nothing is missing, and it adds up to what the totals say."""

from __future__ import annotations

import pytest

from pipeline.schema.names import CPU_CATEGORIES
from pipeline.sql.session import open_session
from tests.runs.made import build_trace, generated, replayed, storm_trace

BY_CATEGORY = """
SELECT cpu, category, sum(end_ns - begin_ns - interrupted_ns)::BIGINT AS ns
FROM stretches GROUP BY cpu, category
UNION ALL
SELECT cpu, 'interrupted', sum(interrupted_ns)::BIGINT FROM stretches GROUP BY cpu
"""
GAPS = """
SELECT * FROM (
    SELECT cpu, begin_ns, lag(end_ns, 1, 0) OVER (PARTITION BY cpu ORDER BY begin_ns) AS before_ns
    FROM stretches
) WHERE begin_ns <> before_ns
"""


@pytest.mark.parametrize(
    ("allocator", "machine", "loop"),
    [
        ("global_pool", "numaq16", "closed"),
        ("always_flush", "numaq16", "closed"),
        ("kmap_local", "modern-x86-64", "closed"),
        ("percpu_pinned", "modern-x86-64", "timed"),
        ("per_process", "numaq16", "timed"),
    ],
)
@pytest.mark.parametrize("make_trace", [build_trace, storm_trace])
def test_stretches_fill_every_cpu_s_time_and_add_up_to_its_totals(
    tmp_path, allocator, machine, loop, make_trace
):
    trace = make_trace(tmp_path, 400)
    settings = {"allocator": allocator, "machine": machine, "loop": loop, "compiled": False}
    run = replayed(trace, tmp_path / "runs", events="stretches", **settings)
    assert run.manifest.fingerprint == replayed(trace, tmp_path / "runs", **settings).manifest.fingerprint
    with open_session([run.path]) as session:
        found = {(cpu, category): ns for cpu, category, ns in session.query(BY_CATEGORY).rows()}
        assert session.query(GAPS).is_empty()
        ends = session.query("SELECT cpu, max(end_ns) FROM stretches GROUP BY cpu").rows()
        assert {end for _, end in ends} == {run.manifest.totals.wall_ns}
        within = session.query(
            "SELECT count(*) FROM stretches WHERE op IS NOT NULL AND category = 'critical'"
        )
        assert within.item() > 0
    for cpu in run.manifest.totals.cpu_time:
        for category in CPU_CATEGORIES:
            assert found.pop((cpu.cpu, category), 0) == getattr(cpu, f"{category}_ns"), (cpu.cpu, category)
    assert found == {}


def test_the_table_is_the_same_whatever_the_size_of_its_buffer(tmp_path, monkeypatch):
    trace = generated(tmp_path, "fault_storm", 2_000)
    known = replayed(trace, tmp_path / "known", events="stretches")
    monkeypatch.setattr("pipeline.machine.machine_state.RunSettings.log_stretches", 64)
    run = replayed(trace, tmp_path / "runs", events="stretches")
    rows = "FROM stretches SELECT * EXCLUDE (run) ORDER BY cpu, begin_ns"
    with open_session([known.path]) as session, open_session([run.path]) as other:
        assert session.query(rows).equals(other.query(rows))
