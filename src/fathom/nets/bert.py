"""BERT, layer for layer, so that its checkpoints fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
from torch import Tensor, nn

from fathom.errors import ConfigError
from fathom.nets import ACTIVATIONS, NETS
from fathom.nets.attention import SelfAttention, seen_by_all
from fathom.nets.dropout import Dropout
from fathom.nets.positions import LearnedPositions, places_of
from fathom.nets.sequences import Pooling
from fathom.registry import Choice, Range
from fathom.signals import Signal, SignalSpec

__all__ = ["Bert", "checkpoint_names", "from_checkpoint"]

EPSILON = 1e-12  # of its norms, where torch has 1e-5


@NETS.register("bert", takes="tokens", gives=("vector", "tokens"), body=True, bfloat16=True)
class Bert(nn.Module):
    """The encoder of BERT, with norms behind each part; the vector is made of the first token.

    Source: Devlin et al. 2019, section 3; figure 2 for what is added to the tokens, whose vectors and types come in
    with them. The defaults are small; BERT-base has ``width = 768``, ``depth = 12``, ``heads = 12``. MiniLM and
    DistilBERT differ by their depth, DistilBERT also by having no types and ``pooler = false``.

    Args:
        spec: the tokens that come in.
        width: of the tokens inside; others that come in pass a matrix first, which no checkpoint has.
        depth: how many layers.
        heads: of each attention; they divide the width.
        expansion: width inside a perceptron, in widths.
        activation: inside a perceptron.
        length: how many places there are; tokens beyond share the last.
        pooler: whether the vector passes a matrix and a tanh, or is the first token's as it is.
        dropout: share of units that are silenced while training, of the tokens and behind each part.
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
        length: Annotated[int, Range(1, 1_000_000, log=True)] = 512,
        pooler: bool = True,
        dropout: Annotated[float, Range(0, 0.95)] = 0.1,
        attention_dropout: Annotated[float, Range(0, 0.95)] = 0.1,
    ) -> None:
        super().__init__()
        self.first = nn.Linear(spec.width, width) if spec.width != width else None
        self.positions, self.norm = LearnedPositions(length, width), nn.LayerNorm(width, EPSILON)
        self.dropout = Dropout(dropout)
        self.layers = nn.ModuleList(
            BertLayer(width, heads, int(width * expansion), activation, dropout, attention_dropout)
            for _ in range(depth)
        )
        self.begin = Pooling("first", width)
        self.pooler = nn.Linear(width, width) if pooler else None
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)
        self.gives = SignalSpec(width, ("vector", "tokens"))

    def forward(self, tokens: Tensor, mask: Tensor | None) -> Signal:
        """tokens (B, T, D), mask (B, T) bool or None, to tokens (B, T, D) and a vector (B, D)."""
        seen = seen_by_all(mask)
        if self.first is not None:
            tokens = self.first(tokens)
        state = self.dropout(self.norm(tokens + self.positions(places_of(tokens, mask))))
        for layer in self.layers:
            state = layer(state, seen)
        vector = self.begin(state, mask)
        if self.pooler is not None:
            vector = torch.tanh(self.pooler(vector))
            if mask is not None:
                vector = vector * mask.any(1, keepdim=True)
        return Signal(vector=vector, tokens=state, mask=mask)


class BertLayer(nn.Module):
    """Attention and a perceptron, each added to what came in, and the sum normalised (Vaswani et al. 2017)."""

    def __init__(
        self, width: int, heads: int, inside: int, activation: Choice, dropout: float, attention_dropout: float
    ) -> None:
        super().__init__()
        self.attention = SelfAttention(width, heads, dropout=attention_dropout)
        self.attention_norm, self.out_norm = nn.LayerNorm(width, EPSILON), nn.LayerNorm(width, EPSILON)
        self.into, self.out = nn.Linear(width, inside), nn.Linear(inside, width)
        self.activation, self.dropout = ACTIVATIONS.build(activation), Dropout(dropout)

    def forward(self, state: Tensor, seen: Tensor | None) -> Tensor:
        """state (B, T, D), seen (B, 1, 1, T) bool or None, to (B, T, D)."""
        state = self.attention_norm(state + self.dropout(self.attention(state, seen)))
        return self.out_norm(state + self.dropout(self.out(self.activation(self.into(state)))))


def checkpoint_names(depth: int, *, pooler: bool = True) -> dict[str, tuple[str, ...]]:
    """Each weight of a ``Bert`` to what it is called in a checkpoint, below ``bert.`` where it has heads.

    Where there are several, they stand one below the other: here one matrix gives queries, keys and values. The
    vectors of words and of types are not among them: ``embeddings.word_embeddings.weight``,
    ``embeddings.token_type_embeddings.weight``.
    """
    parts = {
        "attention.out": "attention.output.dense",
        "attention_norm": "attention.output.LayerNorm",
        "into": "intermediate.dense",
        "out": "output.dense",
        "out_norm": "output.LayerNorm",
    }
    names: dict[str, tuple[str, ...]] = {"positions.table.weight": ("embeddings.position_embeddings.weight",)}
    modules: dict[str, tuple[str, ...]] = {"norm": ("embeddings.LayerNorm",)}
    for k in range(depth):
        asked = tuple(f"encoder.layer.{k}.attention.self.{part}" for part in ("query", "key", "value"))
        modules[f"layers.{k}.attention.query_key_value"] = asked
        modules |= {f"layers.{k}.{ours}": (f"encoder.layer.{k}.{theirs}",) for ours, theirs in parts.items()}
    if pooler:
        modules["pooler"] = ("pooler.dense",)
    for ours, theirs in modules.items():
        for kind in ("weight", "bias"):
            names[f"{ours}.{kind}"] = tuple(f"{name}.{kind}" for name in theirs)
    return names


def from_checkpoint(tensors: Mapping[str, Tensor], depth: int, *, pooler: bool = True) -> dict[str, Tensor]:
    """The weights of a ``Bert`` out of those of a checkpoint, as ``load_state_dict`` takes them.

    Raises:
        ConfigError: the checkpoint lacks one.
    """
    found = {}
    for ours, theirs in checkpoint_names(depth, pooler=pooler).items():
        parts = []
        for name in theirs:
            part = tensors.get(name, tensors.get(f"bert.{name}"))
            if part is None:
                raise ConfigError(f"the checkpoint holds no {name!r}, which a BERT of depth {depth} needs")
            parts.append(part)
        found[ours] = torch.cat(parts)
    return found
