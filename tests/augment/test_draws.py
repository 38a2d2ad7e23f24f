"""Draws by counting: uniform, independent, and a function of key and sample alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from fathom.augment.draws import uniforms
from fathom.runtime import seed_from

WRAP = 1 << 64


def splitmix(key: int, counter: int) -> float:
    """The paper's numbers, by Python's whole numbers."""
    z = (key + counter * 0x9E3779B97F4A7C15) % WRAP
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % WRAP
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % WRAP
    return ((z ^ (z >> 31)) >> 40) / 2**24


@pytest.mark.parametrize("key", [0, 1, 2**63 - 1, seed_from("key")])
def test_draws_are_those_of_the_paper(key):
    sample = torch.tensor([0, 1, 7, 2**40])
    expected = [[splitmix(key, int(i) * 3 + k + 1) for k in range(3)] for i in sample]
    assert uniforms(key, sample, 3).tolist() == expected


def test_draws_are_uniform_and_below_one():
    drawn = uniforms(seed_from("a"), torch.arange(50_000), 4).numpy()
    assert drawn.min() >= 0
    assert drawn.max() < 1
    for column in drawn.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-3


def test_neighbours_in_sample_draw_and_key_are_independent():
    keys = [seed_from("augment", "shift", 0, epoch) for epoch in (0, 1)]
    now, later = (uniforms(key, torch.arange(50_000), 3).numpy() for key in keys)
    assert dependence(now[:-1, 0], now[1:, 0]) > 1e-3  # samples
    assert dependence(now[:, 0], now[:, 1]) > 1e-3  # draws
    assert dependence(now[:, 2], later[:, 2]) > 1e-3  # epochs
    assert dependence(now[:, 0], now[:, 0] ** 2) < 1e-3  # so that the test can fail


def test_a_hash_that_only_adds_is_noticed():
    weak = torch.remainder(torch.arange(50_001) * 0.618034, 1).numpy()
    assert dependence(weak[:-1], weak[1:]) < 1e-3


def test_a_samples_draws_do_not_depend_on_the_others():
    whole = uniforms(5, torch.arange(100), 4)
    some = torch.tensor([3, 97, 12])
    assert torch.equal(uniforms(5, some, 4), whole[some])


def dependence(first: np.ndarray, second: np.ndarray) -> float:
    """The chance to see so uneven a table of 16 x 16 cells were they independent."""
    table, _, _ = np.histogram2d(first, second, bins=16, range=[[0, 1], [0, 1]])
    return float(stats.chisquare(table.ravel()).pvalue)
