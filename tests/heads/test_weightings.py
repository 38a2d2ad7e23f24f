"""Resamples as weights, and sums under each."""

from __future__ import annotations

import numpy as np
import pytest

from fathom.heads.weightings import resamples, sums


def drawn(times: int, weights: np.ndarray, groups: np.ndarray | None = None) -> np.ndarray:
    return np.concatenate(list(resamples(times, weights, groups, np.random.default_rng(0))))


def test_a_row_is_drawn_as_often_as_poisson_numbers_of_mean_one_say():
    counts = drawn(400, np.ones(2000))
    assert counts.shape == (400, 2000)
    shares = [(counts == k).mean() for k in range(4)]
    assert shares == pytest.approx([np.exp(-1), np.exp(-1), np.exp(-1) / 2, np.exp(-1) / 6], abs=0.002)
    assert abs(np.corrcoef(counts[:, 0], counts[:, 1])[0, 1]) < 0.2


def test_rows_of_a_group_are_drawn_together_and_weights_count():
    counts = drawn(50, np.array([1.0, 2, 3, 1]), np.array([0, 1, 0, 1]))
    np.testing.assert_array_equal(counts[:, 2], 3 * counts[:, 0])
    np.testing.assert_array_equal(counts[:, 1], 2 * counts[:, 3])
    assert (counts[:, 0] != counts[:, 3]).any()


def test_a_resample_without_any_row_is_left_out():
    counts = drawn(300, np.array([1.0, 1.0]))
    assert len(counts) < 300
    assert counts.any(axis=1).all()


def test_sums_are_those_of_each_code_under_each_weighting():
    draw = np.random.default_rng(1)
    codes, weight, values = draw.integers(0, 3, 20), draw.random((4, 20)), draw.normal(size=20)
    expected = np.stack([(weight * values)[:, codes == k].sum(axis=1) for k in range(5)], axis=1)
    np.testing.assert_allclose(sums(codes, 5, weight, values), expected)
    np.testing.assert_allclose(sums(codes, 5, weight), sums(codes, 5, weight, np.ones(20)))
