"""An opinion stays only as long as its runs come out as they did when it was written."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.allocators.registry import shipped_allocators
from pipeline.studies.matrix.claim import Claim
from pipeline.studies.matrix.claims import CLAIMS
from pipeline.studies.matrix.designs_page import Comparison
from pipeline.studies.matrix.grid import BOUNDS, BUILD, Grid, NotAskedError
from pipeline.studies.runner import Runner
from pipeline.studies.verdict import Opinion, Verdict

GRID = Grid(Runner(Path("nowhere")), BOUNDS, traces=())


def judge(holds: bool, opinion: Opinion | None) -> Verdict:
    return Claim("d", "A, 2002", "it is so", lambda *_: (holds, "7 of 9."), opinion).judge(GRID)


def test_an_opinion_is_given_where_the_runs_come_out_as_when_it_was_written():
    verdict = judge(False, Opinion("author", "Because."))
    assert verdict.item() == ("- A, 2002: it is so. **Does not hold**: 7 of 9. Wrong is the author. Because.")
    assert (verdict.stale, verdict.wrong) == (False, "author")
    assert judge(True, Opinion("nobody", "Because.")).item() == (
        "- A, 2002: it is so. **Holds**: 7 of 9. Because."
    )


@pytest.mark.parametrize(("now", "wrong"), [(True, "author"), (False, "nobody")])
def test_an_opinion_is_left_out_where_they_come_out_otherwise(now, wrong):
    verdict = judge(now, Opinion(wrong, "Because."))
    assert verdict.stale
    assert "7 of 9." in verdict.item()
    assert "Because." not in verdict.item()
    assert "To be judged anew" in verdict.item()
    assert verdict.wrong == "to be judged anew"
    assert Comparison(GRID, [], [verdict]).stale == [verdict]


def test_a_claim_needs_no_opinion():
    verdict = judge(True, None)
    assert (verdict.stale, verdict.wrong) == (False, "-")
    assert verdict.item() == "- A, 2002: it is so. **Holds**: 7 of 9."


def test_a_claim_whose_runs_were_left_out_is_not_asked():
    def predicate(grid: Grid, allocator: str) -> tuple[bool, str]:
        grid.at(BUILD, "numaq16", 16, allocator)
        raise AssertionError

    verdict = Claim("direct_map", "A", "it is so", predicate, Opinion("nobody", "Because.")).judge(GRID)
    assert (verdict.outcome, verdict.stale, verdict.wrong) == ("not asked", False, "-")
    assert "direct_map on kernel_build, numaq16 with 16 CPUs" in verdict.item()
    with pytest.raises(NotAskedError):
        GRID.at(BUILD, "numaq16", 16, "direct_map")


def test_claims_are_of_shipped_allocators_and_opinions_are_sentences():
    assert {claim.allocator for claim in CLAIMS} <= set(shipped_allocators())
    for claim in CLAIMS:
        assert claim.opinion is None or claim.opinion.words.endswith(".")
