"""Numbers as vectors, where they are hard: constants, two values, huge ones, missing ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from fathom.kinds.moments import count_numbers, fit_numbers, number_spec
from fathom.nets import NETS
from fathom.nets.feature_tokens import FeatureTokens
from fathom.nets.numbers import PiecewiseEncoding
from fathom.runtime import seeded
from fathom.signals import NumberSpec, SignalSpec

NAN = math.nan
ENTRIES = ("piecewise_encoding", "piecewise_linear", "periodic")
EVERY = pytest.mark.parametrize("name", ENTRIES)


def spec_of(*columns: np.ndarray) -> NumberSpec:
    return number_spec(fit_numbers(count_numbers(np.stack(columns, axis=1).astype(float), None)))


def vectors(name: str, spec: NumberSpec, numbers: Tensor, *, training: bool = False) -> Tensor:
    with seeded(0):
        net = NETS.build(name, spec)
        for parameter in net.parameters():
            parameter.data.add_(torch.randn_like(parameter))
    return net.train(training)(numbers).vector.detach()


def of_column(name: str, spec: NumberSpec, numbers: Tensor, column: int) -> Tensor:
    with seeded(0):
        columns = torch.tensor(NETS.build(name, spec).gives.columns)
    return vectors(name, spec, numbers)[:, columns == column]


@EVERY
@pytest.mark.parametrize("training", [True, False])
def test_columns_of_every_sort_give_finite_vectors_that_differ_as_their_values_do(name, training):
    draw = np.random.default_rng(0)
    table = np.stack(
        [
            np.full(300, 7.0),
            draw.integers(0, 2, 300),
            draw.normal(size=300) * 1e37,
            1e9 + draw.normal(size=300),
            draw.normal(size=300) * 1e-30,
            np.where(draw.random(300) < 0.99, 0.0, 1e12),
        ],
        axis=1,
    )
    spec = spec_of(*table.T)
    shift = np.array(fit_numbers(count_numbers(table, None))["shift"])
    found = vectors(name, spec, torch.from_numpy((table - shift).astype(np.float32)), training=training)
    assert torch.isfinite(found).all()
    assert found.abs().max() < 1e4
    columns = torch.tensor(NETS.build(name, spec).gives.columns)
    for column in range(1, 6):
        kinds = len(found[:, columns == column].unique(dim=0))
        assert kinds >= min(len(np.unique(table[:, column])), 200) * 0.9, column


@EVERY
@pytest.mark.parametrize("far", [1e30, 3e38, -3e38])
def test_a_value_far_beyond_training_gives_a_bounded_vector(name, far):
    spec = spec_of(np.linspace(0, 1, 100))
    assert vectors(name, spec, torch.tensor([[far]])).abs().max() < 1e3


@EVERY
def test_a_missing_number_has_a_vector_of_its_own(name):
    known = np.linspace(-1, 1, 100)
    spec = spec_of(np.where(np.arange(100) % 10 == 0, NAN, known), known)
    rows = torch.tensor([[NAN, 0.3], [0.0, 0.3], [0.5, 0.3]])
    missing, median, other = of_column(name, spec, rows, 0)
    assert not torch.allclose(missing, median)
    assert not torch.allclose(missing, other)
    beside = of_column(name, spec, rows, 1)
    assert torch.equal(beside[0], beside[1])


@EVERY
def test_a_number_missing_only_when_predicting_is_the_median(name):
    spec = spec_of(np.linspace(-1, 3, 101))
    missing, median = vectors(name, spec, torch.tensor([[NAN], [1.0]]))
    torch.testing.assert_close(missing, median)


@EVERY
def test_a_row_of_missing_numbers_gives_finite_gradients(name):
    known = np.linspace(-1, 1, 100)
    net = NETS.build(name, spec_of(np.where(np.arange(100) % 10 == 0, NAN, known), known))
    found = net(torch.tensor([[NAN, 0.1], [0.2, 0.3]])).vector
    if found.requires_grad:
        found.sum().backward()
        assert all(torch.isfinite(parameter.grad).all() for parameter in net.parameters())


def test_the_encoding_goes_from_bin_to_bin():
    spec = spec_of(np.linspace(0, 64, 65))
    net = PiecewiseEncoding(spec, bins=2)
    low, middle, high = net(torch.tensor([[16.0], [32.0], [48.0]])).vector
    assert middle.tolist() == pytest.approx([1, 0], abs=1e-6)
    assert 0.4 < low[0] < 0.6
    assert low[1] == 0
    assert high[0] == 1
    assert 0.4 < high[1] < 0.6


@pytest.mark.parametrize("name", ["piecewise_linear", "periodic"])
def test_the_fixed_part_and_the_learned_one_are_the_whole(name):
    spec = spec_of(np.linspace(0, 1, 260), np.where(np.arange(260) % 7 == 0, NAN, np.arange(260)), amounts())
    net, rows = NETS.build(name, spec), torch.tensor([[0.1, NAN, 0.1], [0.7, 3.0, 5.0]])
    assert NETS.get(name).facts["fixed"]
    assert next(net.fixed.parameters(), None) is None
    torch.testing.assert_close(net.learned(net.fixed(rows)).vector, net(rows).vector)


def amounts() -> np.ndarray:
    return np.array([*[0.0] * 200, *[0.1] * 20, *[2174.1] * 20, *[7688.3] * 20])


@pytest.mark.parametrize("name", ["piecewise_linear", "periodic"])
def test_a_value_that_recurs_is_learned_by_itself(name):
    draw = np.random.default_rng(0).normal(size=260)
    net = NETS.build(name, spec_of(draw, amounts()))
    rows = torch.tensor([[0.5, 2174.1], [0.5, 2174.2], [0.5, 7688.3], [0.5, NAN], [2174.1, 0.1]])
    before = net(rows).vector.detach()
    vectors = net.recurring.vectors.data.view(4, -1)
    vectors[2] += 5.0  # that of 2174.1
    moved = (net(rows).vector.detach() - before).view(5, 2, -1)
    assert (moved[0, 1] == 5.0).all()
    moved[0, 1] = 0
    assert not moved.any()
    vectors[1] -= 1.0
    assert torch.allclose((net(rows).vector.detach() - before).view(5, 2, -1)[4, 1], torch.tensor(-1.0), atol=1e-5)


@pytest.mark.parametrize("name", ["piecewise_linear", "periodic"])
def test_a_value_that_recurs_is_known_in_double_too(name):
    net = NETS.build(name, spec_of(amounts())).eval()
    net.recurring.vectors.data.normal_()
    rows = torch.tensor([[0.1], [2174.1], [7688.3], [3.0]])
    torch.testing.assert_close(net.double()(rows.double()).vector.float(), net.float()(rows).vector, atol=1e-4, rtol=0)


def test_tokens_hold_what_their_column_has_of_the_vector():
    net = FeatureTokens(SignalSpec(4, columns=(0, 1, 1, 0)), width=8)
    vector = torch.randn(3, 4)
    tokens, bias = net(vector).tokens, net.bias.view(2, 8)
    torch.testing.assert_close(tokens[:, 0], vector[:, [0, 3]] @ net.weight[[0, 3]] + bias[0])
    torch.testing.assert_close(tokens[:, 1], vector[:, [1, 2]] @ net.weight[[1, 2]] + bias[1])
    assert FeatureTokens(SignalSpec(4), width=8)(vector).tokens.shape == (3, 1, 8)
