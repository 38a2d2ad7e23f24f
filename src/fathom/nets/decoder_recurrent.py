"""Recurrent decoders: LSTM and GRU, with attention where something comes in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from fathom.nets import DECODERS
from fathom.nets.decoder import WIDTH, Decoder, DecoderSpec, Memory
from fathom.nets.dropout import Dropout
from fathom.nets.token_embedding import FOR_RECURRENT
from fathom.registry import Range

__all__ = ["AdditiveAttention", "GRUDecoder", "LSTMDecoder"]

States = tuple[Tensor, ...]
"""Of an LSTM the states and the cells, of a GRU the states; (layers, B, D) each."""


@dataclass
class _Recalled:
    """The states of all layers, and what additive attention asks."""

    first: States
    others: States
    memory: Memory | None
    keys: Tensor | None

    def select(self, rows: Tensor) -> None:
        self.first = tuple(part.index_select(1, rows) for part in self.first)
        self.others = tuple(part.index_select(1, rows) for part in self.others)
        self.keys = None if self.keys is None else self.keys.index_select(0, rows)
        if self.memory is not None:
            tokens, mask = self.memory
            kept = None if mask is None else mask.index_select(0, rows)
            self.memory = Memory(tokens.index_select(0, rows), kept)


class AdditiveAttention(nn.Module):
    """Additive attention: what a state asks of tokens.

    Source: Bahdanau et al. (2015, section 3.1 and appendix A.1.2).
    """

    def __init__(self, width: int, memory: int) -> None:
        super().__init__()
        self.key, self.query = nn.Linear(memory, width), nn.Linear(width, width, bias=False)
        self.score = nn.Linear(width, 1, bias=False)

    def forward(self, state: Tensor, keys: Tensor, memory: Memory) -> Tensor:
        """state (B, D), keys (B, S, D) of the tokens in memory, to their mean by attention (B, memory's width)."""
        shares = self.shares(state, keys, memory)
        if memory.mask is None:
            return torch.bmm(shares.unsqueeze(1), memory.tokens).squeeze(1)
        return torch.bmm(shares.unsqueeze(1), memory.tokens.masked_fill(~memory.mask[..., None], 0)).squeeze(1)

    def shares(self, state: Tensor, keys: Tensor, memory: Memory) -> Tensor:
        """How much of each token a state takes, (B, S)."""
        logits = self.score(torch.tanh(keys + self.query(state).unsqueeze(1))).squeeze(2)  # (B, S)
        if memory.mask is None:
            return logits.softmax(1)
        shares = logits.masked_fill(~memory.mask, torch.finfo(logits.dtype).min).softmax(1)
        return shares * memory.mask  # of a row without tokens nothing is told


class _Recurrent(Decoder):
    """Layers of one sort; with a memory, the first takes beside each token what its state asks of it.

    Source: Bahdanau et al. (2015). Their last layer is maxout of state, token and what was asked; here it is a
    matrix of the last state and what was asked.
    """

    deviation = FOR_RECURRENT

    def __init__(self, spec: DecoderSpec, cell: str, width: int | None, depth: int, dropout: float) -> None:
        super().__init__()
        self.width, self.window, self._states = width or spec.memory or WIDTH, None, 2 if cell == "LSTM" else 1
        layer = getattr(nn, cell)
        self.attention = None if spec.memory is None else AdditiveAttention(self.width, spec.memory)
        taken = self.width + (spec.memory or 0)
        self.first = layer(taken, self.width, batch_first=True)
        between = dropout if depth > 2 else 0.0
        self.others = layer(self.width, self.width, depth - 1, batch_first=True, dropout=between) if depth > 1 else None
        self.merge = None if spec.memory is None else nn.Linear(taken, self.width)
        self.dropout = Dropout(dropout)

    def forward(self, tokens: Tensor, memory: Memory | None) -> Tensor:
        """tokens (B, T, width), memory of B rows or None, to (B, T, width)."""
        return self.step(tokens, self.start(len(tokens), memory, tokens.shape[1]))

    def start(self, rows: int, memory: Memory | None, capacity: int) -> _Recalled:
        like, layers = next(self.parameters()), 0 if self.others is None else self.others.num_layers
        first, others = (
            tuple(like.new_zeros(count, rows, self.width) for _ in range(self._states)) for count in (1, layers)
        )
        keys = None if memory is None or self.attention is None else self.attention.key(memory.tokens)
        return _Recalled(first, others, memory, keys)

    def step(self, tokens: Tensor, written: _Recalled) -> Tensor:  # type: ignore[override]
        """Further tokens (B, T, width) to (B, T, width)."""
        tokens = self.dropout(tokens)
        if written.memory is None:
            state, written.first = self._through(self.first, tokens, written.first)
            asked = None
        else:
            state, asked = self._asking(tokens, written, written.memory)
        if self.others is not None:
            state, written.others = self._through(self.others, self.dropout(state), written.others)
        if asked is not None and self.merge is not None:
            state = torch.tanh(self.merge(torch.cat([state, asked], dim=2)))
        return self.dropout(state)

    def _asking(self, tokens: Tensor, written: _Recalled, memory: Memory) -> tuple[Tensor, Tensor]:
        """The first layer, token after token: its states (B, T, D) and what each asked before it."""
        assert self.attention is not None and written.keys is not None
        states, asked = [], []
        for token in tokens.unbind(1):
            asked.append(self.attention(written.first[0][0], written.keys, memory))
            taken = torch.cat([token, asked[-1]], dim=1).unsqueeze(1)
            state, written.first = self._through(self.first, taken, written.first)
            states.append(state)
        return torch.cat(states, dim=1), torch.stack(asked, dim=1)

    def _through(self, layers: nn.Module, tokens: Tensor, states: States) -> tuple[Tensor, States]:
        given, after = layers(tokens, states if self._states == 2 else states[0])
        return given, after if self._states == 2 else (after,)


@DECODERS.register("lstm", rates={"adamw": 3e-3})
class LSTMDecoder(_Recurrent):
    """An LSTM, which remembers all tokens that ever were; where something comes in, with additive attention to it.

    Source: Hochreiter and Schmidhuber (1997); attention of Bahdanau et al. (2015).

    Args:
        spec: of what stands around it.
        width: of the tokens and states; where it is not said, that of the tokens that come in, else 128.
        depth: how many layers.
        dropout: share of tokens, and of what each layer gives, that is silenced while training.
    """

    def __init__(
        self,
        spec: DecoderSpec,
        *,
        width: Annotated[int | None, Range(8, 8192, log=True)] = None,
        depth: Annotated[int, Range(1, 16)] = 2,
        dropout: Annotated[float, Range(0, 0.95)] = 0.1,
    ) -> None:
        super().__init__(spec, "LSTM", width, depth, dropout)


@DECODERS.register("gru", rates={"adamw": 3e-3})
class GRUDecoder(_Recurrent):
    """A GRU, which remembers all tokens that ever were; where something comes in, with additive attention to it.

    Source: Cho et al. (2014); attention of Bahdanau et al. (2015).

    Args:
        spec: of what stands around it.
        width: of the tokens and states; where it is not said, that of the tokens that come in, else 128.
        depth: how many layers.
        dropout: share of tokens, and of what each layer gives, that is silenced while training.
    """

    def __init__(
        self,
        spec: DecoderSpec,
        *,
        width: Annotated[int | None, Range(8, 8192, log=True)] = None,
        depth: Annotated[int, Range(1, 16)] = 2,
        dropout: Annotated[float, Range(0, 0.95)] = 0.1,
    ) -> None:
        super().__init__(spec, "GRU", width, depth, dropout)
