"""Entries: normalisation inside the network, and what stands for missing and unknown."""

from __future__ import annotations

import math

import pytest
import torch
from torch.testing import assert_close

from fathom.nets import NETS
from fathom.nets.inputs import Embed, Flatten, Pixels, Scale
from fathom.signals import CategorySpec, ImageSpec, NumberSpec

NAN = math.nan


def numbers(centre: float = 0.0, scale: float = 1.0, *, missing: bool = False, far: float = 3.0) -> NumberSpec:
    edges = (centre - far * scale, centre, centre + far * scale)
    return NumberSpec(1, (centre,), (scale,), (centre + 1,), (2 * scale,), (edges,), (missing,))


@pytest.mark.parametrize("training", [True, False])
def test_a_number_is_scaled_and_clipped_smoothly(training):
    x = torch.tensor([[-50.0], [8.0], [10.0], [12.0], [100.0]])
    scaled = (x - 10) / 2
    expected = scaled / torch.sqrt(1 + (scaled / 3) ** 2)
    assert_close(Scale(numbers(10.0, 2.0)).train(training)(x).vector, expected)


def test_without_a_clip_numbers_are_standardised_by_mean_and_deviation():
    assert_close(Scale(numbers(10.0, 2.0), clip=0.0)(torch.tensor([[15.0]])).vector, torch.tensor([[1.0]]))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("far", [1e12, 1e30])
def test_a_value_however_far_outside_approaches_the_clip(far, training):
    net = Scale(numbers(far=far)).train(training)
    assert_close(net(torch.tensor([[far], [-far]])).vector, torch.tensor([[3.0], [-3.0]]))


def test_a_value_far_beyond_training_approaches_the_clip_when_predicting():
    assert_close(Scale(numbers()).eval()(torch.tensor([[1e30], [3e38]])).vector, torch.tensor([[3.0], [3.0]]))


def test_a_missing_number_is_the_median_and_its_flag_one():
    found = Scale(numbers(10.0, 2.0, missing=True))(torch.tensor([[NAN], [10.0], [12.0]])).vector
    assert_close(found[:2], torch.tensor([[0.0, 1.0], [0.0, 0.0]]), atol=1e-6, rtol=0)
    assert found[2, 1] == 0


def test_a_number_missing_only_when_predicting_is_the_median():
    assert Scale(numbers(10.0)).eval()(torch.tensor([[NAN]])).vector.tolist() == [[0]]


def test_few_categories_are_one_hot_and_an_unknown_one_is_no_category():
    spec = CategorySpec(2, (3, 2), ((1.0, 1.0, 1.0), (1.0, 1.0)))
    found = Embed(spec)(torch.tensor([[1, 2], [3, 1], [0, 2], [0, 0]])).vector
    assert found.tolist() == [[1, 0, 0, 0, 1], [0, 0, 1, 1, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]]


def test_many_categories_have_a_learned_vector_that_is_zero_for_an_unknown_one():
    net = Embed(CategorySpec(2, (3, 100), ((1.0,) * 3, (1.0,) * 100)))
    assert net.gives.width == 3 + net.tables[0].embedding_dim
    found = net(torch.tensor([[1, 0], [1, 7], [1, 8]])).vector[:, 3:]
    assert found[0].abs().sum() == 0
    assert not torch.equal(found[1], found[2])


def test_a_column_without_categories_takes_no_place():
    net = Embed(CategorySpec(2, (0, 2), ((), (1.0, 1.0))))
    assert net(torch.tensor([[0, 1], [0, 2]])).vector.tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize("sizes", [(3,), (100,), (3, 100)])
def test_categories_follow_the_type_of_the_network(sizes):
    net = Embed(CategorySpec(len(sizes), sizes, tuple((1.0,) * size for size in sizes))).double()
    assert net(torch.ones(2, len(sizes), dtype=torch.int64)).vector.dtype == torch.float64


def test_pixels_are_normalised_by_channel():
    spec = ImageSpec(3, 1, 2, (10.0, 20.0, 30.0), (1.0, 2.0, 4.0))
    pictures = torch.tensor([[[[10, 11]], [[20, 24]], [[30, 22]]]], dtype=torch.uint8)
    assert_close(Pixels(spec)(pictures), torch.tensor([[[[0.0, 1.0]], [[0.0, 2.0]], [[0.0, -2.0]]]]))
    assert_close(Flatten(spec)(pictures).vector, torch.tensor([[0.0, 1.0, 0.0, 2.0, 0.0, -2.0]]))


@pytest.mark.parametrize("entry", [e for e in NETS if e.facts.get("entry")], ids=lambda entry: entry.name)
def test_what_the_schema_knows_is_not_saved_with_the_weights(entry):
    specs = {
        "number": numbers(),
        "category": CategorySpec(1, (3,), ((1.0,) * 3,)),
        "image": ImageSpec(1, 2, 2, (1.0,), (1.0,)),
    }
    if entry.facts["takes"] in specs:
        net = NETS.build(entry.name, specs[entry.facts["takes"]])
        assert set(net.state_dict()) == {name for name, _ in net.named_parameters()}
