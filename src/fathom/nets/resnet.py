"""Residual networks."""

from __future__ import annotations

from typing import Annotated, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from fathom.nets import ACTIVATIONS, INITIALIZATIONS, NETS, NORMS
from fathom.nets.convolution import GlobalPool, Pool, Residual, Stem, convolution, has_large_stem, stride_within
from fathom.nets.initialization import initialize
from fathom.nets.inputs import Pixels
from fathom.nets.stochastic_depth import depth_rates
from fathom.registry import Choice, Range
from fathom.signals import ImageSpec, Signal, SignalSpec

__all__ = ["ResNet"]

BOTTLENECK = 4  # channels that come out of a bottleneck, for each inside


@NETS.register("resnet", takes="image", gives=("maps", "vector"), bfloat16=True)
class ResNet(nn.Module):
    """Residual network: stages of blocks, each of which adds to what comes in; then pooling over all places.

    Source: He et al. 2016 ("Deep residual learning for image recognition"), sections 3.3 and 4.2. A bottleneck halves
    the sides in its 3 × 3 convolution; a branch starts at 0 (Goyal et al. 2017); a stage keeps the sides of a map that
    would get too small. ResNet-20 is ``blocks = [3, 3, 3]``, ``width = 16``, ``shortcut = "pad"``; ResNet-18
    ``blocks = [2, 2, 2, 2]``, ``width = 64``; ResNet-50 ``blocks = [3, 4, 6, 3]``, ``width = 64``,
    ``block = "bottleneck"``.

    Args:
        spec: the pictures.
        blocks: of each stage; the sides are halved where a stage but the first begins.
        width: channels inside the blocks of the first stage; each further stage doubles them.
        block: two convolutions, or three of which the outer ones shrink and widen.
        stem: a 3 × 3 convolution for small pictures, 7 × 7 and pooling, which leave a quarter of each side, for large
            ones; "auto" goes by the pictures' size.
        shortcut: how a block that changes the shape passes its input on: through a 1 × 1 convolution, or with further
            channels of zeros.
        pool: what the vector holds of each channel of the last map.
        activation: after each layer and each sum.
        norm: after each convolution.
        dropout: share of the vector silenced while training.
        stochastic_depth: share of the rows that skip the last block while training; fewer skip those before it.
        initialization: how kernels start.
    """

    def __init__(
        self,
        spec: ImageSpec,
        *,
        blocks: Annotated[tuple[int, ...], Range(1, 64)] = (1, 1, 1),
        width: Annotated[int, Range(1, 1024, log=True)] = 32,
        block: Literal["basic", "bottleneck"] = "basic",
        stem: Stem = "auto",
        shortcut: Literal["project", "pad"] = "project",
        pool: Pool = "mean",
        activation: Annotated[Choice, ACTIVATIONS] = Choice("relu"),
        norm: Annotated[Choice, NORMS] = Choice("batch"),
        dropout: Annotated[float, Range(0, 0.95)] = 0.0,
        stochastic_depth: Annotated[float, Range(0, 0.95)] = 0.0,
        initialization: Annotated[Choice, INITIALIZATIONS] = Choice("he"),
    ) -> None:
        super().__init__()
        large = has_large_stem(stem, spec)
        self.pixels = Pixels(spec)
        self.stem = _stem(spec.channels, width, norm, activation, large=large)
        scale = 4 if large else 1
        smaller, inside, maps = -(-min(spec.height, spec.width) // scale), width, []
        rates = iter(depth_rates(stochastic_depth, sum(blocks)))
        self.stages = nn.ModuleList()
        for stage, count in enumerate(blocks):
            stride = stride_within(smaller, 2) if stage else 1
            layers = []
            for index in range(count):
                branch = _branch(block, inside, width << stage, norm, activation, stride=1 if index else stride)
                outside = (width << stage) * (BOTTLENECK if block == "bottleneck" else 1)
                passed = _shortcut(shortcut, inside, outside, norm, stride=1 if index else stride)
                layers.append(Residual(branch, passed, next(rates), ACTIVATIONS.build(activation)))
                inside = outside
            self.stages.append(nn.Sequential(*layers))
            smaller, scale = -(-smaller // stride), scale * stride
            maps.append((inside, scale))
        pooling = GlobalPool(pool)
        self.pool = nn.Sequential(pooling, *([nn.Dropout(dropout)] if dropout else []))
        initialize(self, initialization, activation)
        for layer in self.modules():
            if isinstance(layer, Residual):
                layer.start_at_shortcut()
        self.gives = SignalSpec(pooling.width(inside), ("maps", "vector"), tuple(maps))

    def forward(self, pictures: Tensor) -> Signal:
        """pictures (B, C, H, W) in 0 to 255 to one map a stage and a vector (B, D)."""
        maps, x = [], self.stem(self.pixels(pictures))  # (B, width, H, W), or a quarter of each side
        for stage in self.stages:
            x = stage(x)  # (B, channels, H / stride, W / stride), rounded up
            maps.append(x)
        return Signal(vector=self.pool(x), maps=tuple(maps))


class Padded(nn.Module):
    """A shortcut without weights (He et al. 2016, section 3.3, option A): every ``stride``-th place, zeros behind.

    Args:
        channels: that are added.
        stride: from one place that is kept to the next.
    """

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self._channels, self._stride = channels, stride

    def forward(self, maps: Tensor) -> Tensor:
        """maps (B, C, H, W) to (B, C + channels, H / stride, W / stride), rounded up."""
        return F.pad(maps[:, :, :: self._stride, :: self._stride], (0, 0, 0, 0, 0, self._channels))


def _stem(inside: int, outside: int, norm: Choice, activation: Choice, *, large: bool) -> nn.Sequential:
    if not large:
        return convolution(inside, outside, 3, norm, activation=activation)
    first = convolution(inside, outside, 7, norm, stride=2, activation=activation)
    return nn.Sequential(first, nn.MaxPool2d(3, 2, padding=1))


def _branch(block: str, inside: int, width: int, norm: Choice, activation: Choice, *, stride: int) -> nn.Sequential:
    if block == "basic":
        first = convolution(inside, width, 3, norm, stride=stride, activation=activation)
        return nn.Sequential(first, convolution(width, width, 3, norm, activation=None))
    return nn.Sequential(
        convolution(inside, width, 1, norm, activation=activation),
        convolution(width, width, 3, norm, stride=stride, activation=activation),
        convolution(width, width * BOTTLENECK, 1, norm, activation=None),
    )


def _shortcut(shortcut: str, inside: int, outside: int, norm: Choice, *, stride: int) -> nn.Module:
    if inside == outside and stride == 1:
        return nn.Identity()
    if shortcut == "pad":
        return Padded(outside - inside, stride)
    return convolution(inside, outside, 1, norm, stride=stride, activation=None)
