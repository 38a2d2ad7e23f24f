"""Pictures moved and mirrored, each pixel being one of the picture's own: index arithmetic and one gather."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from torch import Tensor

from fathom.augment.augment import AUGMENTS, Augment
from fathom.registry import Range
from fathom.signals import ImageSpec

__all__ = ["Flip", "Shift"]


@AUGMENTS.register("shift", takes=("image",))
class Shift(Augment):
    """A picture moved by whole pixels, up or down and left or right.

    Source: as in the CIFAR-10 training of He et al. 2016 (section 4.2), whose padding by 4 of 32 pixels is a share
    of 0.125.

    Args:
        spec: the pictures.
        by: how far at most, as a share of each side; a pixel at least, unless it is 0.
        pad: what comes in from outside: black, or the picture mirrored at its edge.
    """

    num_draws = 2

    def __init__(
        self,
        spec: ImageSpec,
        *,
        by: Annotated[float, Range(0, 0.5)] = 0.07,
        pad: Literal["zero", "reflect"] = "zero",
    ) -> None:
        sides = (spec.height, spec.width)
        self._most = tuple(min(max(1, round(by * side)) if by else 0, side - 1) for side in sides)
        self._reflects = pad == "reflect"

    def __call__(self, pictures: Tensor, draws: Tensor) -> Tensor:
        height, width = pictures.shape[2:]
        rows, columns = self._places(draws[:, 0], 0, height), self._places(draws[:, 1], 1, width)
        moved = _gathered(pictures, _within(rows, height), _within(columns, width))
        if self._reflects:
            return moved
        inside = _is_inside(rows, height)[:, :, None] & _is_inside(columns, width)[:, None, :]
        return moved.mul_(inside[:, None].to(moved.dtype))

    def _places(self, draw: Tensor, side: int, length: int) -> Tensor:
        """(B, length) int64: where each row, or column, comes from; beyond the edge where from outside."""
        most = self._most[side]
        offset = (draw * (2 * most + 1)).long() - most
        return torch.arange(length, device=draw.device) - offset[:, None]


@AUGMENTS.register("flip", takes=("image",), mirrors=True)
class Flip(Augment):
    """A picture the other way round.

    Digits, letters and traffic signs mean another thing then: ``augment = "auto"`` tries it before it flips.

    Args:
        spec: the pictures.
        horizontal: how many are flipped left to right.
        vertical: how many are flipped upside down.
    """

    num_draws = 2

    def __init__(
        self,
        spec: ImageSpec,
        *,
        horizontal: Annotated[float, Range(0, 1)] = 0.5,
        vertical: Annotated[float, Range(0, 1)] = 0.0,
    ) -> None:
        self._shares = {3: horizontal, 2: vertical}  # by the dimension that is turned round

    def __call__(self, pictures: Tensor, draws: Tensor) -> Tensor:
        for place, (dimension, share) in enumerate(self._shares.items()):
            if share:
                chosen = (draws[:, place] < share)[:, None, None, None]
                pictures = torch.where(chosen, pictures.flip(dimension), pictures)
        return pictures


def _gathered(pictures: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """(B, C, H, W) of the pixels at (B, H) rows and (B, W) columns."""
    count, channels, height, width = pictures.shape
    place = (rows[:, :, None] * width + columns[:, None, :]).view(count, 1, height * width)
    flat = pictures.reshape(count, channels, height * width)
    return flat.gather(2, place.expand_as(flat)).view_as(pictures)


def _within(places: Tensor, length: int) -> Tensor:
    """Places beyond an edge, mirrored at it: -1 is 1, and ``length`` is ``length - 2``."""
    last = length - 1
    return last - (last - places.abs()).abs()


def _is_inside(places: Tensor, length: int) -> Tensor:
    return (places >= 0) & (places < length)
