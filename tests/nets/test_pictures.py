"""Residual and depthwise separable networks: sizes as published, shapes for any picture, and what their options do."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fathom.errors import ConfigError
from fathom.nets import NETS
from fathom.nets.convolution import GlobalPool, Residual
from fathom.nets.mobilenet import _channels
from fathom.nets.stochastic_depth import StochasticDepth, depth_rates
from fathom.registry import Choice
from fathom.runtime import seeded
from fathom.signals import ImageSpec

RESNET_20 = {"blocks": [3, 3, 3], "width": 16, "shortcut": "pad"}
RESNET_18 = {"blocks": [2, 2, 2, 2], "width": 64}
RESNET_50 = {"blocks": [3, 4, 6, 3], "width": 64, "block": "bottleneck"}
SMALL: dict[str, dict[str, Any]] = {
    "resnet": {"width": 4},
    "mobilenet": {"width": 0.25, "last": 8, "blocks": [1, 2, 2]},
}
SIZES = [(1, 1), (4, 4), (2, 3), (5, 40), (28, 28), (33, 17)]


def net(name: str, sides: tuple[int, int] = (8, 8), channels: int = 3, **options: Any) -> nn.Module:
    spec = ImageSpec(channels, *sides, (100.0,) * channels, (50.0,) * channels)
    with seeded(0):
        return NETS.build(Choice(name, options), spec)


def pictures(rows: int, sides: tuple[int, int] = (8, 8), channels: int = 3) -> Tensor:
    draw = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (rows, channels, *sides), generator=draw, dtype=torch.uint8)


def parameters(module: nn.Module, classes: int) -> int:
    """Those of a net with the output layer of a classifier."""
    return sum(parameter.numel() for parameter in module.parameters()) + classes * (module.gives.width + 1)


@pytest.mark.parametrize(
    ("name", "side", "options", "classes", "published"),
    [
        ("resnet", 32, RESNET_20, 10, 269_722),
        ("resnet", 224, RESNET_18, 1000, 11_689_512),
        ("resnet", 224, RESNET_50, 1000, 25_557_032),
        ("mobilenet", 224, {}, 1000, 3_504_872),
    ],
)
def test_a_net_has_as_many_parameters_as_published(name, side, options, classes, published):
    assert parameters(net(name, (side, side), **options), classes) == published


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("resnet", RESNET_18 | {"width": 4}, ((4, 4), (8, 8), (16, 16), (32, 32))),
        ("mobilenet", {"width": 0.25}, ((8, 2), (8, 4), (8, 8), (24, 16), (80, 32))),
    ],
)
def test_large_pictures_shrink_as_in_the_papers(name, options, expected):
    module = net(name, (224, 224), **options).eval()
    maps = module(pictures(1, (224, 224))).maps
    assert module.gives.maps == expected
    assert [tuple(level.shape[1:]) for level in maps] == [(c, 224 // stride, 224 // stride) for c, stride in expected]


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("resnet", RESNET_20, [(16, 32, 32), (32, 16, 16), (64, 8, 8)]),
        ("mobilenet", {}, [(24, 32, 32), (32, 16, 16), (96, 8, 8), (320, 4, 4)]),
    ],
)
def test_small_pictures_keep_their_places_longer(name, options, expected):
    maps = net(name, (32, 32), **options).eval()(pictures(2, (32, 32))).maps
    assert [tuple(level.shape[1:]) for level in maps] == expected


def test_every_block_of_a_mobilenet_that_keeps_the_shape_has_a_shortcut():
    stages = net("mobilenet").stages
    assert [sum(isinstance(block, Residual) for block in stage) for stage in stages] == [0, 1, 2, 3, 2, 2, 0]


@pytest.mark.parametrize("stem", ["auto", "small", "large"])
@pytest.mark.parametrize("sides", SIZES, ids=str)
@pytest.mark.parametrize("name", sorted(SMALL))
def test_pictures_of_any_size_pass(name, sides, stem):
    module = net(name, sides, 1, stem=stem, **SMALL[name])
    signal = module(pictures(3, sides, 1))
    assert signal.vector.shape == (3, module.gives.width)
    assert torch.isfinite(signal.vector).all()
    signal.vector.square().sum().backward()
    if stem != "large":
        assert min(side for level in signal.maps for side in level.shape[2:]) >= min(4, *sides)


@pytest.mark.parametrize("name", sorted(SMALL))
def test_the_stem_goes_by_the_pictures_size(name):
    small, large = (net(name, (side, side), **SMALL[name]).gives.maps[0][1] for side in (32, 128))
    assert small == 1
    assert large > 1
    asked = net(name, (32, 32), stem="large", **SMALL[name]).gives.maps[0][1]
    assert asked == large


@pytest.mark.parametrize("norm", ["batch", "group", "none"])
def test_every_branch_of_a_resnet_starts_at_zero(norm):
    module = net("resnet", norm=norm, width=8, blocks=[2, 1]).eval()
    blocks = [layer for layer in module.modules() if isinstance(layer, Residual)]
    maps = torch.randn(2, 8, 8, 8)
    assert len(blocks) == 3
    assert not any(block.branch(maps).any() for block in blocks)
    assert torch.equal(blocks[0](maps), torch.relu(maps))


def test_a_shortcut_without_weights_keeps_every_other_place_and_adds_zeros():
    shortcut = net("resnet", width=4, shortcut="pad").stages[1][0].shortcut
    maps = torch.randn(2, 4, 7, 6)
    passed = shortcut(maps)
    assert passed.shape == (2, 8, 4, 3)
    assert torch.equal(passed[:, :4], maps[:, :, ::2, ::2])
    assert not passed[:, 4:].any()


@pytest.mark.parametrize("name", sorted(SMALL))
def test_the_vector_is_pooled_as_asked(name):
    vectors = {pool: net(name, pool=pool, **SMALL[name]).eval()(pictures(3)).vector for pool in ("mean", "max", "both")}
    torch.testing.assert_close(vectors["both"], torch.cat([vectors["mean"], vectors["max"]], dim=1))
    assert (vectors["max"] >= vectors["mean"]).all()
    assert not torch.equal(vectors["max"], vectors["mean"])


def test_pooling_looks_at_every_place_of_each_channel():
    maps = torch.tensor([[[[1.0, 2.0], [3.0, 6.0]], [[-4.0, -2.0], [-2.0, 0.0]]]])
    assert GlobalPool("both")(maps).tolist() == [[3.0, -2.0, 6.0, 0.0]]


def test_depthwise_filters_look_at_one_channel_each():
    kernels = [layer for layer in net("mobilenet").modules() if isinstance(layer, nn.Conv2d) and layer.groups > 1]
    assert len(kernels) == 17
    assert all(layer.weight.shape[1:] == (1, 3, 3) for layer in kernels)


@pytest.mark.parametrize(("factor", "expected"), [(1.0, 24), (0.75, 24), (0.5, 16), (0.35, 8), (1.4, 32), (0.1, 8)])
def test_channels_are_multiples_of_eight(factor, expected):
    """As in the authors' code: nearest, but not below nine tenths."""
    assert _channels(24, factor) == expected


