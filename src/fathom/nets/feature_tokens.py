"""Vectors as tokens: one for each column of a table."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from torch import Tensor, nn

from fathom.nets import NETS
from fathom.registry import Range
from fathom.signals import Signal, SignalSpec

__all__ = ["FeatureTokens"]


@NETS.register("feature_tokens", takes="vector", gives=("tokens",), entry=True)
class FeatureTokens(nn.Module):
    """A token for each column: a matrix of its own on what the column has of the vector, and a bias.

    Source: feature tokenizer of Gorishniy et al. (2021, section 3.3), which this is where a number is one feature and
    a category is one-hot. A vector of which columns are not told apart is one token.

    Args:
        spec: the vector that comes in.
        width: of a token.
    """

    place: Tensor

    def __init__(self, spec: SignalSpec, *, width: Annotated[int, Range(8, 1024, log=True)] = 96) -> None:
        super().__init__()
        columns = torch.tensor(spec.columns or (0,) * spec.width, dtype=torch.int64)
        counts = torch.bincount(columns)
        self.num_tokens, self.width = len(counts), width
        longest = int(counts.max()) if len(counts) else 0
        # Where each column's features stand; a place that is not used points at a 0 behind the vector.
        place = torch.full((self.num_tokens, longest), spec.width)
        for column in range(self.num_tokens):
            place[column, : counts[column]] = (columns == column).nonzero().squeeze(1)
        self._in_order = torch.equal(place, torch.arange(spec.width).view(-1, 1))
        self.register_buffer("place", place, persistent=False)
        bound = 1 / math.sqrt(width)
        self.weight = nn.Parameter(torch.empty(spec.width, width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(self.num_tokens * width).uniform_(-bound, bound))
        self.gives = SignalSpec(width, ("tokens",))

    def forward(self, vector: Tensor) -> Signal:
        """vector (B, D) to tokens (B, columns, width)."""
        bias = self.bias.view(self.num_tokens, self.width)
        if self._in_order:  # every column is one feature
            return Signal(tokens=torch.addcmul(bias, self.weight, vector.unsqueeze(2)))
        features = nn.functional.pad(vector, (0, 1))[:, self.place]  # (B, columns, longest)
        matrices = nn.functional.pad(self.weight, (0, 0, 0, 1))[self.place]  # (columns, longest, width)
        return Signal(tokens=torch.baddbmm(bias.unsqueeze(1), features.transpose(0, 1), matrices).transpose(0, 1))
