"""Two samples of a batch in one, and of both their targets."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from fathom.augment.augment import AUGMENTS, Mix, as_given
from fathom.registry import Range
from fathom.signals import ImageSpec, NumberSpec

__all__ = ["CutMix", "MixUp"]

KNOTS = 4096  # equally likely values that stand for all those of a Beta distribution

Alpha = Annotated[float, Range(0.01, 10, log=True)]


@AUGMENTS.register("mixup", takes=("image", "number"))
class MixUp(Mix):
    """The weighted mean of two samples, with both their targets, weighted alike.

    Of numbers, what is missing in one of the two is missing in the mean.

    Source: Zhang et al. 2018, equation 1; each sample draws a weight of its own, and has at least half of itself,
    which is the same mixture seen from the other of the two.

    Args:
        spec: the pictures or numbers.
        alpha: of the Beta distribution; the larger, the more even the mixtures.
    """

    num_draws = 1

    def __init__(self, spec: ImageSpec | NumberSpec, *, alpha: Alpha = 0.2) -> None:
        self._quantiles = torch.maximum(quantiles := _beta_quantiles(alpha), 1 - quantiles)
        self._are_pixels = isinstance(spec, ImageSpec)

    def share(self, draws: Tensor) -> Tensor:
        return _looked_up(self._quantiles, draws[:, 0])

    def __call__(self, own: Tensor, partner: Tensor, draws: Tensor) -> Tensor:
        numbers = own if own.is_floating_point() else own.to(draws.dtype)
        share = self.share(draws).to(numbers.dtype).view(-1, *[1] * (own.dim() - 1))
        mixed = torch.lerp(partner.to(numbers.dtype), numbers, share)
        return as_given(mixed, own) if self._are_pixels else mixed


@AUGMENTS.register("cutmix", takes=("image",), several=False)
class CutMix(Mix):
    """A rectangle of one picture pasted over another; each target counts by its share of the area.

    Source: Yun et al. 2019, section 3.1; the rectangle has the picture's proportions, and what lies outside is cut off.

    Args:
        spec: the pictures.
        alpha: of the Beta distribution of the area that is kept.
        chance: how many pictures get a rectangle.
    """

    num_draws = 4

    def __init__(self, spec: ImageSpec, *, alpha: Alpha = 1.0, chance: Annotated[float, Range(0, 1)] = 0.5) -> None:
        self._quantiles, self._chance = _beta_quantiles(alpha), chance
        self._sides = (spec.height, spec.width)

    def share(self, draws: Tensor) -> Tensor:
        rows, columns = self._pasted(draws)
        return 1 - rows.sum(1) * columns.sum(1) / (self._sides[0] * self._sides[1])

    def __call__(self, own: Tensor, partner: Tensor, draws: Tensor) -> Tensor:
        rows, columns = self._pasted(draws)
        return torch.where((rows[:, :, None] & columns[:, None, :])[:, None], partner, own)

    def _pasted(self, draws: Tensor) -> tuple[Tensor, Tensor]:
        """(B, H) and (B, W) bool: the rows and columns of each rectangle, none where there is none."""
        side = (1 - _looked_up(self._quantiles, draws[:, 0])).sqrt()
        rows = _covered(draws[:, 1], side, self._sides[0]) & (draws[:, 3:4] < self._chance)
        return rows, _covered(draws[:, 2], side, self._sides[1])


def _covered(draw: Tensor, share: Tensor, length: int) -> Tensor:
    """(B, length) bool: a stretch of ``share`` of the length, its middle anywhere."""
    size = (share * length).long()
    first = ((draw * length).long() - size // 2)[:, None]
    places = torch.arange(length, device=draw.device)
    return (places >= first) & (places < first + size[:, None])


def _looked_up(quantiles: Tensor, draw: Tensor) -> Tensor:
    return quantiles.to(draw.device)[(draw * KNOTS).long()]


def _beta_quantiles(alpha: float) -> Tensor:
    """(KNOTS,) float32: the quantiles of Beta(alpha, alpha) in the middle of each of KNOTS equal parts."""
    import numpy as np
    from scipy.special import betaincinv

    middles = (np.arange(KNOTS) + 0.5) / KNOTS
    return torch.from_numpy(betaincinv(alpha, alpha, middles)).float()
