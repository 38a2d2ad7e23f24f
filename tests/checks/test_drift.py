"""Differences between the rows that are learned from and those that are scored."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from fathom.checks.drift import _of_categories, _of_numbers
from fathom.data import read


def chunked(values):
    import pyarrow as pa

    return pa.chunked_array([pa.array(values)])


def rows(random: np.random.Generator, count: int, shift: float = 0.0, rare: float = 0.2) -> dict[str, np.ndarray]:
    words = random.choice(["a", "b", "c"], count, p=[0.8 - rare, 0.2, rare])
    return {"x": random.normal(shift, 1, count), "word": words, "y": random.normal(size=count)}


def test_rows_drawn_alike_do_not_drift(look, random):
    for _ in range(20):
        assert look(rows(random, 2000), "y", "drift", parts={"test": rows(random, 500)}) == []


def test_a_number_that_moved_is_told(look, random):
    (found,) = look(rows(random, 1000), "y", "drift", parts={"test": rows(random, 300, shift=0.8)})
    assert found.columns == ("x",)
    assert found.remedy == "if that is an accident of the split, --role x=ignore"


def test_a_category_that_became_common_is_told(look, random):
    (found,) = look(rows(random, 1000), "y", "drift", parts={"test": rows(random, 300, rare=0.6)})
    assert found.columns == ("word",)


def test_a_small_difference_is_none_however_many_rows_show_it(look, random):
    assert look(rows(random, 20_000), "y", "drift", parts={"test": rows(random, 20_000, shift=0.12)}) == []


def test_of_many_columns_none_drifts_by_chance(look, random):
    train, test = (pa_like(random, count) for count in (60, 60))
    assert look(train, "y", "drift", parts={"test": test}) == []


def pa_like(random: np.random.Generator, count: int) -> dict[str, np.ndarray]:
    return {f"c{k}": random.normal(size=count) for k in range(300)} | {"y": random.normal(size=count)}


@pytest.mark.parametrize("shift", [0.0, 0.3, 1.0])
def test_the_test_of_kolmogorov_and_smirnov_is_scipys(random, shift):
    first, second = random.normal(size=400), random.normal(shift, 1, 150)
    distance, probability = _of_numbers(chunked(first), chunked(second))
    assert distance == pytest.approx(stats.ks_2samp(first, second).statistic)
    # The law's limit for many rows, which is a little larger than the law for few.
    assert probability == pytest.approx(stats.kstwobign.sf(distance * np.sqrt(400 * 150 / 550)))


def test_the_test_of_chi_square_is_scipys(random):
    first, second = random.choice(["a", "b", "c"], 400), random.choice(["a", "b"], 100)
    counts = [[(part == letter).sum() for letter in "abc"] for part in (first, second)]
    distance, probability = _of_categories(chunked(first), chunked(second))
    assert probability == pytest.approx(stats.chi2_contingency(counts).pvalue)
    assert distance == pytest.approx((first == "c").mean(), abs=0.08)


def test_missing_values_are_a_category_that_may_drift(look, random):
    train, test = rows(random, 1000), rows(random, 300)
    train["word"] = ["a" if k % 30 else "b" for k in range(1, 1001)]
    test["word"] = ["a" if k % 30 else "b" for k in range(1, 301)]
    assert look(train, "y", "drift", parts={"test": test}) == []
    test["word"] = [None if k % 2 else word for k, word in enumerate(test["word"])]
    (found,) = look(train, "y", "drift", parts={"test": test})
    assert found.columns == ("word",)


def test_the_x_rays_of_the_test_show_fewer_ill_children(look, data_directory):
    parts = dict(read(data_directory / "medical" / "pneumoniamnist.npz").parts)
    (found,) = look(parts.pop("train"), "labels", "drift", parts=parts)
    assert found.columns == ("labels",)
    assert "in test" in found.message
