"""Normalization layers by name, for vectors (B, D) and maps (B, C, H, W)."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn

from fathom.nets import NORMS
from fathom.registry import Range

__all__ = ["RootMeanSquare"]

SMALLEST_GROUP = 4  # features: what is normalised with itself alone is 0


@NORMS.register("none")
def none(features: int, dimensions: int) -> nn.Module:
    """No normalization."""
    return nn.Identity()


@NORMS.register("batch")
def batch(features: int, dimensions: int) -> nn.Module:
    """Each feature over the batch (Ioffe and Szegedy 2015); in training, rows of one batch depend on each other."""
    return nn.BatchNorm2d(features) if dimensions == 2 else nn.BatchNorm1d(features)


@NORMS.register("layer")
def layer(features: int, dimensions: int) -> nn.Module:
    """Each row over its features (Ba et al. 2016); for maps, over channels and places together."""
    return nn.GroupNorm(1, features) if dimensions == 2 else nn.LayerNorm(features)


@NORMS.register("rms")
def rms(features: int, dimensions: int) -> nn.Module:
    """As layer, but neither centred nor shifted (Zhang and Sennrich 2019, equation 4)."""
    return RootMeanSquare(features) if dimensions == 2 else nn.RMSNorm(features)


@NORMS.register("group")
def group(features: int, dimensions: int, *, groups: Annotated[int, Range(1, 1024, log=True)] = 32) -> nn.Module:
    """Each row over groups of its features (Wu and He 2018), fewer where they do not divide or would hold under 4."""
    most = max(1, min(groups, features // SMALLEST_GROUP))
    return nn.GroupNorm(next(count for count in range(most, 0, -1) if features % count == 0), features)


class RootMeanSquare(nn.Module):
    """Maps divided by the root of their mean square over channels and places, times a learned factor a channel.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, maps: Tensor) -> Tensor:
        """maps (B, C, H, W)."""
        square = maps.square().mean((1, 2, 3), keepdim=True) + torch.finfo(maps.dtype).eps
        return maps * square.rsqrt() * self.weight.view(-1, 1, 1)
