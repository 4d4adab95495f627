"""Which areas a purge collected, from its figures, if lists are taken one after another."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.studies.conformance import area_lists
from pipeline.studies.conformance.area_lists import Frees, TooManyError, find_collected


def frees(lists: list[int], pages: list[int], **known: list[int] | int) -> Frees:
    flags = {name: np.isin(np.arange(len(pages)), known.get(name, [])) for name in ("must", "must_not")}
    until = int(known.get("until", len(pages)))  # type: ignore[arg-type]
    return Frees(np.array(lists), np.array(pages), until=until, **flags)


def collected(given: Frees, number: int | None, total: int | None) -> list[int] | None:
    found = find_collected(given, number, total)
    return None if found is None else np.flatnonzero(found).tolist()


def test_lists_taken_at_one_moment_give_the_first_frees() -> None:
    assert collected(frees([0, 1, 0, 1], [2, 3, 2, 5]), 3, 7) == [0, 1, 2]
    assert collected(frees([0, 1, 0, 1], [2, 3, 2, 5]), 3, None) == [0, 1, 2]
    assert collected(frees([0, 1, 0, 1], [2, 3, 2, 5]), None, 5) == [0, 1]


def test_a_free_to_a_list_already_taken_is_left() -> None:
    assert collected(frees([0, 0, 1, 1], [2, 3, 7, 5]), 2, 9) == [0, 2]
    assert collected(frees([1, 0, 2, 2, 1], [2, 2, 3, 5, 9]), 3, 10) == [0, 2, 3]


def test_lists_are_taken_in_order_of_cpus() -> None:
    """Only a list 1 taken before list 0 would explain these pages."""
    assert collected(frees([1, 1, 0, 0], [2, 3, 7, 5]), 2, 9) is None
    assert collected(frees([-1, -1, 0, 0], [2, 3, 7, 5]), 2, 9) == [0, 2]


def test_an_area_mapped_again_or_outside_the_range_decides() -> None:
    given = [0, 1, 0, 1], [2, 2, 2, 2]
    assert collected(frees(*given), 2, 4) == [0, 1]
    assert collected(frees(*given, must=[3]), 2, 4) == [1, 3]
    assert collected(frees(*given, must_not=[0]), 2, 4) == [1, 3]
    assert collected(frees(*given, must=[3], until=3), 2, 4) is None


@pytest.mark.parametrize(("number", "total"), [(-1, None), (5, None), (2, 3), (3, 100)])
def test_impossible_figures_have_no_answer(number: int, total: int | None) -> None:
    assert collected(frees([0, 1, 0, 1], [2, 2, 2, 2]), number, total) is None


def test_the_search_is_given_up_if_there_are_too_many_possibilities(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(area_lists, "_MOST_STATES", 50)
    lists, pages = [0, 1, 2, 3] * 8, list(range(2, 34))
    with pytest.raises(TooManyError):
        find_collected(frees(lists, pages), 16, 200)
