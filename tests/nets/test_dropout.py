"""Dropout by random bytes."""

from __future__ import annotations

import pytest
import torch

from fathom.nets.dropout import Dropout
from fathom.runtime import seeded


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.95, 0.999])
def test_a_share_of_units_is_silenced_and_the_mean_stays(share):
    with seeded(0):
        units = Dropout(share)(torch.ones(1000, 1001))
    assert (units == 0).float().mean() == pytest.approx(share, abs=0.005)
    assert units.mean() == pytest.approx(1, rel=0.03)
    assert units.unique().numel() == (2 if share else 1)


def test_each_place_is_silenced_alike_and_by_itself():
    with seeded(0):
        silent = torch.stack([Dropout(0.5)(torch.ones(40)) == 0 for _ in range(2000)]).float()
    assert (silent.mean(0) - 0.5).abs().max() < 0.06
    assert (silent.T.corrcoef() - torch.eye(40)).abs().max() < 0.12


def test_the_gradient_is_silenced_where_the_unit_is():
    units = torch.randn(64, 32, requires_grad=True)
    silenced = Dropout(0.4)(units)
    silenced.sum().backward()
    torch.testing.assert_close(units.grad * units.detach(), silenced.detach())


def test_it_follows_the_seed_and_the_type_and_is_silent_when_predicting():
    layer, units = Dropout(0.3), torch.randn(50, 3, dtype=torch.float64)
    drawn = []
    for seed in (0, 0, 1):
        with seeded(seed):
            drawn.append(layer(units))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert drawn[0].dtype == torch.float64
    assert torch.equal(layer.eval()(units), units)
    assert layer.train()(torch.empty(0, 3)).shape == (0, 3)
