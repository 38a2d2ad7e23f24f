"""Pictures seen through another window: turned, or cut out and enlarged; pixels between pixels are interpolated."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from fathom.augment.augment import AUGMENTS, Augment, as_given, between
from fathom.registry import Range
from fathom.signals import ImageSpec

__all__ = ["Crop", "Rotate"]

MODES = {"zero": "zeros", "reflect": "reflection"}


@AUGMENTS.register("crop", takes=("image",))
class Crop(Augment):
    """A part of a picture, enlarged to the whole (random resized crop).

    Source: Szegedy et al. 2015, section 6, with milder bounds, and the part being cut to the picture rather than drawn
    again where it would reach beyond.

    Args:
        spec: the pictures.
        smallest: the smallest part, as a share of the area.
        stretch: how much the part's sides may be stretched against each other.
    """

    num_draws = 4

    def __init__(
        self,
        spec: ImageSpec,
        *,
        smallest: Annotated[float, Range(0.01, 1)] = 0.6,
        stretch: Annotated[float, Range(1, 4)] = 4 / 3,
    ) -> None:
        self._smallest, self._stretch = smallest, math.log(stretch)

    def __call__(self, pictures: Tensor, draws: Tensor) -> Tensor:
        area = between(draws[:, 0], self._smallest, 1.0)
        ratio = torch.exp(between(draws[:, 1], -self._stretch, self._stretch) / 2)
        width = (area.sqrt() * ratio).clamp(max=1.0)  # (B,) shares of the sides
        height = (area.sqrt() / ratio).clamp(max=1.0)
        # A grid's coordinates run from -1 to 1, so what is left on both sides is 2 · (1 - share).
        left, top = (2 * draws[:, 2] - 1) * (1 - width), (2 * draws[:, 3] - 1) * (1 - height)
        zero = torch.zeros_like(left)
        rows = torch.stack([width, zero, left, zero, height, top], dim=1)
        return _sampled(pictures, rows.view(-1, 2, 3), "border")


@AUGMENTS.register("rotate", takes=("image",))
class Rotate(Augment):
    """A picture turned about its middle.

    Args:
        spec: the pictures.
        degrees: how far at most, to either side.
        pad: what comes in from outside: black, or the picture mirrored at its edge.
    """

    num_draws = 1

    def __init__(
        self,
        spec: ImageSpec,
        *,
        degrees: Annotated[float, Range(0, 180)] = 10.0,
        pad: Literal["zero", "reflect"] = "zero",
    ) -> None:
        self._most, self._mode = math.radians(degrees), MODES[pad]

    def __call__(self, pictures: Tensor, draws: Tensor) -> Tensor:
        angle = between(draws[:, 0], -self._most, self._most)
        height, width = pictures.shape[2:]
        cosine, sine, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
        # A grid measures each side by itself: a turn of pixels stretches it where the sides differ.
        rows = torch.stack([cosine, -sine * height / width, zero, sine * width / height, cosine, zero], dim=1)
        return _sampled(pictures, rows.view(-1, 2, 3), self._mode)


def _sampled(pictures: Tensor, maps: Tensor, mode: str) -> Tensor:
    """Pictures through (B, 2, 3) affine maps, which tell where each pixel comes from."""
    pixels = pictures if pictures.is_floating_point() else pictures.to(maps.dtype)
    grid = F.affine_grid(maps.to(pixels.dtype), list(pixels.shape), align_corners=False)
    return as_given(F.grid_sample(pixels, grid, "bilinear", mode, align_corners=False), pictures)
