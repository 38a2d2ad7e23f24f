"""Filters are the weights, and patches are where the convolution answers most."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

import fathom
from fathom.model import Model
from fathom.trust.filters import first_filters, strongest_patches

ROWS = 300  # more than are looked at together
QUICK: dict[str, Any] = {"budget": "3steps", "measure": False, "baseline": False, "folds": 0, "augment": "none"}


def made(channels: int, rows: int = ROWS, side: int = 12) -> pa.Table:
    shape = (rows, side, side) if channels == 1 else (rows, side, side, channels)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    labels = np.random.default_rng(1).choice(["a", "b"], rows)
    return pa.table({"x": pa.FixedShapeTensorArray.from_numpy_ndarray(pixels), "y": labels})


def trained(channels: int, net: Any = "resnet", **more: Any) -> Model:
    return fathom.fit(made(channels), "y", net=net, **QUICK, **more).model


def convolution_of(model: Model) -> torch.nn.Conv2d:
    return next(layer for layer in model.network.modules() if isinstance(layer, torch.nn.Conv2d))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("net", ["convnet", "resnet", "mobilenet"])
def test_filters_are_the_weights_as_pictures(net: str, channels: int):
    model = trained(channels, net)
    weight, filters = convolution_of(model).weight.detach().numpy(), first_filters(model)
    assert len(filters) == len(weight)
    for one, own in zip(filters, weight, strict=True):
        assert (one.shape, one.dtype) == ((*own.shape[1:], 3), np.uint8)
        painted = np.broadcast_to((own / np.abs(own).max()).transpose(1, 2, 0), one.shape)
        assert np.abs((one.astype(float) - 128) / 127 - painted).max() < 0.01


@pytest.mark.parametrize("channels", [1, 3])
def test_a_patch_is_where_the_filter_answers_most(channels: int):
    model, table = trained(channels), made(channels)
    convolution = convolution_of(model)
    pictures = model.schema.encode(table, targets=False).tensors["input/x"]
    pixels = model.network.branches[0].nets[0].pixels
    found = strongest_patches(model, table, filters=5, each=3)
    assert [len(own) for own in found] == [3] * 5
    with torch.no_grad():
        answers = torch.nn.functional.conv2d(pixels(pictures), convolution.weight[:5], stride=convolution.stride)
        best = answers.flatten(2).amax(2).topk(3, dim=0).values  # (3, 5), of different pictures
        for number, patches in enumerate(found):
            for rank, patch in enumerate(patches):
                assert (patch.shape, patch.dtype) == ((3, 3, 3), np.uint8)
                given = torch.from_numpy(patch.transpose(2, 0, 1)[None, :channels].copy())
                answer = torch.nn.functional.conv2d(pixels(given), convolution.weight[number][None])
                assert answer.item() == pytest.approx(best[rank, number].item(), abs=1e-4)


def test_strides_are_heeded():
    model = trained(1, {"name": "resnet", "stem": "large"})
    found = strongest_patches(model, made(1), filters=2, each=2)
    assert found[0][0].shape == (7, 7, 3)
    pictures = np.stack([np.array(row) for row in made(1)["x"].combine_chunks().to_numpy_ndarray()])
    places = [(row, top, left) for row in range(ROWS) for top in (0, 2, 4) for left in (0, 2, 4)]
    for patch in (patch for own in found for patch in own):
        assert any(
            np.array_equal(patch[:, :, 0], pictures[row, top : top + 7, left : left + 7]) for row, top, left in places
        )


def test_where_no_convolution_looks_at_pictures_there_are_none():
    table = pa.table({"u": np.arange(99.0) % 7, "y": np.arange(99) % 2})
    model = fathom.fit(table, "y", net="mlp", **{**QUICK, "augment": "auto"}).model
    assert first_filters(model) == ()
    assert strongest_patches(model, table) == ()
    flat = trained(1, None, nets={"image": "flatten"})
    assert first_filters(flat) == ()


def test_pictures_smaller_than_a_filter_have_no_patch():
    model = fathom.fit(made(1, side=5), "y", net={"name": "resnet", "stem": "large"}, **QUICK).model
    assert len(first_filters(model)) == 32
    assert strongest_patches(model, made(1, side=5)) == ()


def test_fewer_pictures_than_asked_for_give_a_patch_each():
    model = trained(1)
    assert [len(own) for own in strongest_patches(model, made(1, rows=2), filters=3, each=4)] == [2, 2, 2]


def test_of_an_ensemble_the_first_member_is_looked_at():
    model = trained(1, "convnet", ensemble=2)
    weight = next(model.network.networks[0].parameters())
    assert len(first_filters(model)) == len(weight)
