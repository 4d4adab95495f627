"""`pipeline best`: a race of designs."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pipeline.allocators.registry import kmap_allocators, shipped_allocators
from pipeline.compare.best import select_best
from pipeline.compare.best_text import answer, commands, render_selection
from pipeline.compare.candidates import Candidate, find_candidates, has_areas, parse_sizes
from pipeline.compare.making import Conditions
from pipeline.errors import InputError, UsageError
from pipeline.sweeps.sweep import Means
from pipeline.workload.generate import generate
from tests.cli.command import pipeline
from tests.sweeps.made import FAILS, design

PLAIN = Means(workers=2, compiled=False)
# Sixteen CPUs at one lock with a page that all want.
FEW = Conditions("read_one_byte", "numaq16", 4, cpus=4, operations=80)
HAZARD = """
from pipeline.allocators.api.actions import DONE
from pipeline.jit.marks import inline
from pipeline.schema.codes import MISS
SUMMARY = 'one slot for every page, which nobody ever flushes'
def slots(options, shape):
    return 1
@inline
def map_step(a, r, d):
    r.slot = 0
    r.served = MISS
    return DONE
@inline
def unmap_step(a, r, d):
    return DONE
"""


def raced(*texts: str, **how):
    candidates = [Candidate(text) for text in texts]
    return select_best(candidates, how.pop("conditions", FEW), means=PLAIN, **how)


def test_a_design_without_a_lock_beats_the_pool_where_all_want_one_page():
    found = raced("global_pool", "atomic")
    assert found.decided
    assert found.winner.candidate.design == "atomic"
    (other,) = found.entrants[1:]
    assert other.standing == "behind"
    low, high = other.bounds
    assert 0 < low < high
    text = render_selection(found, "text")
    assert text.startswith("atomic is the best for read_one_byte on numaq16: ")
    assert " worse" in text
    assert commands(found) == [
        "pipeline generate read_one_byte -o read_one_byte.parquet --ops 80",
        "pipeline replay read_one_byte.parquet -a atomic -m numaq16 --cpus 4",
    ]


def test_designs_that_meet_a_hazard_or_fail_are_out_and_say_why(tmp_path):
    hazard = tmp_path / "hazard.py"
    hazard.write_text(HAZARD)
    failing = design(tmp_path, "failing", FAILS)
    conditions = replace(FEW, trace="kernel_build")
    found = raced("global_pool", "atomic", str(hazard), failing, conditions=conditions)
    why = {e.candidate.design: e.why for e in found.excluded}
    assert why[str(hazard)] == "met a hazard: stale translation"
    assert "this design fails" in why[failing]
    assert "excluded: " in render_selection(found, "text")
    with pytest.raises(InputError, match="requires two designs that complete the trace"):
        raced("atomic", str(hazard), conditions=conditions)


def test_equal_designs_end_undecided_or_as_good():
    found = raced("global_pool", "global_pool:slots=2048", most=4, margin=0.0001)
    assert {e.standing for e in found.entrants} <= {"best", "may be the best", "close"}
    assert "may be as good" in answer(found)


def test_candidates_are_all_designs_in_some_sizes():
    names = [c.text for c in find_candidates([], [], parse_sizes("0.5,1"))]
    assert {"global_pool", "global_pool:slots=512", "kmap_local"} <= set(names)
    assert not {"direct_map", "always_flush", "clairvoyant", "vmap_lazy"} & set(names)
    assert len(names) == len(set(names))
    # A size that the option does not have is the next that it has, once.
    assert [c.text for c in find_candidates(["per_process"], [], (1000.0, 2000.0))] == [
        "per_process:slots=16384"
    ]


def test_the_candidates_for_a_trace_with_areas_are_the_designs_for_areas():
    names = {c.design for c in find_candidates([], [], (1.0,), areas=True)}
    assert names == set(shipped_allocators()) - set(kmap_allocators()) >= {"vmap_global", "vmap_nodes"}


def test_a_workload_a_recording_and_a_trace_say_whether_they_have_areas(tmp_path):
    generate("vmap_loop", tmp_path / "areas.parquet", operations=9)
    assert has_areas("vmap_loop")
    assert has_areas(str(tmp_path / "areas.parquet"))
    assert not has_areas("kernel_build")
    assert not has_areas("local")


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: parse_sizes("1,many"), "--sizes: expected comma-separated numbers"),
        (lambda: find_candidates([], [], (0.0,)), "positive factors"),
        (lambda: raced("atomic", "global_pool", metric="map"), "throughput or cpu"),
        (lambda: raced("atomic", "global_pool", margin=0.0), "expected a percentage above 0"),
    ],
)
def test_mistakes_are_named(call, said):
    with pytest.raises(UsageError, match=said):
        call()


def test_the_command_scores_a_design_of_ones_own(tmp_path):
    mine = tmp_path / "mine.py"
    mine.write_text(HAZARD)
    done = pipeline(
        "best", "./mine.py", "kernel_build", "-m", "numaq16", "-a", "atomic,global_pool", "--sizes", "1",
        "--ops", "400", "--cpus", "4", "--first", "4", "--most", "6", "--margin", "20", "--format", "json",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    assert {found["design"] for found in content["designs"]} == {"atomic", "global_pool"}
    assert content["excluded"] == [{"design": "./mine.py", "why": "met a hazard: stale translation"}]
    wrong = pipeline("best", "a.parquet", "b.parquet", "-m", "numaq16", cwd=tmp_path)
    assert (wrong.returncode, wrong.stdout) == (2, "")
