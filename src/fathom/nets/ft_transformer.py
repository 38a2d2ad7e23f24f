"""Transformers for tables: every column is a token."""

from __future__ import annotations

import math
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fathom.errors import ConfigError
from fathom.nets import NETS
from fathom.nets.dropout import Dropout
from fathom.registry import Range
from fathom.signals import Signal, SignalSpec

__all__ = ["FTTransformer"]


@NETS.register("ft_transformer", takes="tokens", gives=("vector",), body=True)
class FTTransformer(nn.Module):
    """A transformer on the tokens of all columns and one of its own, whose last state is the vector.

    Source: FT-Transformer of Gorishniy et al. (2021, section 3.3): norms stand before each part, but not before the
    first attention, and the perceptrons are gated (ReGLU).

    Args:
        spec: the tokens that come in.
        width: of the tokens inside; others that come in pass a matrix first.
        depth: how many blocks of attention and perceptron.
        heads: of each attention; they divide the width.
        expansion: width inside a perceptron, in widths.
        attention_dropout: share of attention that is silenced while training.
        dropout: share of units inside a perceptron that are silenced while training.
        residual_dropout: the same behind each part.
    """

    def __init__(
        self,
        spec: SignalSpec,
        *,
        width: Annotated[int, Range(8, 1024, log=True)] = 96,
        depth: Annotated[int, Range(1, 8)] = 2,
        heads: Annotated[int, Range(1, 32, log=True)] = 8,
        expansion: Annotated[float, Range(0.5, 4)] = 4 / 3,
        attention_dropout: Annotated[float, Range(0, 0.95)] = 0.15,
        dropout: Annotated[float, Range(0, 0.95)] = 0.05,
        residual_dropout: Annotated[float, Range(0, 0.95)] = 0.0,
    ) -> None:
        super().__init__()
        if width % heads:
            raise ConfigError(f"net ft_transformer: width {width} is not divided by {heads} heads (use a multiple)")
        self.first = nn.Linear(spec.width, width) if spec.width != width else None
        bound = 1 / math.sqrt(width)
        self.own = nn.Parameter(torch.empty(width).uniform_(-bound, bound))
        self.blocks = nn.ModuleList(
            _Block(width, heads, int(width * expansion), k > 0, attention_dropout, dropout, residual_dropout)
            for k in range(depth)
        )
        self.last = nn.LayerNorm(width)
        self.gives = SignalSpec(width)

    def forward(self, tokens: Tensor, mask: Tensor | None) -> Signal:
        """tokens (B, T, D), mask (B, T) bool or None, to a vector (B, width)."""
        if self.first is not None:
            tokens = self.first(tokens)
        state = torch.cat([self.own.expand(tokens.shape[0], 1, -1), tokens], dim=1)  # (B, 1 + T, width)
        seen = None if mask is None else F.pad(mask, (1, 0), value=True)[:, None, None]  # (B, 1, 1, 1 + T)
        for block in list(self.blocks)[:-1]:
            state = block(state, state, seen)
        state = self.blocks[-1](state[:, :1], state, seen)  # of the last block only the own token is asked
        return Signal(vector=torch.relu(self.last(state[:, 0])))


class _Block(nn.Module):
    """Attention and a gated perceptron, each added to what came in."""

    def __init__(
        self, width: int, heads: int, inside: int, normed: bool, attention: float, dropout: float, residual: float
    ) -> None:
        super().__init__()
        self.heads, self.attention_dropout = heads, Dropout(attention)
        self.norm = nn.LayerNorm(width) if normed else nn.Identity()
        self.query, self.key_value = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)
        for layer in (self.query, self.key_value, self.out):
            nn.init.zeros_(layer.bias)
        self.perceptron_norm = nn.LayerNorm(width)
        self.gated, self.back = nn.Linear(width, 2 * inside), nn.Linear(inside, width)
        self.dropout, self.residual_dropout = Dropout(dropout), Dropout(residual)

    def forward(self, asking: Tensor, state: Tensor, seen: Tensor | None) -> Tensor:
        """asking (B, Q, D) of the tokens in state (B, T, D), seen (B, 1, 1, T) bool, to (B, Q, D)."""
        asking = asking + self.residual_dropout(self._attended(asking, state, seen))
        value, gate = self.gated(self.perceptron_norm(asking)).chunk(2, dim=2)
        return asking + self.residual_dropout(self.back(self.dropout(value * torch.relu(gate))))

    def _attended(self, asking: Tensor, state: Tensor, seen: Tensor | None) -> Tensor:
        normal = self.norm(state)
        query = self.query(normal if asking is state else self.norm(asking)).unflatten(2, (self.heads, -1))
        key, value = self.key_value(normal).unflatten(2, (2, self.heads, -1)).unbind(2)
        query, key, value = (part.transpose(1, 2) for part in (query, key, value))  # (B, heads, T, D / heads)
        if self.training and self.attention_dropout.p:
            logits = query @ key.mT / math.sqrt(query.shape[3])
            if seen is not None:
                logits = logits.masked_fill(~seen, -math.inf)
            mixed = self.attention_dropout(logits.softmax(dim=3)) @ value
        else:
            mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=seen)
        return self.out(mixed.transpose(1, 2).flatten(2))
