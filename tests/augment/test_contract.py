"""What every registered augmentation promises, of each kind of input that it takes."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from fathom.augment import AUGMENTS, Augment, Mix
from fathom.registry import Choice
from fathom.signals import ImageSpec, NumberSpec

ROWS = 8
SIZES = ((1, 12, 10), (3, 9, 16), (1, 1, 1), (3, 2, 5))


def picture_spec(channels: int, height: int, width: int) -> ImageSpec:
    return ImageSpec(channels, height, width, (90.0, 120.0, 60.0)[:channels], (50.0, 40.0, 60.0)[:channels])


def number_spec(count: int) -> NumberSpec:
    found = {field.name: (0.0,) * count for field in dataclasses.fields(NumberSpec)}
    return NumberSpec(**{**found, "count": count, "edges": ((0.0, 1.0),) * count, "missing": (False,) * count})


def inputs(kind: str) -> list[tuple[Any, Tensor]]:
    draw = torch.Generator().manual_seed(0)
    if kind == "number":
        return [(number_spec(5), torch.randn(ROWS, 5, generator=draw))]
    pixels = [torch.randint(0, 256, (ROWS, *size), dtype=torch.uint8, generator=draw) for size in SIZES]
    specs = [picture_spec(*size) for size in SIZES]
    return [*zip(specs, pixels, strict=True), *((s, p.float()) for s, p in zip(specs, pixels, strict=True))]


def uniform(rows: int, count: int, seed: int = 0) -> Tensor:
    return torch.rand(rows, count, generator=torch.Generator().manual_seed(seed))


CASES = [(entry, spec, given) for entry in AUGMENTS for kind in entry.facts["takes"] for spec, given in inputs(kind)]


def over(cases: list[tuple[Any, Any, Tensor]]) -> pytest.MarkDecorator:
    names = [f"{entry.name}-{'x'.join(map(str, given.shape))}-{given.dtype}" for entry, _, given in cases]
    return pytest.mark.parametrize(("entry", "spec", "given"), cases, ids=names)


EVERY = over(CASES)
MIXING = over([case for case in CASES if issubclass(case[0].factory, Mix)])
SINGLE = over([case for case in CASES if issubclass(case[0].factory, Augment)])


def applied(one: Augment | Mix, given: Tensor, draws: Tensor) -> Tensor:
    return one(given, draws) if isinstance(one, Augment) else one(given, given.roll(1, 0), draws)


@pytest.mark.parametrize("entry", list(AUGMENTS), ids=lambda entry: entry.name)
def test_an_augmentation_says_what_it_takes(entry):
    assert set(entry.facts["takes"]) <= {"image", "number"}
    assert entry.summary.endswith(".")
    assert issubclass(entry.factory, Augment | Mix)
    assert not entry.exempt


@EVERY
def test_shape_dtype_and_range_are_kept(entry, spec, given):
    one = AUGMENTS.build(Choice(entry.name), spec)
    for draws in (uniform(ROWS, one.num_draws), torch.zeros(ROWS, one.num_draws), torch.full((ROWS, 9), 1 - 2**-24)):
        found = applied(one, given, draws[:, : one.num_draws])
        assert found.shape == given.shape
        assert found.dtype == given.dtype
        assert found.min() >= min(0, given.min())
        assert found.max() <= max(255, given.max())


@EVERY
def test_what_is_given_stays_as_it_is(entry, spec, given):
    before = given.clone()
    one = AUGMENTS.build(Choice(entry.name), spec)
    applied(one, given, uniform(ROWS, one.num_draws))
    assert torch.equal(given, before)


@EVERY
def test_the_same_draws_give_the_same(entry, spec, given):
    one, other = (AUGMENTS.build(Choice(entry.name), spec) for _ in range(2))
    draws = uniform(ROWS, one.num_draws)
    assert torch.equal(applied(one, given, draws), applied(other, given, draws))


@pytest.mark.parametrize("entry", list(AUGMENTS), ids=lambda entry: entry.name)
def test_other_draws_alter_most_samples_otherwise(entry):
    spec, given = inputs(entry.facts["takes"][0])[0]
    one = AUGMENTS.build(Choice(entry.name), spec)
    first, second = (applied(one, given, uniform(ROWS, one.num_draws, seed)) for seed in (0, 1))
    assert sum(not torch.equal(a, b) for a, b in zip(first, second, strict=True)) >= ROWS // 4


@SINGLE
def test_a_sample_is_altered_by_its_own_draws_alone(entry, spec, given):
    one = AUGMENTS.build(Choice(entry.name), spec)
    draws = uniform(ROWS, one.num_draws)
    whole = one(given, draws)
    others = torch.cat([given[:3], 255 - given[3:]])
    assert torch.equal(one(others, draws)[:3], whole[:3])
    assert torch.allclose(one(given[2:3], draws[2:3]).double(), whole[2:3].double(), atol=1e-3)


@MIXING
def test_a_mixture_is_of_a_sample_and_its_partner_alone(entry, spec, given):
    one = AUGMENTS.build(Choice(entry.name), spec)
    draws, partner = uniform(ROWS, one.num_draws), given.flip(0)
    share = one.share(draws)
    assert share.shape == (ROWS,)
    assert ((share >= 0) & (share <= 1)).all()
    assert torch.equal(one(given, partner, draws)[2:5], one(given[2:5], partner[2:5], draws[2:5]))
    assert torch.equal(one(given, given, draws), given)
    ones, zeros = torch.ones_like(given) * 100, torch.zeros_like(given)
    found = one(ones, zeros, draws).float().flatten(1).mean(1) / 100
    assert found == pytest.approx(share.numpy(), abs=0.01)
