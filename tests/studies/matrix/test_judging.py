"""A judgement stays only as long as its runs come out as they did when it was written."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.allocators.registry import shipped_allocators
from pipeline.studies.claims.bench import Bench
from pipeline.studies.matrix.claims_data import SAYINGS
from pipeline.studies.matrix.designs_page import Comparison
from pipeline.studies.matrix.grid import BOUNDS, Grid, NotAskedError
from pipeline.studies.matrix.verdicts import Saying, judged

GRID = Grid(Bench(Path("nowhere")), BOUNDS, traces=())


def saying(comes_out: bool, judged_on: bool) -> Saying:
    return Saying(
        "d", "A, 2002", "it is so", lambda _: (comes_out, "7 of 9."), judged_on, "author", "Because."
    )


def test_a_judgement_is_given_where_the_runs_come_out_as_it_was_judged():
    one = judged(GRID, saying(False, False))
    assert one.markdown() == (
        "- A, 2002: it is so. **Does not come out**: 7 of 9. Wrong is the author. Because."
    )
    assert (one.stale, one.wrong) == (False, "author")


@pytest.mark.parametrize("now", [True, False])
def test_a_judgement_is_left_out_where_they_come_out_otherwise(now):
    one = judged(GRID, saying(now, not now))
    assert one.stale
    assert "7 of 9." in one.markdown()
    assert "Because." not in one.markdown()
    assert "To be judged anew" in one.markdown()
    assert one.wrong == "to be judged anew"
    assert Comparison(GRID, [], [one]).stale == [one]


def test_a_saying_whose_runs_were_left_out_is_not_asked():
    def look(grid: Grid) -> tuple[bool, str]:
        grid.at("kernel_build", "numaq16", 16, "direct_map")
        raise AssertionError

    one = judged(GRID, Saying("d", "A", "it is so", look, True, "nobody", "Because."))
    assert (one.comes_out, one.stale, one.outcome) == (None, False, "not asked")
    assert "direct_map on kernel_build, numaq16 with 16 CPUs" in one.markdown()
    with pytest.raises(NotAskedError):
        GRID.at("kernel_build", "numaq16", 16, "direct_map")


def test_every_design_but_the_outer_bounds_is_judged():
    assert {one.allocator for one in SAYINGS} == set(shipped_allocators()) - {"direct_map", "always_flush"}
    for one in SAYINGS:
        assert one.judgement.endswith(".")
        # What came out needs nobody who is wrong, and what did not needs somebody.
        assert one.judged == (one.wrong == "nobody"), one.said