@pytest.mark.parametrize("blocks", [[], [1] * 8])
def test_more_stages_than_the_table_has_are_refused(blocks):
    with pytest.raises(ConfigError, match=rf"blocks has {len(blocks)} numbers \(allowed: 1 to 7, a stage each"):
        net("mobilenet", blocks=blocks)


# Stochastic depth


def test_a_branch_is_left_out_of_a_share_of_the_rows_and_kept_on_average():
    layer, branch = StochasticDepth(0.3).train(), torch.rand(20_000, 2, 3) + 1
    with seeded(0):
        left = layer(branch)
    gone = (left == 0).flatten(1)
    assert torch.equal(gone.all(1), gone.any(1))
    assert gone.all(1).float().mean() == pytest.approx(0.3, abs=0.02)
    torch.testing.assert_close(left[~gone.all(1)], branch[~gone.all(1)] / 0.7)
    assert left.mean().item() == pytest.approx(branch.mean().item(), rel=0.02)


@pytest.mark.parametrize("rate", [0.0, 0.9])
def test_nothing_is_left_out_when_predicting(rate):
    branch = torch.randn(50, 4)
    assert torch.equal(StochasticDepth(rate).eval()(branch), branch)


def test_deeper_branches_are_left_out_more_often():
    assert depth_rates(0.5, 5) == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])
    assert depth_rates(0.0, 2) == [0, 0]


@pytest.mark.parametrize("name", ["mobilenet", "resnet"])
def test_a_net_gives_its_blocks_growing_rates(name):
    options = {"blocks": [1, 2, 2, 2, 2, 3, 3]} if name == "mobilenet" else {"blocks": [2, 2, 1], "width": 4}
    module = net(name, stochastic_depth=0.6, **options)
    rates = [layer.dropout.p for layer in module.modules() if isinstance(layer, StochasticDepth)]
    assert rates == sorted(rates)
    assert len(set(rates)) == len(rates)
    assert rates[-1] == pytest.approx(0.6)
    assert all(layer.dropout.p == 0 for layer in net(name, **options).modules() if isinstance(layer, StochasticDepth))
