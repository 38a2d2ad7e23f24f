"""Welch's test of many slices at once."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_ind

from fathom.trust.welch import Errors, contrasted, is_worse, moments, p_of


def of_codes(codes: np.ndarray, error: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """t and p of the rows of code 1."""
    errors = Errors(error, weight, None)
    total = moments(np.zeros(len(error), np.int64), 1, errors)[:, 0]
    found = contrasted(moments(codes, 2, errors), total, 20)
    return float(found.t[1]), float(p_of(found.t, found.freedom)[1])


def test_t_is_scipys_where_the_slice_varies_more_than_all():
    draw = np.random.default_rng(0)
    codes = (np.arange(300) < 60).astype(np.int64)
    error = draw.normal(codes, 1 + codes)
    t, _ = of_codes(codes, error, np.ones(300))
    assert t == pytest.approx(ttest_ind(error[codes == 1], error[codes == 0], equal_var=False).statistic, rel=1e-9)
    assert of_codes(codes, error, np.full(300, 2.5)) == pytest.approx(of_codes(codes, error, np.ones(300)))


def test_few_rows_that_are_wrong_alike_are_not_certain():
    codes = (np.arange(400) < 20).astype(np.int64)
    error = np.where((codes == 1) | (np.arange(400) % 10 > 0), 1.0, 0.0)  # nine in ten are wrong, of the slice all
    t, p = of_codes(codes, error, np.ones(400))
    assert 1 < t < 2
    assert p > 0.05
    assert not is_worse(codes == 1, np.ones(400, bool), Errors(error, np.ones(400), None), 0.05)
    assert is_worse(codes == 1, np.ones(400, bool), Errors(codes.astype(float), np.ones(400), None), 1e-6)
