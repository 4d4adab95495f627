"""A spec fitted to a generated trace comes back near the spec that it was generated from."""

from __future__ import annotations

import re

import numpy as np
import pytest

from pipeline.errors import InputError, UsageError
from pipeline.io.resources import shipped_files
from pipeline.workload.fit.comparison import figures
from pipeline.workload.fit.fit import fit
from pipeline.workload.fit.observed import observe
from pipeline.workload.generate import generate
from pipeline.workload.read_spec import read_workload
from tests.trace.small import as_arrays, write_good, write_parts, writer
from tests.trace.transform.made import write_random


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    directory = tmp_path_factory.mktemp("fitted")

    def of(name: str, operations: int):
        trace = generate(name, directory / f"{name}.parquet", operations=operations, seed=5).path
        result = fit(trace, directory / f"{name}.toml", seed=9)
        return read_workload(result.output).workload, {row.statistic: row for row in result.likeness}, result

    return of


def test_the_zipf_exponent_of_zipf_bench_is_recovered(fitted) -> None:
    workload, likeness, result = fitted("zipf_bench", 150_000)
    (page_set,) = workload.page_sets.values()
    assert page_set.skew == pytest.approx(1.3, abs=0.02)
    assert page_set.sharing == "all"
    assert (workload.tasks, workload.operations) == (1024, 150_000)
    kind = workload.kinds["copy_to_user"]
    assert kind.share == pytest.approx(0.7, abs=0.01)
    assert (kind.hold.dist, kind.hold.mean_ns) == ("exponential", pytest.approx(16_000, rel=0.02))
    assert kind.wait.probability == 1.0
    assert result.not_expressed == ()
    assert all(abs(row.difference) < 0.05 for row in likeness.values() if row.difference is not None)


def test_kernel_build_comes_back_near_its_own_spec(fitted) -> None:
    workload, likeness, _ = fitted("kernel_build", 150_000)
    own = read_workload("kernel_build").workload
    assert workload.tasks == own.tasks
    assert workload.kind_runs.mean_operations == pytest.approx(own.kind_runs.mean_operations, rel=0.1)
    tables = workload.page_sets[workload.kinds["page_fault"].page_set]
    assert tables.sharing == "process"
    assert tables.skew == pytest.approx(own.page_sets["page_tables"].skew, abs=0.05)
    assert workload.kinds["copy_to_user"].page_set == workload.kinds["copy_from_user"].page_set
    think, expected = workload.kinds["page_fault"].think, own.kinds["page_fault"].think
    assert (think.dist, think.share) == ("mixture", pytest.approx(expected.share, abs=0.02))
    assert workload.kinds["copy_to_user"].hold.dist == "lognormal"
    assert workload.kinds["copy_to_user"].nested["page_fault"] == pytest.approx(0.05, abs=0.01)
    assert abs(likeness["operations per second"].difference) < 0.05


def test_idling_is_told_from_waiting_where_there_are_bursts(fitted) -> None:
    workload, _, _ = fitted("laptop", 60_000)
    assert workload.bursts.mean_operations == pytest.approx(150, rel=0.15)
    assert workload.kinds["copy_to_user"].wait.probability == pytest.approx(0.01, rel=0.2)
    assert workload.bursts.idle.isf(0.5) > 200_000_000


def test_what_a_recording_has_and_a_spec_cannot_have_is_said(tmp_path) -> None:
    result = fit(shipped_files("traces", ".parquet")["local"], tmp_path / "local.toml")
    said = " ".join(result.not_expressed)
    assert "nested operation, of another kind" in said
    assert "reuses pages sooner than the spec" in said
    assert "the 100 tasks of the trace start and end at different times" in said
    text = result.output.read_text()
    assert all(row.statistic in text for row in result.likeness)


def test_time_of_nested_operations_that_a_spec_cannot_have_is_not_lost(tmp_path) -> None:
    # A fault of 100 ns CPU time with one of 20 inside, three times.
    count = 3
    columns = {
        "time_ns": [t for i in range(count) for t in (1000 * i, 1000 * i + 40)], "task": [0, 0] * count,
        "process": [0, 0] * count, "cpu": [0, 0] * count, "kind": ["page_fault"] * 2 * count,
        "page": [1, 2] * count, "bytes": [None, None] * count, "think_ns": [900, 40] * count,
        "wait_ns": [0, 0] * count, "hold_ns": [100, 20] * count, "block_ns": [0, 0] * count,
        "depth": [0, 1] * count,
    }  # fmt: skip
    with writer(tmp_path / "t.parquet") as out:
        out.write(as_arrays(columns))
    result = fit(tmp_path / "t.parquet", tmp_path / "t.toml")
    kind = read_workload(result.output).workload.kinds["page_fault"]
    assert kind.nested == {}
    assert sorted(kind.hold.values_ns) == [20, 100]


@pytest.mark.parametrize("seed", range(4))
def test_every_trace_gives_a_spec_that_can_be_generated_from(tmp_path, seed) -> None:
    trace = write_random(tmp_path / "t.parquet", seed)
    result = fit(trace, tmp_path / "t.toml")
    generate(result.output, tmp_path / "again.parquet", operations=100)
    assert len(observe(tmp_path / "again.parquet")) == 100


def test_parents_are_found_across_tasks_that_take_turns(tmp_path) -> None:
    observed = observe(write_random(tmp_path / "t.parquet", 11))
    inside = observed.parent >= 0
    np.testing.assert_array_equal(inside, observed.depth > 0)
    outer = observed.parent[inside]
    assert (observed.task[outer] == observed.task[inside]).all()
    assert (observed.depth[outer] == observed.depth[inside] - 1).all()
    assert (observed.time_ns[outer] <= observed.time_ns[inside]).all()


def test_mistakes_are_said_and_leave_nothing(tmp_path) -> None:
    with writer(tmp_path / "empty.parquet"):
        pass
    with pytest.raises(UsageError, match=re.escape("must end in .toml")):
        fit(tmp_path / "empty.parquet", tmp_path / "spec.txt")
    with pytest.raises(InputError, match="the trace has no operations"):
        fit(tmp_path / "empty.parquet", tmp_path / "spec.toml")
    assert [file.name for file in tmp_path.iterdir()] == ["empty.parquet"]
    with pytest.raises(UsageError, match="found the columns pages, part, mapping; write a workload by hand"):
        fit(write_parts(tmp_path / "parts.parquet"), tmp_path / "spec.toml")


def test_rows_that_only_unmap_are_no_operations(tmp_path) -> None:
    observed = observe(write_parts(tmp_path / "parts.parquet"))
    assert sorted(observed.row.tolist()) == [0, 1, 2, 3]
    assert observed.page.tolist() == [4, 8, 0, 1]
    assert figures(observed)["pages of a mapping: mean"] == (4 + 3 + 1 + 2) / 4
    assert "pages of a mapping: mean" not in figures(observe(write_good(tmp_path / "good.parquet")))
