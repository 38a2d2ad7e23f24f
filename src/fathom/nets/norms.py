"""Normalization layers by name, for vectors (B, D) and maps (B, C, H, W)."""

from __future__ import annotations

from torch import nn

from fathom.nets import NORMS

__all__: list[str] = []


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
