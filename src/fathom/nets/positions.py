"""Where tokens stand: positions that are added to them, and those by which attention turns them."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

__all__ = ["LearnedPositions", "Positions", "Turn", "places_of", "rotation", "sinusoids", "turned"]

Positions = Literal["sinusoidal", "learned", "rotary"]
Turn = tuple[Tensor, Tensor]
"""Cosines and sines of the angles by which each token is turned, (B or 1, 1, T, d / 2) each."""

SLOWEST = 10_000.0  # the longest wave, in tokens and over 2π, as both papers have it


def places_of(tokens: Tensor, mask: Tensor | None) -> Tensor:
    """The place of each token among those of its row that are there: 0, 1, ...

    Args:
        tokens: (B, T, D).
        mask: (B, T) bool, or None where all tokens are there.

    Returns:
        (B, T) int64; (1, T) without a mask. A token that is not there has the place of the one before.
    """
    if mask is None:
        return torch.arange(tokens.shape[1], device=tokens.device).unsqueeze(0)
    return (mask.to(torch.int64).cumsum(1) - 1).clamp(min=0)


def sinusoids(places: Tensor, width: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Sines in the first half of the features, cosines in the second, of waves from fast to slow.

    Source: Vaswani et al. 2017, section 3.5, where sines and cosines alternate.

    Args:
        places: (B, T) int64.
        width: D.
        dtype: of the result.

    Returns:
        (B, T, D).
    """
    angles = _angles(places, -(-width // 2))
    return torch.cat([angles.sin(), angles.cos()], dim=2)[..., :width].to(dtype)


def rotation(places: Tensor, width: int, dtype: torch.dtype = torch.float32) -> Turn:
    """The turn of tokens at ``places``, (B, T) int64, in heads of ``width`` features each (an even number).

    Source: RoFormer (Su et al. 2021, equation 34).
    """
    angles = _angles(places, width // 2).unsqueeze(1)
    return angles.cos().to(dtype), angles.sin().to(dtype)


def turned(heads: Tensor, turn: Turn) -> Tensor:
    """Queries or keys (B, heads, T, d), each turned by its token's place, so that their product tells the distance.

    The pairs that turn together are feature i of the first half and feature i of the second, not neighbours as in the
    paper: the same up to an order of features.
    """
    (cosine, sine), (first, second) = turn, heads.chunk(2, dim=3)
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=3)


class LearnedPositions(nn.Module):
    """A learned vector for each place (Devlin et al. 2019, figure 2); places beyond the last share its own.

    Args:
        length: how many places.
        width: D.
    """

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(length, width)
        nn.init.normal_(self.table.weight, std=0.02)

    def forward(self, places: Tensor) -> Tensor:
        """places (B, T) int64 to (B, T, D)."""
        return self.table(places.clamp(max=self.table.num_embeddings - 1))


def _angles(places: Tensor, waves: int) -> Tensor:
    """(B, T) to (B, T, waves), in float32, which holds long sequences exactly enough where coarser ones do not."""
    steps = torch.arange(waves, device=places.device, dtype=torch.float32) / waves
    return places.unsqueeze(2) * torch.exp(-math.log(SLOWEST) * steps)
