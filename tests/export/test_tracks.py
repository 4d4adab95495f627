"""Slices nest on their tracks, whatever they were."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.export.tracks import Lanes, Tracks, nested_ends

# (track, begin, end) by begin, and where each ends.
NESTED = [
    ([(0, 0, 9), (0, 1, 4), (0, 4, 9), (0, 9, 12)], [9, 4, 9, 12]),
    ([(0, 0, 9), (0, 5, 12)], [9, 9]),
    ([(0, 0, 9), (1, 5, 12)], [9, 12]),
    ([(0, 0, 10), (0, 2, 4), (0, 5, 12), (0, 11, 14)], [10, 4, 10, 14]),
    ([(0, 0, 5), (0, 0, 5), (0, 0, 6)], [5, 5, 5]),
    ([(0, 0, 5), (0, 3, 3), (0, 3, 6), (0, 5, 5)], [5, 3, 5, 5]),
]


@pytest.mark.parametrize(("rows", "ends"), NESTED)
def test_a_slice_ends_where_the_one_that_it_began_in_ends(rows, ends):
    assert nested_ends(*np.array(rows).T).tolist() == ends


@pytest.mark.parametrize("seed", range(30))
def test_any_slices_nest_when_they_are_cut_and_not_before(seed):
    rng = np.random.default_rng(seed)
    track, begin = rng.integers(0, 3, 12), np.sort(rng.integers(0, 12, 12))
    end = begin + rng.integers(0, 5, 12)
    nested = nested_ends(track, begin, end)

    def crossings(ends: np.ndarray) -> int:
        return sum(track[i] == track[j] and begin[j] < ends[i] < ends[j] for j in range(12) for i in range(j))

    assert crossings(nested) == 0
    assert (nested == end).all() == (crossings(end) == 0)


def test_a_lane_is_the_lowest_that_is_free():
    lanes = Lanes()
    assert lanes.free(np.array([0, 5]), np.array([5, 9])).tolist() == [0, 0]
    assert lanes.free(np.array([7, 8, 9]), np.array([12, 9, 10])).tolist() == [1, 2, 0]
    assert lanes.free(np.array([20]), np.array([21])).tolist() == [0]


def test_tracks_have_positions_in_the_order_in_which_they_are_seen():
    tracks = Tracks()
    positions, new = tracks.positions(np.array([4, 2, 4, 2]), np.array([900, 3, 900, 3]))
    assert positions.tolist() == [1, 2, 1, 2]
    assert [track.name for track in new] == ["task 900", "cpu 3"]
    positions, new = tracks.positions(np.array([2, 4]), np.array([3, 5]))
    assert (positions.tolist(), [track.name for track in new]) == ([2, 3], ["task 5"])
