"""Networks of depthwise separable convolutions."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor, nn

from fathom.errors import ConfigError
from fathom.nets import ACTIVATIONS, INITIALIZATIONS, NETS, NORMS
from fathom.nets.convolution import GlobalPool, Pool, Residual, Stem, convolution, has_large_stem, stride_within
from fathom.nets.initialization import initialize
from fathom.nets.inputs import Pixels
from fathom.nets.stochastic_depth import depth_rates
from fathom.registry import Choice, Range
from fathom.signals import ImageSpec, Signal, SignalSpec

__all__ = ["MobileNet"]

FIRST, CHANNELS_STEP = 32, 8
STAGES = ((16, 1), (24, 2), (32, 2), (64, 2), (96, 1), (160, 2), (320, 1))  # channels, and stride of the first block


@NETS.register("mobilenet", takes="image", gives=("maps", "vector"), bfloat16=True)
class MobileNet(nn.Module):
    """MobileNetV2: blocks that widen by 1 × 1 convolutions, filter each channel by itself, and narrow again.

    Source: Sandler et al. 2018, section 3 and table 2. For small pictures the first two strides of 2 are 1, and a stage
    keeps the sides of a map that would get too small.

    Args:
        spec: the pictures.
        blocks: of each stage of table 2; fewer numbers leave the last stages out.
        width: factor of the channels, which stay multiples of 8.
        expansion: how many times as many channels there are inside a block.
        last: channels of the 1 × 1 convolution before the pooling, at least; a factor above 1 widens them too.
        stem: "small" for small pictures, "large" for large ones; "auto" goes by the pictures' size.
        pool: what the vector holds of each channel of the last map.
        activation: after each layer but those that narrow.
        norm: after each convolution.
        dropout: share of the vector silenced while training.
        stochastic_depth: share of the rows that skip the last block while training; fewer skip those before it.
        initialization: how kernels start.
    """

    def __init__(
        self,
        spec: ImageSpec,
        *,
        blocks: Annotated[tuple[int, ...], Range(1, 64)] = (1, 2, 3, 4, 3, 3, 1),
        width: Annotated[float, Range(0.1, 4, log=True)] = 1.0,
        expansion: Annotated[int, Range(1, 16)] = 6,
        last: Annotated[int, Range(1, 8192, log=True)] = 1280,
        stem: Stem = "auto",
        pool: Pool = "mean",
        activation: Annotated[Choice, ACTIVATIONS] = Choice("relu6"),
        norm: Annotated[Choice, NORMS] = Choice("batch"),
        dropout: Annotated[float, Range(0, 0.95)] = 0.2,
        stochastic_depth: Annotated[float, Range(0, 0.95)] = 0.0,
        initialization: Annotated[Choice, INITIALIZATIONS] = Choice("he"),
    ) -> None:
        super().__init__()
        if not 0 < len(blocks) <= len(STAGES):
            raise ConfigError(
                f"net mobilenet: blocks has {len(blocks)} numbers (allowed: 1 to {len(STAGES)}, a stage each)"
            )
        large = has_large_stem(stem, spec)
        self.pixels = Pixels(spec)
        inside, scale = _channels(FIRST, width), 2 if large else 1
        self.stem = convolution(spec.channels, inside, 3, norm, stride=scale, activation=activation)
        smaller, maps = -(-min(spec.height, spec.width) // scale), {}
        rates = iter(depth_rates(stochastic_depth, sum(blocks)))
        self.stages = nn.ModuleList()
        for number, (count, (channels, stride)) in enumerate(zip(blocks, STAGES, strict=False)):
            outside, stride = _channels(channels, width), stride_within(smaller, stride if large or number > 1 else 1)
            layers = []
            for index in range(count):
                inner = inside * expansion if number else inside
                branch = _branch(inside, inner, outside, norm, activation, stride=1 if index else stride)
                layers.append(_beside(branch, next(rates), keeps=inside == outside and (stride == 1 or index > 0)))
                inside = outside
            self.stages.append(nn.Sequential(*layers))
            smaller, scale = -(-smaller // stride), scale * stride
            maps[scale] = (number, inside)
        self._last_of_scale = tuple(number for number, _ in maps.values())
        vector = last if width <= 1 else _channels(last, width)
        self.last = convolution(inside, vector, 1, norm, activation=activation)
        pooling = GlobalPool(pool)
        self.pool = nn.Sequential(pooling, *([nn.Dropout(dropout)] if dropout else []))
        initialize(self, initialization, activation)
        given = tuple((channels, scale) for scale, (_, channels) in maps.items())
        self.gives = SignalSpec(pooling.width(vector), ("maps", "vector"), given)

    def forward(self, pictures: Tensor) -> Signal:
        """pictures (B, C, H, W) in 0 to 255 to the last map of each size and a vector (B, D)."""
        maps, x = [], self.stem(self.pixels(pictures))  # (B, C, H, W), or half of each side
        for stage in self.stages:
            x = stage(x)  # (B, channels, H / stride, W / stride), rounded up
            maps.append(x)
        return Signal(vector=self.pool(self.last(x)), maps=tuple(maps[number] for number in self._last_of_scale))


def _beside(branch: nn.Sequential, rate: float, *, keeps: bool) -> nn.Module:
    """A block: its branch, beside a shortcut where it keeps the shape."""
    return Residual(branch, nn.Identity(), rate, nn.Identity()) if keeps else branch


def _branch(inside: int, inner: int, outside: int, norm: Choice, activation: Choice, *, stride: int) -> nn.Sequential:
    widened = [convolution(inside, inner, 1, norm, activation=activation)] if inner != inside else []
    return nn.Sequential(
        *widened,
        convolution(inner, inner, 3, norm, stride=stride, groups=inner, activation=activation),
        convolution(inner, outside, 1, norm, activation=None),
    )


def _channels(count: int, factor: float) -> int:
    """The multiple of CHANNELS_STEP nearest to ``count`` times ``factor``, and not below nine tenths of it."""
    wanted = count * factor
    found = max(CHANNELS_STEP, int(wanted + CHANNELS_STEP / 2) // CHANNELS_STEP * CHANNELS_STEP)
    return found if found >= 0.9 * wanted else found + CHANNELS_STEP
