"""Layers of which every member has its own."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

from fathom.nets.members import MemberLinear, output_layer
from fathom.runtime import seeded
from fathom.signals import SignalSpec


def test_each_members_rows_pass_its_own_matrix():
    layer = MemberLinear(3, 4, 2).double()
    rows = torch.randn(3, 5, 4, dtype=torch.float64)
    biases = layer.bias.view(3, 2)
    expected = [F.linear(rows[m], layer.weight[m].mT, biases[m]) for m in range(3)]
    assert_close(layer(rows.flatten(0, 1)), torch.cat(expected))


def test_each_member_starts_as_a_linear_layer_does():
    with seeded(0):
        layer = MemberLinear(8, 100, 50)
    for start in (*layer.weight.detach(), layer.bias.detach()):
        assert start.abs().max() <= 0.1001
        assert math.isclose(float(start.std()), 0.1 / math.sqrt(3), rel_tol=0.1)
    assert not torch.equal(layer.weight[0], layer.weight[1])


def test_one_member_has_a_plain_matrix():
    assert type(output_layer(SignalSpec(4), 2)) is nn.Linear
    assert output_layer(SignalSpec(4, members=3), 2)(torch.zeros(6, 4)).shape == (6, 2)


def test_biases_count_as_vectors_for_optimizers():
    assert MemberLinear(3, 4, 2).bias.dim() == 1
