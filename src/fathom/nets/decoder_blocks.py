"""Decoders of attention: causal blocks, and the transformer's own decoder of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from fathom.nets import ACTIVATIONS, DECODERS
from fathom.nets.attention import Cache, CrossAttention, Remembered, SelfAttention, seen_by_all
from fathom.nets.decoder import WIDTH, Decoder, DecoderSpec, Memory, usual_dropout
from fathom.nets.dropout import Dropout
from fathom.nets.positions import LearnedPositions, Positions, Turn, rotation, sinusoids
from fathom.registry import Choice, Range

__all__ = ["Asked", "Blocks", "TransformerDecoder"]


@dataclass
class Asked:
    """What attention keeps: keys and values of the tokens so far, and those of its memory."""

    caches: Sequence[Cache]
    remembered: Sequence[Remembered | None]
    seen: Tensor | None

    @property
    def length(self) -> int:
        """How many tokens there were."""
        return len(self.caches[0])

    def select(self, rows: Tensor) -> None:
        for cache in self.caches:
            cache.select(rows)
        self.remembered = [
            None if known is None else (known[0].index_select(0, rows), known[1].index_select(0, rows))
            for known in self.remembered
        ]
        self.seen = None if self.seen is None else self.seen.index_select(0, rows)


class Blocks(nn.Module):
    """Blocks one after another, each of which adds to the tokens what it makes of them, and a norm behind.

    Args:
        width: of the tokens.
        memory: width of the tokens that are asked besides, or None.
        depth: how many blocks.
        heads: of each attention; they divide the width.
        inside: units of a perceptron.
        dropout: share of what a part adds that is silenced while training; attention stays whole, which is faster.
        activation: of the perceptrons.
    """

    def __init__(
        self, width: int, memory: int | None, *, depth: int, heads: int, inside: int, dropout: float, activation: Choice
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            _Block(width, memory, heads=heads, inside=inside, dropout=dropout, activation=activation)
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, memory: Memory | None, turn: Turn | None = None) -> Tensor:
        """tokens (B, T, D) from the first on, to (B, T, D)."""
        seen = None if memory is None else seen_by_all(memory.mask)
        for block in self._each:
            tokens = block(tokens, block.remember(memory), seen, turn, None)
        return self.norm(tokens)

    def start(self, memory: Memory | None, capacity: int) -> Asked:
        """What ``step`` goes on from."""
        remembered = [block.remember(memory) for block in self._each]
        seen = None if memory is None else seen_by_all(memory.mask)
        return Asked([Cache(capacity) for _ in self.blocks], remembered, seen)

    def step(self, tokens: Tensor, asked: Asked, turn: Turn | None = None) -> Tensor:
        """Further tokens (B, T, D) to (B, T, D)."""
        for block, known, cache in zip(self._each, asked.remembered, asked.caches, strict=True):
            tokens = block(tokens, known, asked.seen, turn, cache)
        return self.norm(tokens)

    @property
    def _each(self) -> list[_Block]:
        return list(self.blocks)  # type: ignore[arg-type]


class _Block(nn.Module):
    """Causal attention, attention to a memory where there is one, and a perceptron, each behind a norm."""

    def __init__(
        self, width: int, memory: int | None, *, heads: int, inside: int, dropout: float, activation: Choice
    ) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads, causal=True)
        self.memory_norm = None if memory is None else nn.LayerNorm(width)
        self.memory = None if memory is None else CrossAttention(width, memory, heads)
        self.perceptron_norm = nn.LayerNorm(width)
        self.inside, self.outside = nn.Linear(width, inside), nn.Linear(inside, width)
        self.activation = ACTIVATIONS.build(activation)
        self.dropout = Dropout(dropout)

    def remember(self, memory: Memory | None) -> Remembered | None:
        return None if memory is None or self.memory is None else self.memory.remember(memory.tokens)

    def forward(
        self,
        state: Tensor,
        remembered: Remembered | None,
        seen: Tensor | None,
        turn: Turn | None,
        cache: Cache | None,
    ) -> Tensor:
        """state (B, T, D) to (B, T, D)."""
        state = state + self.dropout(self.attention(self.attention_norm(state), None, turn, cache))
        if remembered is not None and self.memory is not None and self.memory_norm is not None:
            state = state + self.dropout(self.memory(self.memory_norm(state), remembered, seen))
        return state + self.dropout(self.outside(self.activation(self.inside(self.perceptron_norm(state)))))


@DECODERS.register("transformer", bfloat16=True)
class TransformerDecoder(Decoder):
    """Causal attention, and attention to what comes in, of any length of text.

    Source: Vaswani et al. (2017, section 3), but norms stand before each part and behind the last (Xiong et al. 2020),
    and places turn queries and keys unless another way is chosen (RoFormer, Su et al. 2021).

    Args:
        spec: of what stands around it.
        width: of the tokens; where it is not said, that of the tokens that come in, else 128.
        depth: how many blocks.
        heads: of each attention; they divide the width.
        expansion: units inside a perceptron, in widths.
        positions: how a token's place is told.
        activation: inside a perceptron.
        dropout: share of tokens and of what each part adds that is silenced while training; where it is not said, a
            tenth where something comes in, and none of a language model, which sees most of its text a few times.
    """

    def __init__(
        self,
        spec: DecoderSpec,
        *,
        width: Annotated[int | None, Range(8, 8192, log=True)] = None,
        depth: Annotated[int, Range(1, 96, log=True)] = 4,
        heads: Annotated[int, Range(1, 128, log=True)] = 4,
        expansion: Annotated[float, Range(0.5, 8)] = 4.0,
        positions: Positions = "rotary",
        activation: Annotated[Choice, ACTIVATIONS] = Choice("gelu"),
        dropout: Annotated[float | None, Range(0, 0.95)] = None,
    ) -> None:
        super().__init__()
        self.width, self.window = width or spec.memory or WIDTH, spec.length
        dropout = usual_dropout(spec) if dropout is None else dropout
        self.blocks = Blocks(
            self.width,
            spec.memory,
            depth=depth,
            heads=heads,
            inside=int(self.width * expansion),
            dropout=dropout,
            activation=activation,
        )
        self.dropout = Dropout(dropout)
        self.positions, self._head_width = positions, self.width // heads
        self.places = LearnedPositions(spec.length, self.width) if positions == "learned" else None

    def forward(self, tokens: Tensor, memory: Memory | None) -> Tensor:
        """tokens (B, T, width), memory of B rows or None, to (B, T, width)."""
        placed, turn = self._placed(tokens, 0)
        return self.blocks(placed, memory, turn)

    def start(self, rows: int, memory: Memory | None, capacity: int) -> Asked:
        return self.blocks.start(memory, capacity)

    def step(self, tokens: Tensor, written: Asked) -> Tensor:  # type: ignore[override]
        """Further tokens (B, T, width) to (B, T, width)."""
        placed, turn = self._placed(tokens, written.length)
        return self.blocks.step(placed, written, turn)

    def _placed(self, tokens: Tensor, first: int) -> tuple[Tensor, Turn | None]:
        """Tokens with their places, or how those turn them."""
        places = torch.arange(first, first + tokens.shape[1], device=tokens.device).unsqueeze(0)
        if self.positions == "rotary":
            return self.dropout(tokens), rotation(places, self._head_width, tokens.dtype)
        added = sinusoids(places, self.width, tokens.dtype) if self.places is None else self.places(places)
        return self.dropout(tokens + added), None
