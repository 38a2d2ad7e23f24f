"""What nets for pictures are made of: convolutions with their norm, residual blocks, stems, pooling over all places."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from fathom.nets import ACTIVATIONS, NORMS
from fathom.nets.stochastic_depth import StochasticDepth
from fathom.registry import Choice
from fathom.signals import ImageSpec

__all__ = ["GlobalPool", "Pool", "Residual", "Stem", "convolution", "has_large_stem", "stride_within"]

Stem = Literal["auto", "small", "large"]
Pool = Literal["mean", "max", "both"]

SMALLEST_SIDE = 4  # no layer leaves fewer places than this along a side, so that tiny pictures keep some
LARGE_SIDE = 96  # pictures with a smaller side keep every place in the stem


def convolution(
    inside: int, outside: int, side: int, norm: Choice, *, stride: int = 1, groups: int = 1, activation: Choice | None
) -> nn.Sequential:
    """A convolution of ``side`` × ``side`` with its norm and, where one is named, its activation.

    Sides of a map are divided by ``stride``, rounded up.
    """
    layers = [
        # A norm has a shift of its own.
        nn.Conv2d(inside, outside, side, stride, side // 2, groups=groups, bias=norm.name == "none"),
        NORMS.build(norm, outside, 2),
    ]
    return nn.Sequential(*layers, *([] if activation is None else [ACTIVATIONS.build(activation)]))


class Residual(nn.Module):
    """A branch added to a shortcut (He et al. 2016, equation 2).

    Args:
        branch: maps to maps.
        shortcut: maps to maps of the branch's shape.
        rate: of stochastic depth.
        activation: after the sum.
    """

    def __init__(self, branch: nn.Sequential, shortcut: nn.Module, rate: float, activation: nn.Module) -> None:
        super().__init__()
        self.branch, self.shortcut, self.activation = branch, shortcut, activation
        self.depth = StochasticDepth(rate)

    def start_at_shortcut(self) -> None:
        """Let the branch begin at 0, by its last layer that has weights (Goyal et al. 2017, section 5.1)."""
        nn.init.zeros_([value for name, value in self.branch.named_parameters() if name.endswith("weight")][-1])

    def forward(self, maps: Tensor) -> Tensor:
        """maps (B, C, H, W) to (B, C', H', W'), the shape of what branch and shortcut give."""
        return self.activation(self.shortcut(maps) + self.depth(self.branch(maps)))


class GlobalPool(nn.Module):
    """All places of each channel as one number: their mean, their maximum, or both side by side.

    Args:
        how: which.
    """

    def __init__(self, how: Pool) -> None:
        super().__init__()
        self._how = how

    def width(self, channels: int) -> int:
        """D of the vector from so many channels."""
        return 2 * channels if self._how == "both" else channels

    def forward(self, maps: Tensor) -> Tensor:
        """maps (B, C, H, W) to a vector (B, C) or (B, 2·C)."""
        if self._how == "both":
            return torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], dim=1)
        return maps.mean((2, 3)) if self._how == "mean" else maps.amax((2, 3))


def has_large_stem(stem: Stem, spec: ImageSpec) -> bool:
    """Whether pictures pass a stem that shrinks them at once."""
    return min(spec.height, spec.width) >= LARGE_SIDE if stem == "auto" else stem == "large"


def stride_within(smaller: int, stride: int) -> int:
    """``stride``, or 1 where the smaller side of a map would fall below SMALLEST_SIDE."""
    return stride if smaller >= stride * SMALLEST_SIDE else 1
