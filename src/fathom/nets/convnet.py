"""Convolutional networks of plain stages."""

from __future__ import annotations

from typing import Annotated, Literal

from torch import Tensor, nn

from fathom.nets import ACTIVATIONS, INITIALIZATIONS, NETS, NORMS
from fathom.nets.dropout import Dropout
from fathom.nets.initialization import initialize
from fathom.nets.inputs import Pixels
from fathom.nets.mlp import dense_stack
from fathom.registry import Choice, Range
from fathom.signals import ImageSpec, Signal, SignalSpec

__all__ = ["ConvNet"]

SMALLEST_SIDE = 4  # pooling stops here, so that tiny pictures keep some places


@NETS.register("convnet", takes="image", gives=("maps", "vector"), rates={"adamw": 3e-3}, bfloat16=True)
class ConvNet(nn.Module):
    """Stages of convolution, norm, activation and pooling; then dense layers on the last map.

    Args:
        spec: the pictures.
        channels: of each stage; each halves the sides until they would fall below SMALLEST_SIDE.
        depth: convolutions a stage.
        pool: how a stage halves its sides.
        dense: widths of the layers after the last map.
        activation: after each layer.
        norm: before each activation of a stage.
        dropout: share of units silenced in the dense layers while training, and before them.
        initialization: how kernels and matrices start.
    """

    def __init__(
        self,
        spec: ImageSpec,
        *,
        channels: Annotated[tuple[int, ...], Range(1, 4096, log=True)] = (16, 32, 64, 128),
        depth: Annotated[int, Range(1, 8)] = 1,
        pool: Literal["max", "mean"] = "max",
        dense: Annotated[tuple[int, ...], Range(1, 65_536, log=True)] = (128,),
        activation: Annotated[Choice, ACTIVATIONS] = Choice("relu"),
        norm: Annotated[Choice, NORMS] = Choice("batch"),
        dropout: Annotated[float, Range(0, 0.95)] = 0.2,
        initialization: Annotated[Choice, INITIALIZATIONS] = Choice("he"),
    ) -> None:
        super().__init__()
        self.pixels = Pixels(spec)
        self.stages = nn.ModuleList()
        inside, height, width, stride, maps = spec.channels, spec.height, spec.width, 1, []
        for outside in channels:
            shrinks = min(height, width) >= 2 * SMALLEST_SIDE
            self.stages.append(_stage(inside, outside, depth, pool if shrinks else None, activation, norm))
            if shrinks:
                height, width, stride = height // 2, width // 2, stride * 2
            maps.append((outside, stride))
            inside = outside
        hidden = [nn.Flatten()] + ([Dropout(dropout)] if dropout else [])
        self.dense = nn.Sequential(
            *hidden, dense_stack(inside * height * width, dense, activation, Choice("none"), dropout)
        )
        initialize(self, initialization, activation)
        self.gives = SignalSpec(dense[-1] if dense else inside * height * width, ("maps", "vector"), tuple(maps))

    def forward(self, pictures: Tensor) -> Signal:
        """pictures (B, C, H, W) in 0 to 255 to one map a stage and a vector (B, dense[-1])."""
        maps, x = [], self.pixels(pictures)
        for stage in self.stages:
            x = stage(x)  # (B, channels[i], H / stride, W / stride)
            maps.append(x)
        return Signal(vector=self.dense(x), maps=tuple(maps))


def _stage(inside: int, outside: int, depth: int, pool: str | None, activation: Choice, norm: Choice) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers.append(nn.Conv2d(inside, outside, 3, padding=1, bias=norm.name != "batch"))
        layers += [NORMS.build(norm, outside, 2), ACTIVATIONS.build(activation)]
        inside = outside
    if pool is not None:
        layers.append(nn.MaxPool2d(2) if pool == "max" else nn.AvgPool2d(2))
    return nn.Sequential(*layers)
