"""Convolutions over texts."""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fathom.nets import ACTIVATIONS, NETS
from fathom.nets.dropout import Dropout
from fathom.nets.sequences import Pool, Pooling, compacted, scattered
from fathom.registry import Choice, Range
from fathom.signals import Signal, SignalSpec

__all__ = ["TextCNN"]


@NETS.register("textcnn", takes="tokens", gives=("vector", "tokens"), body=True)
class TextCNN(nn.Module):
    """Filters that each look for a pattern of a few tokens; the vector holds how well the best place fits each.

    Source: Kim 2014, section 2; which options matter, Zhang and Wallace 2015. Here a filter stands on every token, with
    0 beyond the ends, so that a text may be shorter than a filter.

    Args:
        spec: the tokens that come in.
        width: of the tokens inside; others that come in pass a matrix first.
        widths: how many tokens a filter sees, for each sort of filters.
        filters: of each sort.
        activation: after each filter.
        pool: what the vector holds of each filter's answers.
        dropout: share of the vector that is silenced while training.
    """

    def __init__(
        self,
        spec: SignalSpec,
        *,
        width: Annotated[int, Range(4, 4096, log=True)] = 128,
        widths: Annotated[tuple[int, ...], Range(1, 32)] = (3, 4, 5),
        filters: Annotated[int, Range(1, 4096, log=True)] = 100,
        activation: Annotated[Choice, ACTIVATIONS] = Choice("relu"),
        pool: Pool = "max",
        dropout: Annotated[float, Range(0, 0.95)] = 0.5,
    ) -> None:
        super().__init__()
        self.first = nn.Linear(spec.width, width) if spec.width != width else None
        self.filters = nn.ModuleList(nn.Conv1d(width, filters, seen) for seen in widths)
        self.widths, outside = widths, filters * len(widths)
        self.activation = ACTIVATIONS.build(activation)
        self.pool, self.dropout = Pooling(pool, outside), Dropout(dropout)
        self.gives = SignalSpec(outside, ("vector", "tokens"))

    def forward(self, tokens: Tensor, mask: Tensor | None) -> Signal:
        """tokens (B, T, D), mask (B, T) bool or None, to tokens (B, T, D') and a vector (B, D')."""
        if self.first is not None:
            tokens = self.first(tokens)
        if mask is None:
            state = self._filtered(tokens)
        else:
            compact, _, origin = compacted(tokens, mask)
            state = scattered(self._filtered(compact), origin) * mask.unsqueeze(2)
        return Signal(vector=self.dropout(self.pool(state, mask)), tokens=state, mask=mask)

    def _filtered(self, tokens: Tensor) -> Tensor:
        """All filters at every place of tokens (B, T, D): (B, T, D')."""
        if not tokens.shape[1]:
            return tokens.new_zeros(tokens.shape[0], 0, self.gives.width)
        channels = tokens.mT  # (B, D, T)
        answers = [
            layer(F.pad(channels, ((width - 1) // 2, width // 2)))
            for width, layer in zip(self.widths, self.filters, strict=True)
        ]
        return self.activation(torch.cat(answers, dim=1)).mT
