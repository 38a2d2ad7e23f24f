"""Clipping: one norm for a network, one for each member of a stack."""

from __future__ import annotations

import math

import pytest
import torch
from torch.testing import assert_close

from fathom.training.clipping import clip


def gradients() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(3, *shape, generator=generator) * torch.tensor([0.01, 1.0, 5.0]).view(3, *[1] * len(shape))
            for shape in [(4, 2), (4,)]]  # fmt: skip


def test_the_members_of_a_stack_are_clipped_each_by_its_own_norm():
    stacked = gradients()
    norm = clip(stacked, 1.0, stacked=True)
    norms = []
    for member in range(3):
        alone = [value[member].clone() for value in gradients()]
        norms.append(clip(alone, 1.0, stacked=False))
        assert_close([value[member] for value in stacked], alone)
    assert norm == pytest.approx(max(norms))
    assert norms[0] < 1 < norms[2]


def test_nothing_is_clipped_where_no_norm_is_asked_for():
    for stacked in (False, True):
        found = gradients()
        clip(found, 0.0, stacked=stacked)
        assert_close(found, gradients())


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_gradient_that_is_not_finite_is_told_and_left(bad):
    for stacked in (False, True):
        found = gradients()
        found[0][1, 0, 0] = bad
        assert not math.isfinite(clip(found, 1.0, stacked=stacked))
        assert_close(found[1], gradients()[1])
