"""Recurrent networks: a state that reads a sequence token by token."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from fathom.nets import NETS
from fathom.nets.cells import CellWeights, weights_of
from fathom.nets.dropout import Dropout
from fathom.nets.sequences import Pool, Pooling, compacted, pack, scattered
from fathom.nets.token_embedding import FOR_RECURRENT
from fathom.registry import Range
from fathom.signals import Signal, SignalSpec

__all__ = ["GRU", "LSTM", "RNN", "Recurrent"]

KERNELS: dict[Any, Any] = {nn.RNN: torch.rnn_tanh, nn.LSTM: torch.lstm, nn.GRU: torch.gru}

LARGER = {"name": "embedding", "deviation": FOR_RECURRENT}


class Recurrent(nn.Module):
    """What recurrent nets have in common: layers of torch's fused kernels.

    Tokens that are not there are left out, wherever they stand, and give 0. On a graphics card rows are packed, so that
    padding costs nothing; on a processor the kernels for rectangles are so much faster that padding is cheaper than
    packing.

    Attributes:
        layer: torch's layer of one cell.
        gates: how many gates its weights hold.
    """

    layer: ClassVar[Any]
    gates: ClassVar[int]

    def __init__(
        self,
        spec: SignalSpec,
        *,
        width: Annotated[int, Range(4, 4096, log=True)] = 128,
        layers: Annotated[int, Range(1, 8)] = 1,
        both: bool = True,
        pool: Pool = "max",
        dropout: Annotated[float, Range(0, 0.95)] = 0.3,
    ) -> None:
        super().__init__()
        self.both, outside = both, width * (2 if both else 1)
        inside = [spec.width] + [outside] * (layers - 1)
        self.layers = nn.ModuleList(self.layer(size, width, batch_first=True, bidirectional=both) for size in inside)
        self.dropout = Dropout(dropout)
        self.ends = pool == "last" and both
        self.pool = Pooling(pool, outside)
        self.begin = Pooling("first", outside)
        for layer in self.layers:
            self.start(layer)
        self.gives = SignalSpec(outside, ("vector", "tokens"))

    def start(self, layer: nn.Module) -> None:
        """Start what looks at the input as Glorot and Bengio (2010), what looks back orthogonal (Saxe et al. 2014)."""
        for name, value in layer.named_parameters():
            for gate in value.chunk(self.gates):
                if name.startswith("bias"):
                    nn.init.zeros_(gate)
                else:
                    (nn.init.xavier_uniform_ if name.startswith("weight_ih") else nn.init.orthogonal_)(gate)

    def forward(self, tokens: Tensor, mask: Tensor | None) -> Signal:
        """tokens (B, T, D), mask (B, T) bool or None, to tokens (B, T, D') and a vector (B, D')."""
        packs = tokens.is_cuda and not torch.compiler.is_compiling()  # a graph has shapes that no mask changes
        read = self._read_packed if packs else self._read_padded
        state = read(tokens, mask)
        if self.ends:  # each direction's last state stands at its own end
            (onward, _), (_, backward) = (pool(state, mask).chunk(2, dim=1) for pool in (self.pool, self.begin))
            vector = torch.cat([onward, backward], dim=1)
        else:
            vector = self.pool(state, mask)
        return Signal(vector=self.dropout(vector), tokens=state, mask=mask)

    def _read_packed(self, tokens: Tensor, mask: Tensor | None) -> Tensor:
        """All layers on the tokens that are there, laid end to end."""
        places, counts, _ = pack(tokens, mask)
        (batch, time), width = tokens.shape[:2], self.gives.width
        if not len(places):
            return tokens.new_zeros(batch, time, width)
        state = tokens.flatten(0, 1).index_select(0, places)
        for layer in self.layers:
            state = layer(PackedSequence(self.dropout(state), counts))[0].data
        return state.new_zeros(batch * time, width).index_copy(0, places, state).view(batch, time, width)

    def _read_padded(self, tokens: Tensor, mask: Tensor | None) -> Tensor:
        """All layers on rectangles that begin with the tokens that are there."""
        if not tokens.shape[1]:
            return tokens.new_zeros(tokens.shape[0], 0, self.gives.width)
        if mask is None:
            for layer in self.layers:
                tokens = layer(self.dropout(tokens))[0]
            return tokens
        state, there, origin = compacted(tokens, mask)
        time = torch.arange(tokens.shape[1], device=tokens.device)
        # Of the tokens that are there the last comes first; what stands behind does not matter.
        mirrored = (there.sum(1, keepdim=True) - 1 - time).clamp(min=0)
        layers: list[Any] = list(self.layers)
        for layer in layers:
            state = self.dropout(state)
            given = [self._read_one_way(state, weights_of(layer))]
            if self.both:
                back = self._read_one_way(_reordered(state, mirrored), weights_of(layer, backward=True))
                given.append(_reordered(back, mirrored))
            state = torch.cat(given, dim=2)
        return scattered(state, origin) * mask.unsqueeze(2)

    def _read_one_way(self, tokens: Tensor, weights: CellWeights) -> Tensor:
        """One layer in one direction, (B, T, D) to (B, T, H)."""
        start = tokens.new_zeros(1, tokens.shape[0], weights.hidden.shape[1])
        state = (start, start) if self.layer is nn.LSTM else start
        given: Tensor = KERNELS[self.layer](tokens, state, list(weights), True, 1, 0.0, False, False, True)[0]
        return given


@NETS.register("rnn", takes="tokens", gives=("vector", "tokens"), body=True, entries={"text": LARGER})
class RNN(Recurrent):
    """A plain recurrent network, which forgets what stands some ten tokens back.

    Source: Elman 1990; both ways after Schuster and Paliwal 1997.

    Args:
        spec: the tokens that come in.
        width: of each direction's state.
        layers: each reads the states of the one before.
        both: whether each layer reads from the end too.
        pool: what the vector holds of the states; the last of a direction is the one behind all that it has read.
        dropout: share of units that are silenced while training, before each layer and of the vector.
    """

    layer, gates = nn.RNN, 1


@NETS.register(
    "lstm", takes="tokens", gives=("vector", "tokens"), body=True, rates={"adamw": 3e-3}, entries={"text": LARGER}
)
class LSTM(Recurrent):
    """Long short-term memory: gates decide what a cell takes in, keeps and shows.

    Source: Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000, which starts open (Jozefowicz et
    al. 2015, section 5); both ways after Schuster and Paliwal 1997.

    Args:
        spec: the tokens that come in.
        width: of each direction's state.
        layers: each reads the states of the one before.
        both: whether each layer reads from the end too.
        pool: what the vector holds of the states; the last of a direction is the one behind all that it has read.
        dropout: share of units that are silenced while training, before each layer and of the vector.
    """

    layer, gates = nn.LSTM, 4

    def start(self, layer: nn.Module) -> None:
        """As of all recurrent nets, but the forget gate has a bias of 1."""
        super().start(layer)
        for name, value in layer.named_parameters():
            if name.startswith("bias_ih"):
                nn.init.ones_(value.chunk(self.gates)[1])


@NETS.register(
    "gru", takes="tokens", gives=("vector", "tokens"), body=True, rates={"adamw": 3e-3}, entries={"text": LARGER}
)
class GRU(Recurrent):
    """Gated recurrent units: like long short-term memory, with two gates and no cell behind the state.

    Source: Cho et al. 2014; both ways after Schuster and Paliwal 1997.

    Args:
        spec: the tokens that come in.
        width: of each direction's state.
        layers: each reads the states of the one before.
        both: whether each layer reads from the end too.
        pool: what the vector holds of the states; the last of a direction is the one behind all that it has read.
        dropout: share of units that are silenced while training, before each layer and of the vector.
    """

    layer, gates = nn.GRU, 3


def _reordered(tokens: Tensor, place: Tensor) -> Tensor:
    return tokens.gather(1, place.unsqueeze(2).expand(-1, -1, tokens.shape[2]))
