"""Transformers: blocks of attention and perceptron, and the encoder that is made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from fathom.errors import ConfigError
from fathom.nets import ACTIVATIONS, NETS, NORMS
from fathom.nets.attention import Cache, CrossAttention, Remembered, SelfAttention, seen_by_all
from fathom.nets.dropout import Dropout
from fathom.nets.positions import LearnedPositions, Positions, Turn, places_of, rotation, sinusoids
from fathom.nets.sequences import Pool, Pooling
from fathom.nets.token_embedding import SMALL
from fathom.registry import Choice, Range
from fathom.signals import Signal, SignalSpec

__all__ = ["Block", "BlockPlan", "Norm", "Perceptron", "Placing", "Transformer", "start_blocks"]

Norm = Literal["layer", "rms"]


@dataclass(frozen=True)
class BlockPlan:
    """What the blocks of a transformer have in common.

    Attributes:
        width: of the tokens.
        heads: of each attention; they divide the width.
        expansion: width inside the perceptron, in widths.
        activation: inside the perceptron.
        gated: whether it is multiplied by a second matrix.
        norm: before each part.
        dropout: share of units that are silenced while training, behind each part and inside the perceptron.
        attention_dropout: share of attention that is silenced while training.
    """

    width: int
    heads: int
    expansion: float = 4.0
    activation: Choice = Choice("gelu")
    gated: bool = False
    norm: Norm = "layer"
    dropout: float = 0.0
    attention_dropout: float = 0.0

    def normed(self) -> nn.Module:
        """A norm of the tokens."""
        built: nn.Module = NORMS.build(self.norm, self.width, 1)
        return built


class Perceptron(nn.Module):
    """Two matrices and an activation on each token (Vaswani et al. 2017, section 3.3), gated or not.

    Gated, half of what the first matrix gives is activated and multiplied by the other half, and both are narrower by a
    third, so that the parameters stay as many (Shazeer 2020, equation 6: SwiGLU is silu, gated).
    """

    def __init__(self, plan: BlockPlan) -> None:
        super().__init__()
        inside = max(1, int(plan.width * plan.expansion * (2 / 3 if plan.gated else 1)))
        self.gated = plan.gated
        self.into = nn.Linear(plan.width, inside * (2 if plan.gated else 1))
        self.activation = ACTIVATIONS.build(plan.activation)
        self.dropout = Dropout(plan.dropout)
        self.out = nn.Linear(inside, plan.width)

    def forward(self, state: Tensor) -> Tensor:
        """state (..., D) to the same shape."""
        inside = self.into(state)
        if self.gated:
            gate, value = inside.chunk(2, dim=-1)
            return self.out(self.dropout(self.activation(gate) * value))
        return self.out(self.dropout(self.activation(inside)))


class Block(nn.Module):
    """Self-attention, attention to another sequence where there is one, and a perceptron, each added to what came in.

    Source: Vaswani et al. 2017, section 3.1, but with the norms before each part (Xiong et al. 2020, table 1), so that
    what is added passes none.

    Args:
        plan: what it shares with the other blocks.
        causal: whether a token asks only itself and those before it.
        memory: width of another sequence's tokens, which are asked too, or None.
    """

    def __init__(self, plan: BlockPlan, *, causal: bool = False, memory: int | None = None) -> None:
        super().__init__()
        self.attention_norm, self.perceptron_norm = plan.normed(), plan.normed()
        self.attention = SelfAttention(plan.width, plan.heads, causal=causal, dropout=plan.attention_dropout)
        self.crossing, self.crossing_norm = None, None
        if memory is not None:
            self.crossing = CrossAttention(plan.width, memory, plan.heads, dropout=plan.attention_dropout)
            self.crossing_norm = plan.normed()
        self.perceptron = Perceptron(plan)
        self.dropout = Dropout(plan.dropout)

    def forward(
        self,
        state: Tensor,
        seen: Tensor | None = None,
        turn: Turn | None = None,
        cache: Cache | None = None,
        remembered: Remembered | None = None,
        memory_seen: Tensor | None = None,
    ) -> Tensor:
        """Tokens to tokens.

        Args:
            state: (B, T, D); with a cache, only the tokens that it does not hold yet.
            seen: which of them may be asked, bool that widens to (B, heads, T, all tokens), or None for all.
            turn: their rotary positions.
            cache: of the tokens before.
            remembered: what ``crossing.remember`` gave of the other sequence.
            memory_seen: which of its tokens may be asked, (B, 1, 1, M) bool, or None for all.

        Returns:
            (B, T, D).
        """
        state = state + self.dropout(self.attention(self.attention_norm(state), seen, turn, cache))
        if self.crossing is not None and self.crossing_norm is not None:
            assert remembered is not None, "a block that crosses needs what was remembered"
            state = state + self.dropout(self.crossing(self.crossing_norm(state), remembered, memory_seen))
        return state + self.dropout(self.perceptron(self.perceptron_norm(state)))


class Placing(nn.Module):
    """Tells tokens where they stand: adds a vector, or gives the turn of their queries and keys.

    Sinusoids are scaled by a learned number (Li et al. 2019, section 3.2), which starts as small as tokens do, so that
    they do not drown them.

    Args:
        positions: sinusoids that are added, learned vectors that are added, or rotary.
        width: of the tokens.
        heads: of the attention.
        length: how many learned places there are; those beyond share the last one's vector.
    """

    def __init__(self, positions: Positions, width: int, heads: int, length: int) -> None:
        super().__init__()
        if positions == "rotary" and width // heads % 2:
            raise ConfigError(
                f"rotary positions turn pairs, but {heads} heads of width {width} have an odd number each"
            )
        self._positions, self._head_width = positions, width // heads
        self.learned = LearnedPositions(length, width) if positions == "learned" else None
        self.scale = nn.Parameter(torch.tensor(SMALL)) if positions == "sinusoidal" else None

    def forward(self, state: Tensor, places: Tensor) -> tuple[Tensor, Turn | None]:
        """state (B, T, D) at places (B, T), which may be of one row for all, to the same shape, and the turn."""
        if self._positions == "rotary":
            return state, rotation(places, self._head_width, state.dtype)
        if self.learned is not None:
            return state + self.learned(places), None
        assert self.scale is not None
        return state + self.scale * sinusoids(places, state.shape[2], state.dtype), None


@NETS.register("transformer", takes="tokens", gives=("vector", "tokens"), body=True, bfloat16=True)
class Transformer(nn.Module):
    """A transformer encoder: every token asks all others, block after block.

    Source: Vaswani et al. 2017, section 3, with the norms before each part (Xiong et al. 2020) and rotary positions (Su
    et al. 2021), with which it learns hidden words sooner than with sinusoids. ``norm = "rms"``, ``activation =
    "silu"`` and ``gated = true`` make it the encoder of today's language models (Touvron et al. 2023, section 2.2).

    Args:
        spec: the tokens that come in.
        width: of the tokens inside; others that come in pass a matrix first.
        depth: how many blocks of attention and perceptron.
        heads: of each attention; they divide the width.
        expansion: width inside a perceptron, in widths; gated ones are narrower by a third.
        activation: inside a perceptron.
        gated: whether what is activated is multiplied by what a second matrix gives, as in SwiGLU.
        norm: before each part: to mean 0 and deviation 1, or by the root mean square.
        positions: what tells a token's place: sinusoids or learned vectors that are added, or a turn of what asks and
            what is asked. Only tokens that are there count.
        length: how many places learned positions have; those beyond share the last.
        causal: whether a token asks only itself and those before it, as a language model does.
        pool: what the vector holds of the tokens.
        dropout: share of units that are silenced while training, of the tokens, behind each part and inside a
            perceptron.
        attention_dropout: share of attention that is silenced while training.
    """

    def __init__(
        self,
        spec: SignalSpec,
        *,
        width: Annotated[int, Range(8, 4096, log=True)] = 128,
        depth: Annotated[int, Range(1, 48)] = 2,
        heads: Annotated[int, Range(1, 64, log=True)] = 4,
        expansion: Annotated[float, Range(0.5, 8)] = 4.0,
        activation: Annotated[Choice, ACTIVATIONS] = Choice("gelu"),
        gated: bool = False,
        norm: Norm = "layer",
        positions: Positions = "rotary",
        length: Annotated[int, Range(1, 1_000_000, log=True)] = 512,
        causal: bool = False,
        pool: Pool = "mean",
        dropout: Annotated[float, Range(0, 0.95)] = 0.1,
        attention_dropout: Annotated[float, Range(0, 0.95)] = 0.0,
    ) -> None:
        super().__init__()
        plan = BlockPlan(width, heads, expansion, activation, gated, norm, dropout, attention_dropout)
        self.first = nn.Linear(spec.width, width) if spec.width != width else None
        self.placing = Placing(positions, width, heads, length)
        self.dropout = Dropout(dropout)
        self.blocks = nn.ModuleList(Block(plan, causal=causal) for _ in range(depth))
        self.last = plan.normed()
        self.pool = Pooling(pool, width)
        start_blocks(self.blocks)
        self.gives = SignalSpec(width, ("vector", "tokens"))

    def forward(self, tokens: Tensor, mask: Tensor | None) -> Signal:
        """tokens (B, T, D), mask (B, T) bool or None, to tokens (B, T, width) and a vector (B, width)."""
        state = tokens if self.first is None else self.first(tokens)
        state, turn = self.placing(state, places_of(state, mask))
        state, seen = self.dropout(state), seen_by_all(mask)
        for block in self.blocks:
            state = block(state, seen, turn)
        state = self.last(state)
        return Signal(vector=self.pool(state, mask), tokens=state, mask=mask)


def start_blocks(blocks: nn.ModuleList) -> None:
    """Start every matrix small, those that are added to the tokens the smaller, the more there are.

    Source: GPT-2 (Radford et al. 2019, section 2.3), with 0.02 at its width of 768 turned into 1 / sqrt(3 width).
    """
    added = sum(1 for name, _ in blocks.named_modules() if name.endswith(".out"))
    for name, layer in blocks.named_modules():
        if isinstance(layer, nn.Linear):
            deviation = (3 * layer.in_features) ** -0.5
            nn.init.normal_(layer.weight, std=deviation / (added**0.5 if name.endswith(".out") else 1))
            nn.init.zeros_(layer.bias)
