"""Splits: every row once, each part its share, each stratum in each part."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fathom.data.splits import FEWEST_PER_STRATUM, random_split

USUAL = (0.7, 0.15, 0.15)
FRACTIONS = st.sampled_from([USUAL, (0.85, 0.15), (0.5, 0.25, 0.25), (0.6, 0.1, 0.3), (0.2, 0.8)])
STRATA = st.lists(st.integers(0, 4), min_size=10, max_size=200)
RELAXED = settings(deadline=None)


@RELAXED
@given(st.integers(10, 400), FRACTIONS, st.integers(0, 1000))
def test_every_row_is_in_one_part_which_is_sorted(count, fractions, seed):
    parts = random_split(count, fractions, None, seed)
    assert len(parts) == len(fractions)
    assert sorted(np.concatenate(parts).tolist()) == list(range(count))
    assert all((np.diff(part) > 0).all() for part in parts)


@RELAXED
@given(st.integers(10, 400), FRACTIONS, st.integers(0, 1000))
def test_each_part_has_its_share_of_all_rows(count, fractions, seed):
    sizes = [len(part) for part in random_split(count, fractions, None, seed)]
    assert abs(sizes[-1] - count * fractions[-1]) < 1
    assert all(abs(size - count * fraction) < 2 for size, fraction in zip(sizes, fractions, strict=True))


@RELAXED
@given(STRATA, FRACTIONS, st.integers(0, 1000))
def test_each_part_has_its_share_of_each_stratum(labels, fractions, seed):
    strata = np.array(labels)
    parts = random_split(len(strata), fractions, strata, seed)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(strata)))
    for label, size in zip(*np.unique(strata, return_counts=True), strict=True):
        if size >= FEWEST_PER_STRATUM:
            counts = [int((strata[part] == label).sum()) for part in parts]
            assert abs(counts[-1] - size * fractions[-1]) < 1
            assert all(abs(count - size * share) < 2 for count, share in zip(counts, fractions, strict=True))


@pytest.mark.parametrize("seed", range(20))
def test_ten_rows_leave_some_for_each_part(seed):
    assert all(len(part) for part in random_split(10, USUAL, None, seed))


@RELAXED
@given(st.integers(3, 9), st.sampled_from([USUAL, (0.98, 0.01, 0.01), (0.2, 0.4, 0.4)]), st.integers(0, 1000))
def test_no_part_is_empty_however_few_rows_there_are(count, fractions, seed):
    parts = random_split(count, fractions, None, seed)
    assert all(len(part) for part in parts)
    assert sorted(np.concatenate(parts).tolist()) == list(range(count))


def test_one_seed_gives_one_split_and_another_another():
    first, again, other = (random_split(100, USUAL, None, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[2], other[2])


def test_every_row_may_come_to_be_tested():
    drawn = np.zeros(50)
    for seed in range(400):
        drawn[random_split(50, USUAL, np.arange(50) % 2, seed)[2]] += 1
    assert drawn.min() > 400 * 0.15 * 0.5
    assert drawn.max() < 400 * 0.15 * 1.6


def test_the_order_of_the_rows_says_nothing_of_their_part():
    """Rows that alternate, as every hour of a day, are not drawn in step."""
    together = sum(np.isin([0, 1], random_split(60, (0.5, 0.5), None, seed)[1]).all() for seed in range(400))
    assert 50 < together < 150


def test_a_share_that_is_no_whole_number_of_rows_is_kept_on_average():
    sizes = [len(random_split(10, USUAL, None, seed)[2]) for seed in range(400)]
    assert set(sizes) == {1, 2}
    assert abs(np.mean(sizes) - 1.5) < 0.12


def test_labels_too_rare_to_share_out_are_all_learned_from():
    strata = np.array(["a"] * 40 + [f"rare {i}" for i in range(20)])
    parts = random_split(60, (0.5, 0.5), strata, 0)
    assert set(range(40, 60)) <= set(parts[0].tolist())
    assert len(parts[1]) == 20


def test_labels_that_are_all_rare_are_shared_out_as_rows():
    assert [len(part) for part in random_split(60, (0.5, 0.5), np.arange(60), 0)] == [30, 30]


def test_strata_that_are_not_kept_are_noticed():
    strata = np.arange(200) // 100
    away = max(abs(int((strata[random_split(200, (0.5, 0.5), None, s)[1]] == 0).sum()) - 50) for s in range(20))
    assert away > 2
