"""Elementary effects and Sobol' indices of functions whose indices are known."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.sensitivity.screening import make_trajectories, screen
from pipeline.sensitivity.variance import find_indices, make_design


def ishigami(x: np.ndarray) -> np.ndarray:
    """T. Ishigami and T. Homma, An importance quantification technique, 1990, with a = 7, b = 0.1."""
    z = np.pi * (2 * x - 1)
    return np.sin(z[..., 0]) + 7 * np.sin(z[..., 1]) ** 2 + 0.1 * z[..., 2] ** 4 * np.sin(z[..., 0])


def test_a_trajectory_moves_each_factor_once_by_two_thirds_of_its_range():
    points = make_trajectories(5, 4, seed=1)
    assert points.min() >= 0
    assert points.max() <= 1
    moved = np.diff(points, axis=1)
    assert np.allclose(np.abs(moved).sum(axis=2), 2 / 3)
    assert np.allclose(np.abs(moved).sum(axis=1), 2 / 3)


def test_the_effects_of_a_linear_function_are_its_slopes():
    points = make_trajectories(3, 5, seed=0)
    effects = screen(points, points @ [2.0, -0.5, 0.0] + 9)
    assert [e.mean for e in effects] == pytest.approx([2.0, -0.5, 0.0])
    assert [e.absolute for e in effects] == pytest.approx([2.0, 0.5, 0.0])
    assert [e.deviation for e in effects] == pytest.approx([0, 0, 0], abs=1e-12)


def test_an_effect_that_depends_on_another_factor_has_a_deviation():
    points = make_trajectories(2, 20, seed=0)
    first, second = screen(points, (points[..., 0] - 0.5) * (points[..., 1] - 0.5))
    assert first.deviation > first.absolute > abs(first.mean)
    assert second.deviation > 0.1


def test_a_step_without_a_result_does_not_count():
    points = make_trajectories(2, 2, seed=0)
    results = points @ [1.0, 3.0]
    results[0, 1] = np.nan
    assert [e.mean for e in screen(points, results)] == pytest.approx([1.0, 3.0])
    assert screen(points, np.full_like(results, np.nan)) == [None, None]


def test_the_indices_of_ishigamis_function_are_the_known_ones():
    design = make_design(3, 1024, seed=0)
    found = find_indices(ishigami(design))
    assert [i.first.value for i in found] == pytest.approx([0.314, 0.442, 0.0], abs=0.03)
    assert [i.total.value for i in found] == pytest.approx([0.558, 0.442, 0.244], abs=0.03)
    for index, total in zip(found, [0.558, 0.442, 0.244], strict=True):
        assert index.total.low < total < index.total.high


def test_chance_that_a_row_meets_in_all_matrices_is_no_index_of_any_factor():
    design = make_design(2, 256, seed=0)
    chance = np.random.default_rng(1).normal(0, 1, 256)
    first, second = find_indices(design @ [np.sqrt(12), 0.0] + chance)
    assert first.total.value == pytest.approx(0.5, abs=0.08)
    assert second.total.value == pytest.approx(0, abs=1e-9)


def test_rows_without_a_result_are_left_out():
    design = make_design(2, 512, seed=0)
    results = design @ [1.0, 2.0]
    results[3, 5] = np.nan
    first, second = find_indices(results)
    assert first.total.value == pytest.approx(0.2, abs=0.08)
    assert second.total.value == pytest.approx(0.8, abs=0.08)


def test_nothing_is_shared_out_where_nothing_varies_or_too_few_rows_are_left():
    design = make_design(2, 8, seed=0)
    assert find_indices(np.ones(design.shape[:2])) == []
    results = design.sum(axis=2)
    results[3, 5] = np.nan
    assert find_indices(results) == []
    with pytest.raises(ValueError, match="power of two"):
        make_design(2, 12, seed=0)


def test_a_single_factor_has_all_of_the_variance():
    (index,) = find_indices(make_design(1, 256, seed=0)[..., 0])
    assert index.first.value == pytest.approx(1, abs=0.05)
    assert index.total.value == pytest.approx(1, abs=0.05)
