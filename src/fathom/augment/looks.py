"""Pictures of another light, and with a part hidden."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from fathom.augment.augment import AUGMENTS, Augment, as_given, between
from fathom.registry import Range
from fathom.signals import ImageSpec

__all__ = ["Colour", "Cutout"]

LUMA = (0.299, 0.587, 0.114)  # how bright red, green and blue look (ITU-R BT.601)


@AUGMENTS.register("colour", takes=("image",))
class Colour(Augment):
    """A picture brighter or darker, harder or softer, and of more or less colour; a grey one the first two.

    A brightness of 0 is black, a contrast of 0 the picture's mean grey, a saturation of 0 no colour; 1 is the picture
    itself. What would lie outside 0 to 255 is cut off after each.

    Args:
        spec: the pictures.
        brightness: how far its factor is from 1 at most.
        contrast: how far its factor is from 1 at most.
        saturation: how far its factor is from 1 at most.
    """

    num_draws = 3

    def __init__(
        self,
        spec: ImageSpec,
        *,
        brightness: Annotated[float, Range(0, 1)] = 0.2,
        contrast: Annotated[float, Range(0, 1)] = 0.2,
        saturation: Annotated[float, Range(0, 1)] = 0.2,
    ) -> None:
        self._most = (brightness, contrast, saturation)

    def __call__(self, pictures: Tensor, draws: Tensor) -> Tensor:
        pixels = pictures if pictures.is_floating_point() else pictures.to(draws.dtype)
        for place, (most, reference) in enumerate(zip(self._most, (_black, _mean_grey, _grey), strict=True)):
            if most and (reference is not _grey or pictures.shape[1] == len(LUMA)):
                factor = between(draws[:, place], 1 - most, 1 + most).to(pixels.dtype)[:, None, None, None]
                start = reference(pixels)
                pixels = torch.lerp(start, pixels, factor).clamp_(0, 255)
        return as_given(pixels, pictures)


@AUGMENTS.register("cutout", takes=("image",))
class Cutout(Augment):
    """A square of a picture hidden under its mean colour; part of it may lie outside.

    Source: DeVries and Taylor 2017, section 3.2.

    Args:
        spec: the pictures; their mean is what the square shows.
        size: its side in pixels; 0 takes a quarter of the picture's shorter one.
        chance: how many pictures get one.
    """

    num_draws = 3

    def __init__(
        self,
        spec: ImageSpec,
        *,
        size: Annotated[int, Range(0, 4096)] = 0,
        chance: Annotated[float, Range(0, 1)] = 1.0,
    ) -> None:
        self._size = size or max(1, min(spec.height, spec.width) // 4)
        self._mean, self._chance = torch.tensor(spec.mean), chance

    def __call__(self, pictures: Tensor, draws: Tensor) -> Tensor:
        height, width = pictures.shape[2:]
        rows = self._hidden(draws[:, 0], height) & (draws[:, 2:3] < self._chance)
        hidden = rows[:, :, None] & self._hidden(draws[:, 1], width)[:, None, :]  # (B, H, W)
        mean = as_given(self._mean.to(draws.device), pictures).view(-1, 1, 1)
        return torch.where(hidden[:, None], mean, pictures)

    def _hidden(self, draw: Tensor, length: int) -> Tensor:
        """(B, length) bool: the rows, or columns, of a square whose middle is any pixel."""
        first = (draw * length).long()[:, None] - self._size // 2
        places = torch.arange(length, device=draw.device)
        return (places >= first) & (places < first + self._size)


def _black(pixels: Tensor) -> Tensor:
    return torch.zeros_like(pixels[:, :, :1, :1])


def _mean_grey(pixels: Tensor) -> Tensor:
    return _grey(pixels).mean((2, 3), keepdim=True)


def _grey(pixels: Tensor) -> Tensor:
    """(B, 1, H, W)."""
    if pixels.shape[1] != len(LUMA):
        return pixels
    red, green, blue = pixels.unbind(1)
    return (LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue).unsqueeze(1)
