"""A design compared with itself: how often a difference is claimed that is not there."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.stats import binom

from pipeline.allocators.registry import load_allocator
from pipeline.machine.drive import COLUMNS
from pipeline.machine.in_memory import Outcome, Rows, rows, simulate
from pipeline.machine.profile import load_profile
from pipeline.report.ranking import rank_runs
from pipeline.report.report import report
from pipeline.runs.store import Run
from pipeline.schema.manifest import Manifest
from pipeline.workload.draws import Drawer
from pipeline.workload.read_spec import read_workload
from pipeline.workload.stream import RowStream
from tests.runs.made import build_trace, replayed
from tests.sql.handmade import manifest_dict, totals_of

COMPARISONS = 200
# 5 % of them are expected, 10 with a standard deviation of 3.1; more than this are one case in a hundred.
MOST_CLAIMS = int(binom.ppf(0.99, COMPARISONS, 0.05))
BLOCKS = 25


def kernel_build(operations: int, seed: int) -> Rows:
    """The first rows of the workload."""
    batches = []
    for batch in RowStream(Drawer(read_workload("kernel_build"), seed)).batches():
        batches.append(batch)
        if sum(len(one["task"]) for one in batches) >= operations:
            break
    columns = {name: np.concatenate([batch[name] for batch in batches])[:operations] for name in COLUMNS}
    return rows(operations, **columns)


def outcomes(machine: str, operations: int, jitter_percent: float) -> Iterator[Outcome]:
    """Replications without end: other seeds, on four CPUs of a machine."""
    design, profile = load_allocator("global_pool"), load_profile(machine).with_cpus(4)
    trace = kernel_build(operations, 0)
    seed = 0
    while True:
        yield simulate(
            design, profile, trace, seed=seed, jitter_percent=jitter_percent, options={"slots": "64"},
            compiled=True,
        )  # fmt: skip
        seed += 1


def run_of(outcome: Outcome, label: str, seed: int) -> tuple[Run, pl.DataFrame]:
    """A run with the outcome's wall time, as if of design `label` with `seed`, and its blocks."""
    operations = len(outcome.operations)
    map_ns = int((outcome.operations["mapped_ns"] - outcome.operations["asked_ns"]).sum())
    counted = {"wall_ns": outcome.wall_ns, "operations": operations, "map_ns": map_ns}
    totals = totals_of([], [], 2) | counted
    content = manifest_dict(label, totals=totals, seed=seed, fingerprint=str(outcome.fingerprint))
    name = f"{label} {seed}"
    return Run(name, Path(name), Manifest.model_validate(content)), blocks_of(outcome, name)


def blocks_of(outcome: Outcome, name: str) -> pl.DataFrame:
    """What the query `ranking` answers."""
    log = outcome.operations
    block = np.arange(len(log)) * BLOCKS // len(log)
    counts = np.bincount(block)
    lost_ns = log["mapped_ns"] - log["asked_ns"] + log["done_ns"] - log["unmap_asked_ns"]
    return pl.DataFrame(
        {
            "run": [name] * BLOCKS,
            "block": np.arange(BLOCKS),
            "operations": counts,
            "done_ms": np.bincount(block, log["done_ns"]) / counts / 1e6,
            "lost_us": np.bincount(block, lost_ns) / counts / 1e3,
        }
    )


def claims(source: Iterator[Outcome], replications: int) -> tuple[int, int]:
    """How many of the comparisons claim a difference, in throughput and in cost."""
    throughput = cost = 0
    for _ in range(COMPARISONS):
        made = [
            run_of(outcome, label, seed)
            for label in ("a", "b")
            for seed, outcome in enumerate(islice(source, replications))
        ]
        (ranking,) = rank_runs([run for run, _ in made], pl.concat([rows for _, rows in made]), ())
        second = ranking.standings[1]
        assert second.method == ("replications" if replications > 1 else "blocks")
        throughput += second.verdict in ("faster", "slower")
        low, high = second.slower_mapped.factor_interval or (1.0, 1.0)
        cost += not low <= 1.0 <= high
    return throughput, cost


@pytest.mark.parametrize(
    ("machine", "jitter_percent"), [("modern-x86-64", 0.5), ("numaq16", 0.0)], ids=["jitter", "unfair"]
)
def test_replications_of_a_design_differ_as_often_as_the_confidence_says(machine, jitter_percent):
    throughput, cost = claims(outcomes(machine, 600, jitter_percent), replications=3)
    assert throughput <= MOST_CLAIMS
    assert cost <= MOST_CLAIMS


def test_single_runs_of_a_design_differ_no_more_often():
    throughput, _ = claims(outcomes("numaq16", 1_500, 0.5), replications=1)
    assert throughput <= MOST_CLAIMS


def test_one_run_made_again_with_other_seeds_is_counted_once(tmp_path):
    trace = build_trace(tmp_path, 1_500)
    for design in ("global_pool", "global_pool_invlpg"):
        for seed in range(4):
            how = {"machine": "modern-x86-64", "seed": seed, "options": {"slots": "64"}, "compiled": False}
            replayed(trace, tmp_path / "runs", design, **how)
    text = report([tmp_path / "runs"], tmp_path / "report.md", item="ranking").read_text(encoding="utf-8")
    assert "global_pool (slots=64) (4 identical runs)" in text
    assert "not replicated" in text
    assert "Student's t over different runs" not in text
